package hub

import (
	"time"

	"nova/internal/media"
)

const (
	// audioTolerance is how far the publisher's clock may leave the count of samples: timestamps in milliseconds
	// round, and encoders jitter. Beyond it the sound follows the clock.
	audioTolerance = 40 * time.Millisecond
	// maxGap bounds how long a silence the timeline follows when the publisher's clock has jumped.
	maxGap = 24 * time.Hour
	// maxAhead and maxBehind bound composition offsets, in seconds. What is beyond them is garbage and counts as 0.
	maxAhead, maxBehind = 10, 1
)

// reason tells why a sample was dropped.
type reason string

const (
	kept           reason = ""
	unknownTrack   reason = "unknown_track"
	emptyUnit      reason = "empty"
	beforeKeyframe reason = "before_keyframe"
	beforeStart    reason = "before_start"
	audioOverlap   reason = "audio_overlap"
)

var reasons = []reason{unknownTrack, emptyUnit, beforeKeyframe, beforeStart, audioOverlap}

// normaliser puts the samples of one publication on the session's timeline. It is a pure state machine: time comes
// from its input alone.
//
// Times without a unit are ticks of the publisher's clock; "on the timeline" means that an offset has been added.
type normaliser struct {
	// set by newNormaliser
	rate int // ticks a second of the publisher's clock

	clock clock
	began bool
	// offset leads from the publisher's clock to the timeline.
	offset int64
	// head is the newest decoding time on the timeline, of any track.
	head int64
	// arrived is when the last unit arrived.
	arrived time.Time
	// jumps counts how often the publisher's clock broke.
	jumps int
	lanes map[int]*lane
}

func newNormaliser(pub Publication) *normaliser {
	return &normaliser{rate: pub.ClockRate, clock: newClock(pub.ClockBits), lanes: make(map[int]*lane)}
}

// setTracks keeps what is known of the tracks that stay.
func (n *normaliser) setTracks(tracks []media.Track) {
	lanes := make(map[int]*lane, len(tracks))
	for _, t := range tracks {
		l := n.lanes[t.ID]
		if l == nil || l.track.Kind != t.Kind {
			l = &lane{config: t.Config}
		}
		l.announce(t)
		lanes[t.ID] = l
	}
	n.lanes = lanes
}

// unit is the access unit that the sample makes, or why it makes none.
func (n *normaliser) unit(s Sample) (*media.AccessUnit, reason) {
	t := n.clock.unwrap(s.Time)
	l := n.lanes[s.Track]
	if l == nil {
		return nil, unknownTrack
	}
	l.configure(s.Config)
	video := l.track.Kind == media.Video
	switch {
	case len(s.Data) == 0:
		return nil, emptyUnit
	case video && !l.keyed && !s.Key:
		return nil, beforeKeyframe
	}
	if o := s.CompositionOffset; o < int64(-maxBehind*n.rate) || o > int64(maxAhead*n.rate) {
		s.CompositionOffset = 0
	}
	l.keyed = true
	at := n.place(l, t, s)
	u := &media.AccessUnit{Track: s.Track, Config: l.config, Data: s.Data, Key: s.Key || !video, Arrived: s.Arrived}
	if video {
		u.DTS, u.PTS = l.placeVideo(media.Rescale(at, n.rate, l.track.Timescale),
			media.Rescale(at+s.CompositionOffset, n.rate, l.track.Timescale))
	} else {
		var why reason
		if u.DTS, why = l.placeAudio(media.Rescale(at, n.rate, l.track.Timescale)); why != kept {
			return nil, why
		}
		u.PTS, u.Duration = u.DTS, l.step
	}
	u.Discontinuity = l.broken && l.began
	l.broken, l.resync, l.began, l.dts = false, false, true, u.DTS
	return u, kept
}

// place is the sample's decoding time on the timeline. A time that fits neither the stream nor its own track is a
// jump of the publisher's clock: the timeline goes on after what it has so far.
func (n *normaliser) place(l *lane, t int64, s Sample) int64 {
	switch {
	case !n.began:
		n.began = true
		n.offset = max(0, -s.CompositionOffset) - t // so that PTS is not negative
		n.head = t + n.offset
	case n.fits(l, t+n.offset):
	case l.placed && l.offset != n.offset && n.near(t+l.offset, l.position):
		// A track with a clock of its own, or one that has not reached the jump yet, stays where it is:
		// otherwise the two clocks would make each unit a jump.
		return n.advance(l, t, l.offset, s.Arrived)
	default:
		n.offset = n.resume(s.Arrived) - t
		n.jumps++
		for _, other := range n.lanes {
			other.broken, other.resync = true, true
		}
	}
	return n.advance(l, t, n.offset, s.Arrived)
}

func (n *normaliser) advance(l *lane, t, offset int64, arrived time.Time) int64 {
	at := t + offset
	l.offset, l.position, l.placed = offset, at, true
	n.head = max(n.head, at)
	if arrived.After(n.arrived) {
		n.arrived = arrived
	}
	return at
}

// fits tells whether a time goes on from the stream, or from its own track where that runs behind the others.
func (n *normaliser) fits(l *lane, at int64) bool {
	return n.near(at, n.head) || (l.placed && n.near(at, l.position))
}

// near tells that two times are within a second. The difference may overflow: it is huge in that case either way.
func (n *normaliser) near(a, b int64) bool {
	d := a - b
	return -int64(n.rate) <= d && d <= int64(n.rate)
}

// resume is where the timeline goes on after a jump: behind the last unit of every track, and not before the wall
// clock says so.
func (n *normaliser) resume(arrived time.Time) int64 {
	at := n.head + 1
	for _, l := range n.lanes {
		if l.began {
			at = max(at, rescaleUp(l.dts+max(l.step, 1), l.track.Timescale, n.rate))
		}
	}
	if !arrived.IsZero() && !n.arrived.IsZero() {
		silence := min(max(arrived.Sub(n.arrived), 0), maxGap)
		at = max(at, n.head+media.Ticks(silence, n.rate))
	}
	return at
}

// rescaleUp is media.Rescale rounded up.
func rescaleUp(v int64, from, to int) int64 {
	r := media.Rescale(v, from, to)
	if media.Rescale(r, to, from) < v {
		r++
	}
	return r
}
