package hub

import "nova/internal/media"

// lane is one track of a normaliser. Its times are in the track's timescale unless they say otherwise.
type lane struct {
	track  media.Track
	config *media.CodecConfig

	// keyed tells that a keyframe has come: the picture can be decoded.
	keyed bool
	// broken flags the next unit.
	broken bool
	// resync has the next unit follow the publisher's clock even where it is only a little ahead.
	resync bool

	// placed tells that offset and position are set: the track's own way from the publisher's clock to the
	// timeline, and its last decoding time on it, both in ticks of that clock.
	placed           bool
	offset, position int64

	// began tells that a unit has come out; dts is the last one's decoding time, step its duration as far as known.
	began     bool
	dts, step int64
	// shift is how far decoding times are moved ahead of the publisher's so that none lies behind its
	// presentation time: the most that a negative composition offset has asked for.
	shift int64
}

// announce takes over the track's description. A changed timescale keeps the time.
func (l *lane) announce(t media.Track) {
	if from := l.track.Timescale; from != 0 && from != t.Timescale {
		l.dts = rescaleUp(l.dts, from, t.Timescale)
		l.step = media.Rescale(l.step, from, t.Timescale)
		l.shift = media.Rescale(l.shift, from, t.Timescale)
	}
	l.track = t
	l.configure(t.Config)
}

// configure takes over a configuration. One that a decoder has to be set up anew for is a discontinuity; one that is
// the same to the last field is not taken over at all, so that an unchanged configuration stays the same pointer.
func (l *lane) configure(c *media.CodecConfig) {
	switch {
	case c == nil || c == l.config:
	case l.config == nil:
		l.config = c
	case !c.Equal(l.config):
		l.config, l.broken = c, true
	case c.Reordered != l.config.Reordered || c.HDR != l.config.HDR || c.FrameRate != l.config.FrameRate ||
		c.SampleAspectRatio != l.config.SampleAspectRatio:
		l.config = c
	}
}

// placeVideo makes decoding times increase and presentation times follow them.
func (l *lane) placeVideo(dts, pts int64) (int64, int64) {
	pts = max(pts, 0)
	if behind := dts - l.shift - pts; behind > 0 {
		l.shift += behind
	}
	dts = max(dts-l.shift, 0)
	if l.began {
		dts = max(dts, l.dts+1)
		l.step = min(dts-l.dts, int64(l.track.Timescale))
	}
	return dts, max(pts, dts)
}

// placeAudio lets frames follow each other by their count of samples while the publisher's clock agrees. Where the
// clock is ahead the sound follows it; where it is behind, frames are left out until it has caught up.
func (l *lane) placeAudio(dts int64) (int64, reason) {
	last := l.step
	l.step = 0
	if l.config != nil {
		l.step = int64(max(l.config.FrameSamples, 0))
	}
	if !l.began {
		if dts < 0 {
			return 0, beforeStart
		}
		return dts, kept
	}
	if last == 0 {
		return max(dts, l.dts+1), kept
	}
	next := l.dts + last
	tolerance := media.Ticks(audioTolerance, l.track.Timescale)
	switch {
	case dts > next+tolerance, l.resync && dts > next:
		return dts, kept
	case dts < next-tolerance:
		l.step = last // the last unit's still
		return 0, audioOverlap
	default:
		return next, kept
	}
}
