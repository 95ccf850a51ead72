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

// grant is one stream's share.
type grant struct {
	rungs []ladder.Rung
	// cores is the share for rungs alone.
	cores float64
	// refused is why rungs is less than was asked for; nil where it is not.
	refused error

	total    float64
	sessions int
}

func newAdmission(cfg Config) *admission {
	a := &admission{cores: cfg.cores(), maxStreams: cfg.MaxStreams, gpu: cfg.Encoder != encoderX264}
	if a.gpu {
		a.sessions = cfg.Sessions
	}
	a.mu.freed = make(chan struct{})
	return a
}

// reserve takes a share for rungs on top of base cores for decoding and sound. ok is false where there is none.
func (a *admission) reserve(base float64, rungs []ladder.Rung) (g grant, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.maxStreams > 0 && a.mu.streams >= a.maxStreams {
		return grant{refused: errNoStreams}, false
	}
	g.cores = a.cores - a.mu.cores - base
	g.rungs = ladder.Fit(rungs, g.cores)
	if len(g.rungs) < len(rungs) {
		g.refused = errNoCores
	}
	if free := a.sessions - a.mu.sessions; a.sessions > 0 && len(g.rungs) > free {
		g.rungs, g.refused = g.rungs[len(g.rungs)-free:], errNoSessions
	}
	if g.cores < 0 || len(rungs) > 0 && len(g.rungs) == 0 {
		return grant{refused: g.refused}, false
	}
	g.total, g.sessions = base+ladder.Cost(g.rungs), len(g.rungs)
	g.cores = ladder.Cost(g.rungs)
	a.mu.cores += g.total
	a.mu.sessions += g.sessions
	a.mu.streams++
	return g, true
}

// release gives a share back.
func (a *admission) release(g grant) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.cores -= g.total
	a.mu.sessions -= g.sessions
	a.mu.streams--
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
