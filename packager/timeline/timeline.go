// Package timeline decides where a live session is cut into segments, and where segments into parts. It looks at
// time stamps only, keeps no media and does no I/O.
//
//	Observe(track, unit) ──▶ [Timeline: one list of cuts for all renditions] ──▶ Cuts, Horizon
//
// All renditions share the cuts, and so the numbers of their segments. A cut lies on a keyframe that the video
// renditions have in common. Which track decides:
//
//	source   while it is passed through: its keyframes are everybody's
//	rungs    otherwise: the first one that reaches a keyframe
//	audio    where there is no video, or none comes any more
//
// A segment ends at the first keyframe at least Target after its start, never later than Max: where the ruling
// track has no keyframe in time the others are asked, and where nobody has one the cut is made without (the
// renditions then have a gap up to their next keyframe). A changed codec configuration and a discontinuity of
// the ruling track cut at once.
//
// A decision depends on time stamps and not on the order in which tracks happen to arrive: before a keyframe of
// one track is taken, the track that could have an earlier one must have passed it, for at most Wait.
//
// Stage: 5/6 · In: time stamps · Out: cuts
package timeline

import (
	"math"

	"nova/internal/media"
)

// Clock is the ticks a second of every time in this package.
const Clock = media.VideoTimescale

// Role is what a track may decide.
type Role uint8

// The roles of tracks.
const (
	// Source is the publisher's video where its codec can be passed through.
	Source Role = iota + 1
	// Rung is a transcoded video rendition.
	Rung
	// Audio is the audio rendition.
	Audio
)

// Config sets the lengths, in ticks of Clock.
type Config struct {
	// Target is the least length of a segment that ends at a keyframe, Max the largest length.
	Target, Max int64
	// MaxGOP is the largest distance of keyframes with which the source is passed through.
	MaxGOP int64
	// KeyframeInterval is the largest distance of keyframes in rungs.
	KeyframeInterval int64
	// Wait is how long one track's decision waits for another track to come by.
	Wait int64
	// RungWait is how far the others may go on while the rungs send nothing before they are given up.
	RungWait int64
	// StartWait is how long sound waits for video that was announced but has not come.
	StartWait int64
}

// slack absorbs the millisecond clocks of publishers and frame rates of n/1001 where lengths are compared.
const slack = Clock / 4

// hard is the first length that EXT-X-TARGETDURATION of Max would forbid: durations are compared after
// rounding to whole seconds (RFC 8216bis §4.4.3.1).
func (c *Config) hard() int64 { return c.Max + Clock/2 - 1 }

// Unit is what the timeline needs to know of an access unit; times in ticks of Clock.
type Unit struct {
	PTS, DTS int64
	Key      bool
	// NewConfig tells that the codec configuration is another one from here on.
	NewConfig bool
	// Discontinuity tells that the source's clock broke right before this unit.
	Discontinuity bool
}

// Cut is the start of a segment; its number is its place in the list.
type Cut struct {
	PTS           int64
	Discontinuity bool
	// By is the role of the track whose unit made the cut; 0 where it was made without one.
	By Role
	// Breaks counts the discontinuities before this segment.
	Breaks int64
}

// Timeline collects the cuts of one session. Not safe for concurrent use.
type Timeline struct {
	cfg         Config
	tracks      map[string]*track
	order       []*track // by name, so that every run is alike
	expectVideo bool
	ended       bool

	cuts []Cut
	// head is the largest front of any track.
	head int64
	// placed is what Horizon has promised: no cut will come before it.
	placed int64
	// broken tells that a break was seen off a cut: the next cut is a discontinuity.
	broken bool
	// lastBreak is where the last discontinuity was cut.
	lastBreak int64
}

// New makes an empty timeline.
func New(cfg Config) *Timeline {
	return &Timeline{
		cfg: cfg, tracks: map[string]*track{},
		head: math.MinInt64, placed: math.MinInt64, lastBreak: math.MinInt64 / 2,
	}
}

// ExpectVideo tells whether some video is announced, passed through or not: sound then waits for it at the
// start.
func (t *Timeline) ExpectVideo(expect bool) { t.expectVideo = expect }

