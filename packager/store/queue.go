package store

import (
	"context"
	"slices"
	"sync"
	"time"

	"nova/internal/blob"
)

// job is one media object on its way to S3.
type job struct {
	// set by who made it
	key     string
	kind    string // "init" or "segment"
	body    []byte
	opts    blob.PutOptions
	lane    *lane
	length  time.Duration // of media; 0 for an initialization section, which is never dropped
	session *session
	// stored is called once the object is in S3, lost once it was given up; one of them, without locks held.
	stored, lost func()

	// guarded by queue.mu
	tries     int
	notBefore time.Time
	inFlight  bool
}

// lane is what waits of one rendition.
type lane struct {
	// guarded by queue.mu
	length time.Duration
	bytes  int64
	// open tells that the session's marker is stored, so that nothing lands in S3 that a restart cannot find.
	open bool
	// gone tells that the session was given up: what fails now is not tried again.
	gone bool
}

// queue holds the jobs of all sessions in the order of their arrival, within bounds. A job that failed keeps
// its place and waits for its time; the others go on.
type queue struct {
	// set by newQueue
	maxLength time.Duration
	maxBytes  int64
	wake      chan struct{}

	mu struct {
		sync.Mutex
		jobs  []*job
		bytes int64
	}
}

func newQueue(maxLength time.Duration, maxBytes int64, workers int) *queue {
	return &queue{maxLength: maxLength, maxBytes: maxBytes, wake: make(chan struct{}, workers)}
}

// push adds j and returns the jobs that had to go for it, j among them where nothing else could.
func (q *queue) push(j *job) (dropped []*job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mu.jobs = append(q.mu.jobs, j)
	q.charge(j, 1)
	for j.lane.length > q.maxLength {
		old := q.oldestWaiting(j.lane)
		if old == nil {
			break
		}
		dropped = append(dropped, old)
	}
	for q.mu.bytes > q.maxBytes {
		old := q.oldestWaiting(q.heaviestLane())
		if old == nil {
			break
		}
		dropped = append(dropped, old)
	}
	q.signal()
	return dropped
}

// charge adds j to the sums (sign 1), or takes it out (sign -1).
func (q *queue) charge(j *job, sign int64) {
	j.lane.length += time.Duration(sign) * j.length
	j.lane.bytes += sign * int64(len(j.body))
	q.mu.bytes += sign * int64(len(j.body))
}

// oldestWaiting takes the oldest segment of a lane out, unless a worker has it in hands.
func (q *queue) oldestWaiting(l *lane) *job {
	i := slices.IndexFunc(q.mu.jobs, func(j *job) bool { return j.lane == l && !j.inFlight && j.length > 0 })
	if i < 0 {
		return nil
	}
	j := q.mu.jobs[i]
	q.remove(j)
	return j
}

// heaviestLane has the most bytes that could go: the stream that fills the memory pays for it.
func (q *queue) heaviestLane() *lane {
	var heaviest *lane
	for _, j := range q.mu.jobs {
		if !j.inFlight && j.length > 0 && (heaviest == nil || j.lane.bytes > heaviest.bytes) {
			heaviest = j.lane
		}
	}
	return heaviest
}

func (q *queue) remove(j *job) {
	if i := slices.Index(q.mu.jobs, j); i >= 0 {
		q.mu.jobs = slices.Delete(q.mu.jobs, i, i+1)
		q.charge(j, -1)
	}
}

// take hands the first job out that is due; where none is, it tells how long until one is, 0 for "not known".
func (q *queue) take(now time.Time) (*job, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var wait time.Duration
	for _, j := range q.mu.jobs {
		if j.inFlight || !j.lane.open {
			continue
		}
		left := j.notBefore.Sub(now)
		if left <= 0 {
			j.inFlight = true
			return j, 0
		}
		if wait == 0 || left < wait {
			wait = left
		}
	}
	return nil, wait
}

// done takes a stored job out.
func (q *queue) done(j *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.remove(j)
}

// retry puts a failed job back in its place, to be tried again after wait(tries).
func (q *queue) retry(j *job, now time.Time, wait func(tries int) time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if j.lane.gone {
		q.remove(j)
		return
	}
	j.tries++
	j.inFlight = false
	j.notBefore = now.Add(wait(j.tries))
}

// abandon takes every job of a session out, and returns them. One that a worker has in hands is left to its
// present try.
func (q *queue) abandon(s *session) (dropped []*job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, j := range slices.Clone(q.mu.jobs) {
		if j.session != s {
			continue
		}
		j.lane.gone = true
		if !j.inFlight {
			q.remove(j)
			dropped = append(dropped, j)
		}
	}
	return dropped
}

// openLanes lets the lanes' jobs go.
func (q *queue) openLanes(lanes ...*lane) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, l := range lanes {
		l.open = true
	}
	for range cap(q.wake) {
		q.signal()
	}
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default: // every worker has been told
	}
}

// await sleeps until there may be work. It tells false once ctx ended.
func (q *queue) await(ctx context.Context, wait time.Duration) bool {
	var timer <-chan time.Time
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-q.wake:
	case <-timer:
	}
	return true
}

// depth is what waits: the longest lane, the bytes and the number of objects of all.
func (q *queue) depth() (longest time.Duration, bytes int64, objects int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, j := range q.mu.jobs {
		longest = max(longest, j.lane.length)
	}
	return longest, q.mu.bytes, len(q.mu.jobs)
}
