package timeline

import "math"

// decide makes every cut that can be made, then moves the horizon.
func (t *Timeline) decide() {
	for {
		c, ok := t.next()
		if !ok {
			break
		}
		t.push(c)
	}
	if len(t.cuts) > 0 && !t.ended {
		t.placed = max(t.placed, min(t.horizon(), t.last()+t.cfg.Max))
	}
}

// Horizon is the time before which no cut will be made any more: units presented earlier can be placed. It
// never goes back. A rung's horizon may stay behind at a keyframe that is needed as a cut should the source
// have none.
func (t *Timeline) Horizon(role Role) int64 {
	if role == Rung && len(t.cuts) > 0 && !t.ended && t.rule() == bySource {
		if k, ok := t.reserve(); ok {
			return min(t.placed, k.pts)
		}
	}
	return t.placed
}

// A ruling says who decides about the end of the open segment.
type ruling uint8

const (
	byNobody ruling = iota
	bySource
	// byEarliest is the time before the source has proven itself: the earliest keyframe of source and rungs.
	byEarliest
	byRungs
	byAudio
)

// rule finds the ruling of the open segment.
func (t *Timeline) rule() ruling {
	s := t.source()
	passable := s != nil && s.seen && !s.gop.refused && !t.stalled(s)
	switch {
	case passable && s.gop.proven() && s.gop.since <= t.last():
		return bySource
	case passable:
		return byEarliest
	case t.rungs():
		return byRungs
	case t.audio() != nil && (t.videoGone() || t.head-t.cuts[0].PTS > t.cfg.StartWait):
		return byAudio
	default:
		return byNobody
	}
}

// next finds the next cut where it is decided.
func (t *Timeline) next() (Cut, bool) {
	if len(t.cuts) == 0 {
		return t.first()
	}
	switch t.rule() {
	case bySource:
		return t.nextBySource()
	case byEarliest:
		return t.nextByEarliest()
	case byRungs:
		return t.nextByRungs()
	case byAudio:
		return t.nextByAudio()
	case byNobody:
	}
	return Cut{}, false
}

// first finds where the session begins: at the source's first keyframe, else at a rung's, else with the sound.
func (t *Timeline) first() (Cut, bool) {
	s := t.source()
	if s != nil && len(s.keys) > 0 {
		return Cut{PTS: s.keys[0].pts, By: Source}, true
	}
	if k, ok := t.earliest(math.MinInt64); ok {
		if s == nil || t.ended || t.rungFront()-k.pts > t.cfg.Wait {
			return Cut{PTS: k.pts, By: Rung}, true
		}
		return Cut{}, false
	}
	a := t.audio()
	if a == nil || len(a.keys) == 0 {
		return Cut{}, false
	}
	if t.expectVideo && !t.ended && a.front-a.keys[0].pts <= t.cfg.StartWait {
		return Cut{}, false
	}
	return Cut{PTS: a.keys[0].pts, By: Audio}, true
}

// nextBySource cuts at the source's keyframe, also at an early one where the next could come too late. Where
// none came in time a rung's keyframe that was held for this does, and else no keyframe.
func (t *Timeline) nextBySource() (Cut, bool) {
	s := t.source()
	if c, ok := t.sourceKey(s); ok {
		return c, true
	}
	if s.front <= t.last()+t.cfg.hard() {
		return Cut{}, false
	}
	if k, ok := t.reserve(); ok {
		return Cut{PTS: k.pts, By: Rung}, true
	}
	if t.rungs() && t.rungFront() <= t.last()+t.cfg.hard() {
		return Cut{}, false
	}
	return t.forced(), true
}

// sourceKey is the first keyframe of the source that can end the segment.
func (t *Timeline) sourceKey(s *track) (Cut, bool) {
	least := t.cfg.Target
	if !s.atCut { // it has a gap here: let it in soon
		least /= 4
	}
	for _, k := range s.keys {
		if k.pts < t.placed || k.pts-t.last() > t.cfg.hard() {
			continue
		}
		inTime := k.pts-t.last() >= least
		nextTooLate := s.gop.longest > 0 && k.pts+s.gop.longest-t.last() > t.cfg.hard()
		if inTime || nextTooLate || k.breaks {
			return Cut{PTS: k.pts, By: Source, Discontinuity: k.breaks}, true
		}
	}
	return Cut{}, false
}

// nextByEarliest takes the earliest keyframe of source and rungs. The source's wins where both are about a
// target after the last cut; otherwise each waits until the other has passed it.
func (t *Timeline) nextByEarliest() (Cut, bool) {
	s := t.source()
	near := t.last() + t.cfg.Target + slack
	var c Cut
	fromSource := false
	if s.gop.proven() {
		c, fromSource = t.sourceKey(s)
	}
	if fromSource && c.PTS <= near {
		return c, true
	}
	k, fromRung := t.earliest(t.least())
	if fromRung && (!fromSource || k.pts < c.PTS) {
		late := t.rungFront()-s.front > t.cfg.Wait
		if s.front > max(k.pts, near) || late {
			return Cut{PTS: k.pts, By: Rung, Discontinuity: k.breaks}, true
		}
		return Cut{}, false
	}
	if fromSource && (t.ended || !t.waitsForRungs(s) || t.rungFront() > c.PTS) {
		return c, true
	}
	if !fromSource && s.front > t.last()+t.cfg.hard() && !t.waitsForRungs(s) {
		return t.forced(), true
	}
	return Cut{}, false
}

