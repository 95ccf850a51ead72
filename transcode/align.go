package transcode

import (
	"math"

	"nova/internal/media"
)

// alignHeld bounds what waits for the slowest rung, in units of all rungs: some seconds.
const alignHeld = 2048

// aligner gives units out only when every rung has come as far: at any moment all rungs have published exactly the
// pictures up to one time, the watermark. A worker that dies between two rungs of one picture leaves no rung
// ahead of the others, so its successor goes on with a keyframe at the same picture on each.
type aligner struct {
	lanes map[int]*alignLane
	order []int
	held  int
}

type alignLane struct {
	began  bool
	newest int64
	units  []*media.AccessUnit
}

// setTracks keeps the lanes of the rungs named, and forgets what the others hold.
func (a *aligner) setTracks(rungs []int) {
	old := a.lanes
	a.lanes, a.order, a.held = make(map[int]*alignLane, len(rungs)), rungs, 0
	for _, id := range rungs {
		a.lanes[id] = old[id]
		if a.lanes[id] == nil {
			a.lanes[id] = &alignLane{}
		}
		a.held += len(a.lanes[id].units)
	}
}

// push takes a rung's unit, and returns the units that may go out now, oldest first. Units of other tracks are
// given back at once.
func (a *aligner) push(u *media.AccessUnit) []*media.AccessUnit {
	lane := a.lanes[u.Track]
	if lane == nil {
		return []*media.AccessUnit{u}
	}
	lane.units = append(lane.units, u)
	lane.began, lane.newest = true, max(lane.newest, u.PTS)
	a.held++
	return a.take(a.reached())
}

// reached is the time that every rung has come to.
func (a *aligner) reached() (mark int64, ok bool) {
	for i, id := range a.order {
		lane := a.lanes[id]
		if !lane.began {
			return 0, false
		}
		if i == 0 || lane.newest < mark {
			mark = lane.newest
		}
	}
	return mark, len(a.order) > 0
}

func (a *aligner) take(mark int64, ok bool) []*media.AccessUnit {
	var out []*media.AccessUnit
	for a.held > 0 {
		lane := a.oldest()
		if (!ok || lane.units[0].PTS > mark) && a.held <= alignHeld {
			break
		}
		out = append(out, lane.units[0])
		lane.units[0] = nil
		lane.units = lane.units[1:]
		a.held--
	}
	return out
}

// oldest is the lane whose first unit comes first. Something is held.
func (a *aligner) oldest() *alignLane {
	var best *alignLane
	for _, id := range a.order {
		lane := a.lanes[id]
		if len(lane.units) > 0 && (best == nil || lane.units[0].DTS < best.units[0].DTS) {
			best = lane
		}
	}
	return best
}

// flush returns all that is held, oldest first: the worker has finished, and no rung comes any further.
func (a *aligner) flush() []*media.AccessUnit {
	return a.take(math.MaxInt64, true)
}

// reset forgets all that is held: the worker died, and its successor makes it anew.
func (a *aligner) reset() { *a = aligner{} }
