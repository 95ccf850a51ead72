package packager

import (
	"fmt"
	"math"
	"time"

	"nova/internal/media"
	"nova/internal/obs"
	"nova/packager/fmp4"
	"nova/packager/present"
	"nova/packager/timeline"
)

// keyTolerance is how far before a cut a keyframe may lie and still be the cut's: transcoders may round.
const keyTolerance = timeline.Clock / 200

// unit is an access unit with its times on the timeline's clock.
type unit struct {
	*media.AccessUnit
	timescale int
	pts, dts  int64
	// decode is the DTS that is written, in the track's clock: never negative.
	decode int64
}

// rendition places the units of one track into segments. Owned by session.run.
type rendition struct {
	// set by newRendition
	s    *session
	name string
	kind media.Kind
	role timeline.Role

	// queue holds the units that wait for the timeline.
	queue       []*unit
	queuedBytes int
	// seq is the segment that is being filled.
	seq     int
	segment segment
	// gone tells that no track feeds the rendition now.
	gone bool
	// active tells that the rendition has segments: a source only once it has proven itself.
	active bool
	// broken tells that a unit was left out: nothing is decodable before the next keyframe.
	broken bool

	taken      bool  // any unit was
	lastDTS    int64 // of the unit taken last, on the timeline's clock
	lastDecode int64 // as it is written
	interval   int64 // between the last two
	arrival    time.Time
	end        int64 // of everything taken
	config     *media.CodecConfig

	init     initSection
	sequence uint32 // of the last fragment
	// partTarget is chosen with the first segment, on the timeline's clock.
	partTarget int64

	bodySize int // of the last segment and some room: the next one is made so large at once
	declared int // bit rate that the track states
	rates    rates
	// rateKnown tells that desc has the frame rate of the configuration in force.
	rateKnown bool
	real      int // segments with media
	gapRun    int // gaps since then
	desc      present.Rendition
}

// initSection is the initialization section in force.
type initSection struct {
	count  int
	name   string
	config *media.CodecConfig
	track  fmp4.Track
}

func newRendition(s *session, name string, kind media.Kind, role timeline.Role) *rendition {
	return &rendition{
		s: s, name: name, kind: kind, role: role,
		rates: rates{target: s.p.cfg.targetDuration()},
		desc:  present.Rendition{Name: name, Kind: kind},
	}
}

// take queues the next unit of the rendition's track and shows it to the timeline. It refuses what repeats or
// does not fit.
func (r *rendition) take(t *media.Track, u *media.AccessUnit) bool {
	w := &unit{AccessUnit: u, timescale: t.Timescale, decode: r.decodeTime(u)}
	w.pts = media.Rescale(u.PTS, t.Timescale, timeline.Clock)
	w.dts = media.Rescale(u.DTS, t.Timescale, timeline.Clock)
	cfg := u.Config
	if cfg == nil {
		cfg = t.Config
	}
	if cfg == nil || u.PTS < 0 || r.taken && w.dts <= r.lastDTS {
		r.drop(dropOrder)
		return false
	}
	newConfig := r.config != nil && !cfg.Equal(r.config)
	if r.taken {
		r.interval = min(w.dts-r.lastDTS, timeline.Clock)
	}
	r.taken, r.lastDTS, r.lastDecode, r.config, r.arrival = true, w.dts, w.decode, cfg, time.Now()
	r.end = max(r.end, w.pts+r.length(w))
	if u.Config == nil {
		c := *u
		c.Config = cfg
		w.AccessUnit = &c
	}
	r.push(w)
	r.s.timeline.Observe(r.name, timeline.Unit{
		PTS: w.pts, DTS: w.dts, Key: u.Key, NewConfig: newConfig, Discontinuity: u.Discontinuity,
	})
	return true
}

// decodeTime is the DTS to write. B-frames may put the first ones before 0, where CMAF has no time: those are
// decoded right after each other from 0 on. Sound is decoded when it is presented.
func (r *rendition) decodeTime(u *media.AccessUnit) int64 {
	switch {
	case r.kind == media.Audio:
		return u.PTS
	case !r.taken:
		return max(u.DTS, 0)
	default:
		return max(u.DTS, r.lastDecode+1)
	}
}

// length is how long a unit lasts where the next one is not known.
func (r *rendition) length(u *unit) int64 {
	switch {
	case u.Duration > 0:
		return media.Rescale(u.Duration, u.timescale, timeline.Clock)
	case r.kind == media.Audio:
		return media.Rescale(int64(frameSamples(u.Config)), u.timescale, timeline.Clock)
	case r.interval > 0:
		return r.interval
	default:
		return timeline.Clock / 25
	}
}