// SetTrack adds a track. Units of tracks that were not added are ignored.
func (t *Timeline) SetTrack(name string, role Role) {
	if tr := t.tracks[name]; tr != nil && tr.role == role {
		return
	}
	t.RemoveTrack(name)
	tr := newTrack(name, role)
	t.tracks[name] = tr
	at := 0
	for at < len(t.order) && t.order[at].name < name {
		at++
	}
	t.order = append(t.order[:at], append([]*track{tr}, t.order[at:]...)...)
}

// RemoveTrack takes a track out that sends no more.
func (t *Timeline) RemoveTrack(name string) {
	delete(t.tracks, name)
	for i, tr := range t.order {
		if tr.name == name {
			t.order = append(t.order[:i], t.order[i+1:]...)
			break
		}
	}
	t.decide()
}

// Observe takes the next unit of a track, in decoding order.
func (t *Timeline) Observe(name string, u Unit) {
	tr := t.tracks[name]
	if tr == nil || t.ended {
		return
	}
	t.head = max(t.head, u.DTS+1)
	tr.observe(u, t.cfg.MaxGOP, t.head)
	if u.Key && len(t.cuts) > 0 && u.PTS == t.last() {
		tr.atCut = true
	}
	t.noteBreak(tr, u)
	t.decide()
}

// noteBreak remembers a break for the next cut. Tracks report the same break at slightly different times: those
// within a second of a discontinuity that is already cut are that one.
func (t *Timeline) noteBreak(tr *track, u Unit) {
	if (u.Discontinuity || u.NewConfig) && len(t.cuts) > 0 && u.PTS > t.cuts[0].PTS &&
		u.PTS > t.lastBreak+Clock {
		t.broken = true
	}
}

// Cuts are the starts of the segments so far; the last one is open. After Finish the last one is the end of
// the last segment. The slice is the timeline's own: read it before the next call.
func (t *Timeline) Cuts() []Cut { return t.cuts }

// Passed tells whether the source is passed through at this time: two keyframes near enough were seen, and
// none was missed since.
func (t *Timeline) Passed() bool {
	s := t.source()
	return s != nil && s.gop.proven()
}

// Refused tells that the source has shown keyframes too far apart to be passed through.
func (t *Timeline) Refused() bool {
	s := t.source()
	return s != nil && s.gop.refused
}

// Silent is by how many ticks the session went on since the track last sent something.
func (t *Timeline) Silent(name string) int64 {
	if tr := t.tracks[name]; tr != nil && tr.seen {
		return t.head - tr.headThen
	}
	return math.MaxInt64
}

// Finish ends the session at end: what was waiting is decided, and the last cut becomes the end of the last
// segment.
func (t *Timeline) Finish(end int64) {
	if t.ended {
		return
	}
	t.ended = true
	t.head = max(t.head, end)
	for _, tr := range t.order {
		tr.front = max(tr.front, end)
		tr.gop.finish()
	}
	t.decide()
	for len(t.cuts) > 0 && end-t.last() > t.cfg.hard() {
		t.push(Cut{PTS: t.last() + t.cfg.Max})
	}
	if len(t.cuts) > 0 {
		t.append(Cut{PTS: max(end, t.last()+1)})
		t.placed = math.MaxInt64
	}
}

// last is the start of the open segment.
func (t *Timeline) last() int64 { return t.cuts[len(t.cuts)-1].PTS }

// push appends a cut.
func (t *Timeline) push(c Cut) {
	if len(t.cuts) > 0 && t.broken {
		c.Discontinuity = true
	}
	if c.Discontinuity {
		t.broken = false
		t.lastBreak = c.PTS
	}
	t.append(c)
	for _, tr := range t.order {
		tr.forget(c.PTS)
	}
}

// append counts the discontinuities.
func (t *Timeline) append(c Cut) {
	if n := len(t.cuts); n > 0 {
		c.Breaks = t.cuts[n-1].Breaks
		if t.cuts[n-1].Discontinuity {
			c.Breaks++
		}
	}
	t.cuts = append(t.cuts, c)
}

// source is the source's track; nil where there is none.
func (t *Timeline) source() *track {
	for _, tr := range t.order {
		if tr.role == Source {
			return tr
		}
	}
	return nil
}
