package hub

import (
	"slices"
	"time"
)

// calmTime is how long a warning has to be absent before it is over. What comes and goes with every group of pictures
// is one warning, not many.
const calmTime = time.Minute

// standing are the warnings in force: those that were found within the last calmTime. Guarded by Publisher.mu.
type standing map[Code]stand

type stand struct {
	warning Warning // as it was found last
	found   time.Time
}

// update takes in what is wrong now, and returns what has come and what is over.
func (s standing) update(found []Warning, now time.Time) (came, over []Warning) {
	for _, w := range found {
		if _, ok := s[w.Code]; !ok {
			came = append(came, w)
		}
		s[w.Code] = stand{w, now}
	}
	for _, code := range codes {
		if w, ok := s[code]; ok && now.Sub(w.found) >= calmTime {
			delete(s, code)
			over = append(over, w.warning)
		}
	}
	return came, over
}

// with is what is wrong now and what is still in force besides.
func (s standing) with(found []Warning) []Warning {
	for _, code := range codes {
		w, ok := s[code]
		if ok && !slices.ContainsFunc(found, func(f Warning) bool { return f.Code == code }) {
			found = append(found, w.warning)
		}
	}
	return found
}
