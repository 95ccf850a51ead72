package timeline

import "math"

// key is a unit at which a cut may lie.
type key struct {
	pts int64
	// breaks tells that the cut should be made at once.
	breaks bool
}

// track is what is known of one track.
type track struct {
	name string
	role Role
	seen bool
	// front is past the last unit's DTS: every later unit is decoded, and so presented, at front or later.
	front int64
	// headThen is where the session was when the last unit came.
	headThen int64
	// interval is the distance of the last two units.
	interval int64
	// keys are those after the last cut.
	keys []key
	// atCut tells that the last cut lies on a keyframe of this track.
	atCut bool
	// gop watches the source's keyframes.
	gop gop
}

func newTrack(name string, role Role) *track {
	return &track{name: name, role: role, front: math.MinInt64}
}

func (tr *track) observe(u Unit, maxGOP, head int64) {
	if tr.seen {
		tr.interval = min(max(u.DTS+1-tr.front, 0), 4*Clock)
	}
	if tr.role == Source {
		tr.gop.observe(u, maxGOP)
	}
	tr.seen = true
	tr.front = max(tr.front, u.DTS+1)
	tr.headThen = head
	if u.Key || tr.role == Audio {
		tr.keys = append(tr.keys, key{u.PTS, u.NewConfig || u.Discontinuity})
	}
}

// forget drops the keys up to a cut.
func (tr *track) forget(pts int64) {
	n := 0
	tr.atCut = false
	for n < len(tr.keys) && tr.keys[n].pts <= pts {
		tr.atCut = tr.atCut || tr.keys[n].pts == pts
		n++
	}
	tr.keys = append(tr.keys[:0], tr.keys[n:]...)
}

// gop watches how far apart the source's keyframes are.
type gop struct {
	started bool
	// lastKey and lastDTS are those of the last keyframe and of the last unit.
	lastKey, lastDTS int64
	// good counts keyframes in a row that came in time.
	good int
	// refused tells that a keyframe came too late at least once since the last proof.
	refused bool
	// since is the keyframe that proved the source.
	since int64
	// longest is the largest distance since then.
	longest int64
}

// proofAgain is how many good keyframes a source must show that was refused once: it must not come and go.
const proofAgain = 4

func (g *gop) proven() bool {
	return !g.refused && g.good >= 1
}

// observe counts a unit. A hole in the stream (lost units, a stalled publisher) is not a long GOP: counting
// begins again behind it.
func (g *gop) observe(u Unit, limit int64) {
	limit += limit / 16 // publishers' clocks jitter
	hole := g.started && u.DTS-g.lastDTS > Clock
	g.lastDTS = u.DTS
	switch {
	case !g.started || hole:
		if u.Key {
			g.started, g.lastKey = true, u.PTS
		} else if hole {
			g.started = false
		}
	case u.PTS-g.lastKey > limit:
		g.refused, g.good, g.longest = true, 0, 0
		if u.Key {
			g.lastKey = u.PTS
		}
	case u.Key:
		g.keyInTime(u)
	}
}

// finish takes a source as proven that ended before its second keyframe was due.
func (g *gop) finish() {
	if g.started && !g.refused && g.good == 0 {
		g.good, g.since = 1, g.lastKey
	}
}

func (g *gop) keyInTime(u Unit) {
	g.good++
	if u.NewConfig {
		g.longest = 0
	}
	g.longest = max(g.longest, u.PTS-g.lastKey)
	g.lastKey = u.PTS
	switch {
	case g.refused && g.good >= proofAgain:
		g.refused, g.since = false, u.PTS
	case !g.refused && g.good == 1:
		g.since = u.PTS
	}
}