// waitsForRungs tells whether rungs are announced that may still have something to say about the open segment.
func (t *Timeline) waitsForRungs(s *track) bool {
	announced := false
	for _, tr := range t.order {
		announced = announced || tr.role == Rung
	}
	return announced && s.front-max(t.rungFront(), t.last()) <= t.cfg.Target+t.cfg.Wait
}

// nextByRungs cuts at the first keyframe that any rung reaches: they share them.
func (t *Timeline) nextByRungs() (Cut, bool) {
	if k, ok := t.earliest(t.least()); ok {
		return Cut{PTS: k.pts, By: Rung, Discontinuity: k.breaks}, true
	}
	if t.rungFront() > t.last()+t.cfg.hard() {
		return t.forced(), true
	}
	return Cut{}, false
}

// nextByAudio cuts at any audio frame.
func (t *Timeline) nextByAudio() (Cut, bool) {
	for _, k := range t.audio().keys {
		if k.pts >= t.placed && (k.breaks || k.pts-t.last() >= t.cfg.Target) {
			return Cut{PTS: min(k.pts, t.last()+t.cfg.Max), By: Audio, Discontinuity: k.breaks}, true
		}
	}
	return Cut{}, false
}

// forced is a cut that no keyframe carries.
func (t *Timeline) forced() Cut { return Cut{PTS: t.last() + t.cfg.Max} }

// least is how long the open segment must be. One that did not begin at a video keyframe holds a gap: it ends
// soon.
func (t *Timeline) least() int64 {
	if by := t.cuts[len(t.cuts)-1].By; by == Source || by == Rung {
		return t.cfg.Target
	}
	return t.cfg.Target / 4
}

// earliest is the first keyframe of any rung at least that long after the last cut, or one that breaks.
func (t *Timeline) earliest(least int64) (key, bool) {
	best, ok := key{}, false
	for _, tr := range t.order {
		if tr.role != Rung {
			continue
		}
		for _, k := range tr.keys {
			usable := len(t.cuts) == 0 || k.pts >= t.placed && (k.breaks || k.pts-t.last() >= least) &&
				k.pts-t.last() <= t.cfg.hard()
			if usable && (!ok || k.pts < best.pts) {
				best, ok = k, true
			}
		}
	}
	return best, ok
}

// reserve is the first rung keyframe that is the last one within the largest segment: the source may rule, but
// if it has no keyframe in time this one is needed.
func (t *Timeline) reserve() (key, bool) {
	best, ok := key{}, false
	for _, tr := range t.order {
		if tr.role != Rung {
			continue
		}
		for _, k := range tr.keys {
			after := k.pts - t.last()
			if after+t.cfg.KeyframeInterval > t.cfg.hard() && after <= t.cfg.hard() && (!ok || k.pts < best.pts) {
				best, ok = k, true
			}
		}
	}
	return best, ok
}

// horizon is how far the ruling tracks have come.
func (t *Timeline) horizon() int64 {
	s := t.source()
	switch t.rule() {
	case bySource:
		return s.front
	case byEarliest:
		return t.earliestHorizon(s)
	case byRungs:
		return t.rungFront()
	case byAudio:
		return t.audio().front
	case byNobody:
	}
	return math.MinInt64
}

// earliestHorizon is the horizon before the source has proven itself: where a keyframe of either may still come,
// or waits to be taken.
func (t *Timeline) earliestHorizon(s *track) int64 {
	h := int64(math.MinInt64)
	switch {
	case t.waitsForRungs(s):
		h = min(t.rungFront(), s.front)
	case s.gop.proven():
		h = s.front
	}
	if k, ok := t.earliest(t.least()); ok {
		h = min(h, k.pts)
	}
	return h
}

// rungFront is how far the furthest rung has come.
func (t *Timeline) rungFront() int64 {
	front := int64(math.MinInt64 / 2)
	for _, tr := range t.order {
		if tr.role == Rung && tr.seen {
			front = max(front, tr.front)
		}
	}
	return front
}

// rungs tells whether any rung is alive.
func (t *Timeline) rungs() bool {
	for _, tr := range t.order {
		if tr.role == Rung && tr.seen && !t.stalled(tr) {
			return true
		}
	}
	return false
}

// audio is the audio track once it has sent something.
func (t *Timeline) audio() *track {
	for _, tr := range t.order {
		if tr.role == Audio && tr.seen {
			return tr
		}
	}
	return nil
}

// videoGone tells that video was there and stopped, or never comes.
func (t *Timeline) videoGone() bool {
	if !t.expectVideo {
		return true
	}
	for _, tr := range t.order {
		if tr.role == Rung && tr.seen {
			return true
		}
	}
	s := t.source()
	return s != nil && s.seen && !s.gop.refused
}

// stalled tells that the others went on without the track.
func (t *Timeline) stalled(tr *track) bool {
	limit := t.cfg.Wait
	if tr.role == Rung {
		limit = t.cfg.RungWait
	}
	return !t.ended && t.head-tr.headThen > limit+tr.interval
}
