package relay

import (
	"slices"
	"time"

	"nova/internal/media"
)

// audioSpan is how much sound is kept for readers that join a stream without a picture.
const audioSpan = 2 * time.Second

// gopCache is what a reader gets when it joins: of each video track the units from its last keyframe on, the sound
// from the earliest of these keyframes on, and the latest still of each image track, all in arrival order. A stream
// that has shown no picture yet keeps its last two seconds of sound. Guarded by Stream.mu.
type gopCache struct {
	// set by newStream
	maxUnits, maxBytes int

	units []cached
	bytes int
}

type cached struct {
	unit *media.AccessUnit
	lane *lane
}

// add takes a unit in, or leaves it out where nothing that it depends on is in the cache.
func (c *gopCache) add(u *media.AccessUnit, l *lane, lanes []*lane) {
	key := l.track.Kind == media.Video && u.Key
	switch {
	case key:
		l.started, l.key = true, u
	case l.track.Kind == media.Video && l.key == nil:
		return
	case l.track.Kind == media.Audio && !c.takesAudio(lanes):
		return
	case l.track.Kind == media.Image:
		c.forget(l)
	}
	c.units = append(c.units, cached{u, l})
	c.bytes += u.Size()
	if key {
		c.trimToKeys(lanes)
	}
	c.bound(lanes)
}

// takesAudio tells whether there is a picture that the sound goes with, or none that it would have to wait for.
func (c *gopCache) takesAudio(lanes []*lane) bool {
	waiting := false
	for _, l := range lanes {
		if l.present && l.track.Kind == media.Video {
			if l.key != nil {
				return true
			}
			waiting = waiting || l.started
		}
	}
	return !waiting
}

// trimToKeys drops what lies before the keyframes.
func (c *gopCache) trimToKeys(lanes []*lane) {
	earliest := earliestKey(lanes)
	passed := make([]bool, len(lanes)) // by slot: the track's last keyframe has been passed
	c.keep(func(u *media.AccessUnit, l *lane) bool {
		switch l.track.Kind {
		case media.Video:
			passed[l.slot] = passed[l.slot] || u == l.key
			return passed[l.slot]
		case media.Audio:
			return unitTime(u, l) >= earliest
		default:
			return true
		}
	})
}

// earliestKey is the smallest presentation time of the keyframes that the cache begins with.
func earliestKey(lanes []*lane) time.Duration {
	earliest := time.Duration(1<<63 - 1)
	for _, l := range lanes {
		if l.present && l.track.Kind == media.Video && l.key != nil {
			earliest = min(earliest, unitTime(l.key, l))
		}
	}
	return earliest
}

func unitTime(u *media.AccessUnit, l *lane) time.Duration {
	return media.Duration(u.PTS, l.track.Timescale)
}

// bound empties a cache that a group of pictures has outgrown: half a group is of no use. Sound alone loses its
// oldest units instead.
func (c *gopCache) bound(lanes []*lane) {
	over := len(c.units) > c.maxUnits || c.bytes > c.maxBytes
	if hasKey(lanes) {
		if over {
			c.empty(lanes)
		}
		return
	}
	newest := c.units[len(c.units)-1]
	for over || c.oldestIsStale(newest) {
		c.dropOldest()
		over = len(c.units) > c.maxUnits || c.bytes > c.maxBytes
	}
}

func hasKey(lanes []*lane) bool {
	return slices.ContainsFunc(lanes, func(l *lane) bool { return l.present && l.key != nil })
}

// oldestIsStale tells that the oldest sound is older than what is kept.
func (c *gopCache) oldestIsStale(newest cached) bool {
	if len(c.units) == 0 || newest.lane.track.Kind != media.Audio {
		return false
	}
	for _, e := range c.units {
		if e.lane.track.Kind == media.Audio {
			return unitTime(newest.unit, newest.lane)-unitTime(e.unit, e.lane) > audioSpan
		}
	}
	return false
}

// dropOldest drops the oldest sound, or the oldest still where there is no sound.
func (c *gopCache) dropOldest() {
	oldest := 0
	for i, e := range c.units {
		if e.lane.track.Kind == media.Audio {
			oldest = i
			break
		}
	}
	c.bytes -= c.units[oldest].unit.Size()
	c.units = slices.Delete(c.units, oldest, oldest+1)
}

// empty drops all but stills. Each video track has to begin again with a keyframe.
func (c *gopCache) empty(lanes []*lane) {
	for _, l := range lanes {
		l.key = nil
	}
	c.keep(func(_ *media.AccessUnit, l *lane) bool { return l.track.Kind == media.Image })
	if len(c.units) > c.maxUnits || c.bytes > c.maxBytes { // the stills alone
		c.keep(func(*media.AccessUnit, *lane) bool { return false })
	}
}

// purge drops the units of tracks that are gone.
func (c *gopCache) purge(lanes []*lane) {
	for _, l := range lanes {
		if !l.present {
			l.started, l.key = false, nil
		}
	}
	c.keep(func(_ *media.AccessUnit, l *lane) bool { return l.present })
}

// forget drops the units of one track.
func (c *gopCache) forget(gone *lane) {
	if c.first(gone) == nil {
		return
	}
	c.keep(func(_ *media.AccessUnit, l *lane) bool { return l != gone })
}

// first is the oldest cached unit of a track; nil where there is none.
func (c *gopCache) first(l *lane) *media.AccessUnit {
	for _, e := range c.units {
		if e.lane == l {
			return e.unit
		}
	}
	return nil
}

// keep drops the units that f refuses.
func (c *gopCache) keep(f func(*media.AccessUnit, *lane) bool) {
	c.units = slices.DeleteFunc(c.units, func(e cached) bool { return !f(e.unit, e.lane) })
	c.bytes = 0
	for _, e := range c.units {
		c.bytes += e.unit.Size()
	}
}
