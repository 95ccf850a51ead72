package transcode

import (
	"errors"
	"sync"

	"nova/transcode/ladder"
)

// The reasons for which a stream gets fewer rungs than planned, or none. They are labels of a metric.
var (
	errNoCores    = errors.New("cores")
	errNoSessions = errors.New("sessions")
	errNoStreams  = errors.New("streams")
)

// audioCost is what decoding and encoding sound keeps busy, in cores.
const audioCost = 0.02

// admission gives out the machine's cores, and the GPU's encoders, by declared cost. Safe for concurrent use.
type admission struct {
	// set by newAdmission
	cores      float64
	sessions   int // 0: no limit
	maxStreams int // 0: no limit
	gpu        bool

	mu struct {
		sync.Mutex
		cores    float64
		sessions int
		streams  int
		// freed is closed and made anew when a stream gives its share back.
		freed chan struct{}
	}
}

// grant is one stream's share; the zero grant is none.
type grant struct {
	rungs []ladder.Rung
	// cores is the share for rungs alone.
	cores float64
	// refused is why rungs is less than was asked for; nil where it is not.
	refused error

	held        bool
	base, total float64
	sessions    int
}

func newAdmission(cfg Config) *admission {
	a := &admission{cores: cfg.cores(), maxStreams: cfg.MaxStreams, gpu: cfg.Encoder != encoderX264}
	if a.gpu {
		a.sessions = cfg.Sessions
	}
	a.mu.freed = make(chan struct{})
	return a
}

// exchange gives old back and takes a share for rungs on top of base cores for decoding and sound, with no moment in
// between in which another stream could take what old held. ok is false where there is none; old is gone then.
func (a *admission) exchange(old grant, base float64, rungs []ladder.Rung) (g grant, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.free(old)
	if g, ok = a.offer(base, rungs); ok {
		a.mu.cores += g.total
		a.mu.sessions += g.sessions
		a.mu.streams++
	}
	if g.total < old.total || g.sessions < old.sessions {
		a.wake()
	}
	return g, ok
}

// offer is what there is for rungs on top of base cores. It needs mu, as free and wake do.
func (a *admission) offer(base float64, rungs []ladder.Rung) (g grant, ok bool) {
	if a.maxStreams > 0 && a.mu.streams >= a.maxStreams {
		return grant{refused: errNoStreams}, false
	}
	room := a.cores - a.mu.cores - base
	g.rungs = ladder.Fit(rungs, room)
	if len(g.rungs) < len(rungs) || room < 0 {
		g.refused = errNoCores
	}
	if free := a.sessions - a.mu.sessions; a.sessions > 0 && len(g.rungs) > free {
		g.rungs, g.refused = ladder.Limit(g.rungs, free), errNoSessions
	}
	if room < 0 || len(rungs) > 0 && len(g.rungs) == 0 {
		return grant{refused: g.refused}, false
	}
	g.cores = ladder.Cost(g.rungs)
	g.held, g.base, g.total, g.sessions = true, base, base+g.cores, len(g.rungs)
	return g, true
}

// fits tells that the holder of g could have these rungs in place of its own.
func (a *admission) fits(g grant, rungs []ladder.Rung) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	sessions := a.mu.sessions - g.sessions + len(rungs)
	return a.mu.cores-g.total+g.base+ladder.Cost(rungs) <= a.cores && (a.sessions == 0 || sessions <= a.sessions)
}

// release gives a share back.
func (a *admission) release(g grant) {
	if !g.held {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.free(g)
	a.wake()
}

func (a *admission) free(g grant) {
	if g.held {
		a.mu.cores -= g.total
		a.mu.sessions -= g.sessions
		a.mu.streams--
	}
}

func (a *admission) wake() {
	close(a.mu.freed)
	a.mu.freed = make(chan struct{})
}

// freed is closed when the next share comes back.
func (a *admission) freed() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.mu.freed
}

// used is the sum of the declared costs in cores.
func (a *admission) used() float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.mu.cores
}
