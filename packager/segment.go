package packager

import (
	"time"

	"nova/internal/media"
	"nova/packager/fmp4"
	"nova/packager/present"
	"nova/packager/timeline"
)

// segment is a segment that is being written. The zero value is one that has not begun.
type segment struct {
	config *media.CodecConfig
	track  fmp4.Track
	body   []byte
	parts  []present.Part

	// last waits for the time of the next unit: that makes its duration.
	last *unit
	// samples are those of the open part.
	samples  []fmp4.Sample
	arrived  time.Time // of the newest sample
	rule     timeline.Parts
	count    int
	duration int64 // of all samples, in ticks of the track
}

func (g *segment) started() bool { return g.config != nil }

// begin sets the segment up for its first unit.
func (g *segment) begin(r *rendition, u *unit) {
	g.config, g.track = u.Config, r.init.track
	g.body = fmp4.AppendSegmentType(make([]byte, 0, r.bodySize))
}

// add takes the next unit and finishes the sample before it.
func (g *segment) add(r *rendition, u *unit) {
	if g.last != nil {
		g.sample(r, g.last, u.decode-g.last.decode)
	}
	g.last = u
}

// sample writes a unit whose next one comes after d ticks. A picture stands until the next one. A hole in the
// sound stays one: the sound goes on with a part of its own time.
func (g *segment) sample(r *rendition, u *unit, d int64) {
	hole := false
	if r.kind == media.Audio {
		if frame := int64(frameSamples(u.Config)); d > 2*frame {
			d, hole = frame, true
		}
	}
	if r.partTarget == 0 {
		frame := media.Rescale(d, u.timescale, timeline.Clock)
		r.partTarget = timeline.PartTarget(ticks(r.s.p.cfg.PartTarget), frame)
	}
	g.rule.Target = media.Rescale(r.partTarget, timeline.Clock, u.timescale)
	if g.rule.Closes(u.decode, d) {
		g.flush(r)
	}
	g.samples = append(g.samples, fmp4.Sample{PTS: u.PTS, DTS: u.decode, Duration: d, Key: u.Key, Data: u.Data})
	g.arrived = u.Arrived
	g.count++
	g.duration += d
	if hole {
		g.flush(r)
		g.rule.End()
	}
}

// flush writes the open part.
func (g *segment) flush(r *rendition) {
	if len(g.samples) == 0 {
		return
	}
	at := len(g.body)
	if len(g.parts) == 0 {
		at = 0 // the segment type belongs to the first part
	}
	body, err := fmp4.AppendPart(g.body, g.track, r.sequence+1, g.samples)
	first, n := g.samples[0], len(g.samples)
	length := g.samples[n-1].DTS + g.samples[n-1].Duration - first.DTS
	g.samples = g.samples[:0]
	if err != nil {
		r.s.p.metrics.dropped.WithLabelValues(dropFormat).Add(float64(n))
		r.s.badSample.Add(err)
		return
	}
	r.sequence++
	g.body = body
	g.parts = append(g.parts, present.Part{
		Offset: at, Size: len(body) - at,
		Duration:    media.Duration(length, g.track.Timescale),
		Independent: first.Key || r.kind == media.Audio,
	})
	r.s.p.metrics.parts.WithLabelValues(r.kind.String()).Inc()
	if !g.arrived.IsZero() {
		r.s.p.metrics.insideDelay.WithLabelValues(r.kind.String()).Observe(time.Since(g.arrived).Seconds())
	}
}

// end finishes the segment and returns its body and parts; nil where it has no media. next is the unit that
// follows it.
func (g *segment) end(r *rendition, next *unit) ([]byte, []present.Part) {
	if !g.started() {
		return nil, nil
	}
	if g.last != nil {
		g.sample(r, g.last, g.lastDuration(r, next))
		g.last = nil
	}
	g.flush(r)
	if len(g.parts) == 0 {
		return nil, nil
	}
	if !r.rateKnown && r.kind == media.Video && g.duration > 0 {
		r.desc.FrameRate = float64(g.count) * float64(g.track.Timescale) / float64(g.duration)
		r.rateKnown = true
	}
	return g.body, g.parts
}

// lastDuration is the length of the segment's last sample: up to the unit that follows, so that the segments
// join without a seam, or its own where none follows.
func (g *segment) lastDuration(r *rendition, next *unit) int64 {
	if next != nil && next.timescale == g.last.timescale && next.decode > g.last.decode {
		return next.decode - g.last.decode
	}
	return max(1, media.Rescale(r.length(g.last), timeline.Clock, g.last.timescale))
}
