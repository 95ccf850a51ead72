package transcode

import (
	"sync"
	"time"
)

// recent is how fresh the last fed unit must be for the input to count as flowing.
const recent = 2 * time.Second

// progress tells a worker that is stuck from one that has nothing to do. Safe for concurrent use.
type progress struct {
	mu struct {
		sync.Mutex
		// waiting is when the first unit was fed that nothing came out for yet; zero where there is none.
		waiting time.Time
		fed     time.Time
		// blocked tells that the worker does not take what it is fed.
		blocked bool
		out     time.Time
		// closed is when the worker's input ended.
		closed time.Time
	}
}

// feeding is called before a unit is written to the worker, of which something should come out.
func (p *progress) feeding(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.waiting.IsZero() {
		p.mu.waiting = now
	}
	p.mu.blocked = true
}

// taken is called when the write has returned.
func (p *progress) taken(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.blocked, p.mu.fed = false, now
}

// gave is called when the worker gave something.
func (p *progress) gave(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.waiting, p.mu.out = time.Time{}, now
}

// finished is called when the worker's input was closed.
func (p *progress) finished(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.closed, p.mu.waiting, p.mu.blocked = now, time.Time{}, false
}

// stalled tells that input flows, and that nothing came out for limit.
func (p *progress) stalled(now time.Time, limit time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	flows := p.mu.blocked || now.Sub(p.mu.fed) < recent
	return !p.mu.waiting.IsZero() && flows && now.Sub(p.mu.waiting) > limit
}

// hangs tells that the worker's input ended, and that nothing came out for limit since.
func (p *progress) hangs(now time.Time, limit time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.closed.IsZero() {
		return false
	}
	last := p.mu.closed
	if p.mu.out.After(last) {
		last = p.mu.out
	}
	return now.Sub(last) > limit
}
