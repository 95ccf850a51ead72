package hub

import (
	"math"
	"time"
)

const (
	// driftTime is the time constant that the noise of the network is smoothed with.
	driftTime = 5 * time.Second
	// driftBase is how long the lead is averaged for to have something to compare with.
	driftBase = 2 * time.Second
)

// drift follows how far a track's media time runs ahead of the wall clock, compared with how far it did at first. A
// publisher's clock that is off by 100 ppm drifts by 6 ms a minute.
type drift struct {
	began, last time.Time
	base, lead  float64 // seconds
	count       int
}

// add takes in a unit that is at media time at.
func (d *drift) add(at time.Duration, arrived time.Time) {
	if d.began.IsZero() {
		d.began, d.last = arrived, arrived
	}
	lead := at.Seconds() - arrived.Sub(d.began).Seconds()
	if arrived.Sub(d.began) <= driftBase {
		d.count++
		d.base += (lead - d.base) / float64(d.count)
		d.lead = d.base
	} else {
		weight := 1 - math.Exp(-max(arrived.Sub(d.last), 0).Seconds()/driftTime.Seconds())
		d.lead += (lead - d.lead) * weight
	}
	d.last = arrived
}

// milliseconds is how far the media time has moved against the wall clock; positive where it runs fast.
func (d *drift) milliseconds() float64 { return (d.lead - d.base) * 1000 }

func (d *drift) known() bool { return d.last.Sub(d.began) > driftBase }
