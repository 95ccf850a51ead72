package packager

import (
	"cmp"
	"slices"
	"time"

	"nova/internal/media"
	"nova/packager/present"
	"nova/packager/timeline"
)

// maxGapRun is how many gaps in a row a rendition may have before it leaves the multivariant playlist.
const maxGapRun = 2

// show is what a session has shown of itself.
type show struct {
	visible bool
	// playable is when the stream could first be played without its sound, complete when with it.
	playable, complete time.Time
	listed             []present.Rendition
}

// publishInit gives out an initialization section.
func (s *session) publishInit(r *rendition, init present.Init) {
	s.open()
	s.sink.PutInit(r.name, init)
	s.window.putInit(r.name, init)
}

// publish gives out a segment: to the recording, to the live window, and to the multivariant playlist where it
// changes that.
func (s *session) publish(r *rendition, seg present.Segment) {
	s.open()
	s.sink.PutSegment(r.desc, seg)
	s.window.putSegment(r.name, seg, s.discontinuities)
	s.keep(false)
	s.present(time.Now())
}

// discontinuities counts those among the segments before seq.
func (s *session) discontinuities(seq int64) int64 { return s.timeline.Cuts()[seq].Breaks }

// keep tells the recording which renditions it has, when they have become more, or at the end.
func (s *session) keep(force bool) {
	var list []present.Rendition
	for _, r := range s.renditions {
		if r.real > 0 {
			list = append(list, r.desc)
		}
	}
	if len(list) == 0 || !force && len(list) == len(s.kept) {
		return
	}
	s.kept = best(list)
	s.sink.SetRenditions(s.kept)
}

// present shows the stream once it can be played, and keeps the multivariant playlist true.
func (s *session) present(now time.Time) {
	if !s.show.visible && !s.mayShow(now) {
		return
	}
	list := s.listable()
	if len(list) == 0 || s.show.visible && !changed(s.show.listed, list) {
		return
	}
	if !s.show.visible {
		s.log.Info("stream playable", "renditions", len(list))
	}
	s.show.visible, s.show.listed = true, list
	s.window.show(list)
}

// listable are the renditions that can be played now, best first.
func (s *session) listable() []present.Rendition {
	var list []present.Rendition
	for _, r := range s.renditions {
		if r.real > 0 && !r.gone && r.gapRun <= maxGapRun && !r.refused() {
			list = append(list, r.desc)
		}
	}
	return best(list)
}

// refused tells that the source's keyframes are too far apart.
func (r *rendition) refused() bool { return r.role == timeline.Source && !r.s.timeline.Passed() }

// changed tells whether the playlist must change: other renditions or codecs, or a rendition that needs more
// bandwidth than was stated. A smaller need alone changes nothing: the text would never rest.
func changed(old, list []present.Rendition) bool {
	return !slices.EqualFunc(old, list, func(a, b present.Rendition) bool {
		return a.Name == b.Name && a.Codecs == b.Codecs && a.Width == b.Width && a.Height == b.Height &&
			b.Bandwidth <= a.Bandwidth
	})
}

// showBy is how long after its start a session is shown at the latest where it can be played: hls.js reads the
// multivariant playlist once, so that a viewer who comes before the last rendition never sees it. A picture with
// keyframes 2 s apart can be played after 2.1 s; the transcoder, when it begins on a busy machine, is up to a
// second later.
const showBy = 2800 * time.Millisecond

// mayShow decides when the stream is shown first: as soon as picture and sound can be played, and ShowWait
// later, or at showBy, where further renditions are on their way. Sound that does not come is not waited for
// long.
func (s *session) mayShow(now time.Time) bool {
	picture, sound, missing := s.ready()
	if !picture {
		return false
	}
	if s.show.playable.IsZero() {
		s.show.playable = now
	}
	if !sound && now.Sub(s.show.playable) < 2*s.p.cfg.TrackWait {
		return false
	}
	if s.show.complete.IsZero() {
		s.show.complete = now
	}
	return !missing || now.Sub(s.show.complete) >= s.p.cfg.ShowWait && now.Sub(s.began) >= showBy
}

// ready tells whether the picture (or what there is instead) and the sound can be played, and whether a
// rendition that was announced is still missing.
func (s *session) ready() (picture, sound, missing bool) {
	sound = !s.has(media.Audio)
	for _, r := range s.renditions {
		switch {
		case r.gone || r.refused(): // a source that has not proven itself is not waited for
		case r.real == 0:
			missing = true
		case r.kind == media.Video:
			picture = true
		default:
			sound = true
		}
	}
	if cuts := s.timeline.Cuts(); !picture && sound && len(cuts) > 1 {
		picture = cuts[len(cuts)-1].By == timeline.Audio // there is no picture
	}
	return picture, sound, missing
}

// best sorts pictures from the largest down, then the sound.
func best(list []present.Rendition) []present.Rendition {
	slices.SortStableFunc(list, func(a, b present.Rendition) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(b.Width*b.Height, a.Width*a.Height),
			cmp.Compare(b.Bandwidth, a.Bandwidth))
	})
	return list
}
