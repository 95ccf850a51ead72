package worker

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// meter sums up the time that a stage was at work. Safe for concurrent use.
type meter struct{ ns atomic.Int64 }

func (m *meter) add(d time.Duration)  { m.ns.Add(int64(d)) }
func (m *meter) total() time.Duration { return time.Duration(m.ns.Load()) }

// state is what the stages let the reporter see. Safe for concurrent use.
type state struct {
	decode, scale meter
	// newest is the PTS of the last picture that came in.
	newest atomic.Int64
	// skipped counts pictures that were published by another worker.
	skipped atomic.Int64

	mu struct {
		sync.Mutex
		rungs  []*rung
		shed   []string
		gone   map[int]bool
		errors map[string]uint64
	}
}

func newState() *state {
	s := &state{}
	s.mu.gone = map[int]bool{}
	s.mu.errors = map[string]uint64{}
	return s
}

// count adds one error of a kind in job.ErrorKinds.
func (s *state) count(kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.errors[kind]++
}

func (s *state) errors() map[string]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.mu.errors)
}

func (s *state) setRungs(rungs []*rung) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.rungs = append([]*rung(nil), rungs...)
	clear(s.mu.gone)
}

// retire takes a rung out that is shed.
func (s *state) retire(gone *rung) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var left []*rung
	for _, r := range s.mu.rungs {
		if r != gone {
			left = append(left, r)
		}
	}
	s.mu.rungs = left
	s.mu.shed = append(s.mu.shed, gone.Name)
	s.mu.gone[gone.ShortSide()] = true
}

// isShed tells that the rung with this track ID was shed from the ladder at hand.
func (s *state) isShed(id int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.gone[id]
}

// rungs are those being made; shed are the names of those given up.
func (s *state) ladder() (rungs []*rung, shed []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.rungs, append([]string(nil), s.mu.shed...)
}