// frameSamples is the length of one audio frame.
func frameSamples(cfg *media.CodecConfig) int {
	if cfg != nil && cfg.FrameSamples > 0 {
		return cfg.FrameSamples
	}
	return 1024
}

func (r *rendition) push(u *unit) {
	r.queue = append(r.queue, u)
	r.hold(u.Size())
	for r.queuedBytes > r.s.p.cfg.MaxHeldBytes {
		r.pop()
		r.drop(dropOverflow)
		r.broken = true
	}
}

func (r *rendition) pop() *unit {
	u := r.queue[0]
	r.queue[0] = nil
	r.queue = r.queue[1:]
	r.hold(-u.Size())
	return u
}

func (r *rendition) hold(n int) {
	r.queuedBytes += n
	r.s.p.metrics.held.Add(float64(n))
}

func (r *rendition) drop(reason string) { r.s.p.metrics.dropped.WithLabelValues(reason).Inc() }

// advance places the units that the timeline has decided about, and closes the segments that they leave behind.
func (r *rendition) advance() {
	if r.role == timeline.Source && !r.admit() {
		return
	}
	for len(r.queue) > 0 {
		u := r.queue[0]
		start, end, closed, ok := r.bounds()
		switch {
		case !ok:
			return
		case closed && (u.pts >= end || u.Key && u.pts >= end-keyTolerance && r.kind == media.Video):
			r.introduce(u)
			r.close(u)
		case !closed && u.pts >= r.s.timeline.Horizon(r.role):
			return
		default:
			r.active = true
			r.place(r.pop(), start)
		}
	}
	for r.gone && r.active && r.closable() {
		r.close(nil)
	}
}

// admit tells whether the source may be placed. Until it has proven itself it waits; when it is refused it has
// gaps from then on, and keeps only what the next proof could begin with.
func (r *rendition) admit() bool {
	switch {
	case r.s.timeline.Passed():
		return true
	case r.gone || !r.s.timeline.Refused():
		return r.active
	}
	for len(r.queue) > 1 && !r.queue[0].Key || len(r.queue) > 1 && r.laterKey() {
		r.pop()
		r.drop(dropKeyframe)
		r.broken = true
	}
	for r.active && r.closable() {
		r.close(nil)
	}
	return false
}

// laterKey tells whether the newest unit makes the older ones useless.
func (r *rendition) laterKey() bool { return r.queue[len(r.queue)-1].Key }

// bounds are the start of the segment that is being filled and, where it is closed, its end.
func (r *rendition) bounds() (start, end int64, closed, ok bool) {
	cuts := r.s.timeline.Cuts()
	if r.seq >= len(cuts) {
		return 0, 0, false, false
	}
	start = cuts[r.seq].PTS
	if r.seq+1 < len(cuts) {
		return start, cuts[r.seq+1].PTS, true, true
	}
	return start, math.MaxInt64, false, true
}

// closable tells that the segment's end is known.
func (r *rendition) closable() bool {
	_, _, closed, ok := r.bounds()
	return ok && closed
}

// closeSilent closes the segments of a track that has sent nothing for a while, so that its playlist goes on.
func (r *rendition) closeSilent(now time.Time) {
	if !r.active || len(r.queue) > 0 || !r.closable() {
		return
	}
	silent := r.s.timeline.Silent(r.name) > ticks(r.s.p.cfg.RungWait) && now.Sub(r.arrival) > r.s.p.cfg.TrackWait
	for (r.gone || silent) && r.closable() {
		r.close(nil)
	}
}

// abandon forgets what a rendition that has gone leaves of its first segment: nobody knows of it yet, and it
// would be a recording of gaps.
func (r *rendition) abandon() {
	for len(r.queue) > 0 {
		r.pop()
		r.drop(dropGone)
	}
	r.segment = segment{}
	r.active = r.seq > 0
	r.broken = true
}

// finish closes everything at the end of the session.
func (r *rendition) finish() {
	for len(r.queue) > 0 {
		r.pop()
	}
	for r.active && r.closable() {
		r.close(nil)
	}
}

