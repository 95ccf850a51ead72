package worker

import "time"

// When a rung is shed.
const (
	// shedLag is how far behind real time is too far.
	shedLag = 3 * time.Second
	// shedAfter is how many looks in a row find the lag too large and not shrinking.
	shedAfter = 3
	// shedPause is how many looks are given to the last shedding to show its effect.
	shedPause = 5
	// shrinks is by how much the lag must fall from look to look to count as catching up.
	shrinks = 50 * time.Millisecond
)

// shedder decides when the machine is too slow for all rungs: not when a worker is behind, as it is after a restart,
// but when it does not catch up.
type shedder struct {
	last  time.Duration
	worse int
	pause int
}

// observe takes the lag, once a second, and tells whether to shed one of the rungs that are left.
func (s *shedder) observe(lag time.Duration, rungs int) bool {
	growing := lag > shedLag && lag > s.last-shrinks
	s.last = lag
	if s.pause > 0 {
		s.pause--
		return false
	}
	if !growing || rungs < 2 {
		s.worse = 0
		return false
	}
	if s.worse++; s.worse < shedAfter {
		return false
	}
	s.worse, s.pause = 0, shedPause
	return true
}