// place puts a unit into the segment that begins at start, or leaves it out.
func (r *rendition) place(u *unit, start int64) {
	seg := &r.segment
	reason := ""
	switch {
	case u.pts < start-keyTolerance:
		reason = dropLate
	case seg.started() && !seg.config.Equal(u.Config):
		reason = dropConfig
	case r.kind == media.Audio:
	case !u.Key && (r.broken || !seg.started()):
		reason = dropKeyframe
	case !seg.started() && u.pts-start > ticks(r.s.p.cfg.SegmentTarget)/2:
		// More than half of the segment would be missing: players do better with a gap.
		reason = dropKeyframe
	}
	if reason != "" {
		r.drop(reason)
		r.broken = true
		return
	}
	r.broken = false
	if !seg.started() {
		if err := r.begin(u); err != nil {
			r.drop(dropFormat)
			r.s.badSample.Add(err)
			r.broken = true
			return
		}
	}
	seg.add(r, u)
}

// begin begins a segment with its first unit, and an initialization section where the last one does not fit.
func (r *rendition) begin(u *unit) error {
	if r.init.config == nil || r.init.track.Timescale != u.timescale || !r.init.config.Equal(u.Config) {
		if err := r.makeInit(u); err != nil {
			return err
		}
	}
	r.segment.begin(r, u)
	return nil
}

// introduce makes a rendition that begins with gaps known before them: who keeps it must be able to describe it
// whatever happens next.
func (r *rendition) introduce(u *unit) {
	if r.init.config != nil {
		return
	}
	if err := r.makeInit(u); err != nil {
		r.s.badSample.Add(err)
	}
}

// makeInit writes the initialization section of the unit's configuration and gives it out.
func (r *rendition) makeInit(u *unit) error {
	track := fmp4.Track{Kind: r.kind, Timescale: u.timescale}
	body, err := fmp4.Init(track, u.Config)
	if err != nil {
		return fmt.Errorf("cannot write the initialization section of %q: %w", r.name, err)
	}
	codecs, err := fmp4.Codecs(u.Config)
	if err != nil {
		return fmt.Errorf("cannot name the codec of %q: %w", r.name, err)
	}
	r.init = initSection{
		count: r.init.count + 1, config: u.Config, track: track,
		name: fmt.Sprintf("%s-init-%d.mp4", r.s.prefix, r.init.count),
	}
	r.desc.Codecs = codecs
	r.desc.Width, r.desc.Height = fmp4.DisplaySize(u.Config)
	if rate := u.Config.FrameRate.Float(); rate >= 1 && rate <= 240 {
		r.desc.FrameRate, r.rateKnown = rate, true
	} else {
		r.rateKnown = false // nothing or nonsense is stated: the old one stands until it is measured
	}
	r.desc.Channels = u.Config.Channels
	r.s.publishInit(r, present.Init{Name: r.init.name, Body: body})
	return nil
}

// close ends the segment and gives it out; next is the unit that follows, nil where none is known.
func (r *rendition) close(next *unit) {
	cuts := r.s.timeline.Cuts()
	from, to := cuts[r.seq], cuts[r.seq+1]
	out := present.Segment{
		Seq:           int64(r.seq),
		Name:          fmt.Sprintf("%s-%d.m4s", r.s.prefix, r.seq),
		InitName:      r.init.name,
		Duration:      span(to.PTS) - span(from.PTS),
		Start:         r.s.info.Start.Add(span(from.PTS)),
		Discontinuity: from.Discontinuity,
	}
	if next != nil && r.seq+2 < len(cuts) && next.pts >= cuts[r.seq+2].PTS {
		next = nil // it does not follow: there is a hole of a segment or more
	}
	out.Body, out.Parts = r.segment.end(r, next)
	out.Gap = len(out.Body) == 0
	r.segment = segment{}
	r.seq++
	r.active = true
	r.count(&out)
	r.s.publish(r, out)
}

// count keeps the figures of the rendition.
func (r *rendition) count(seg *present.Segment) {
	m, kind := r.s.p.metrics, r.kind.String()
	if seg.Gap {
		r.gapRun++
		m.gaps.WithLabelValues(kind).Inc()
		return
	}
	if r.real == 0 && !r.gone {
		r.s.log.Info("rendition playable", obs.KeyRendition, r.name, "codecs", r.desc.Codecs)
	}
	r.real++
	r.gapRun = 0
	r.rates.add(len(seg.Body)*8, seg.Duration)
	r.desc.Bandwidth = max(r.rates.peak, r.declared)
	r.desc.AverageBandwidth = r.rates.average()
	r.bodySize = len(seg.Body) + len(seg.Body)/8
	m.segments.WithLabelValues(kind).Inc()
	m.bytes.WithLabelValues(kind).Add(float64(len(seg.Body)))
}
