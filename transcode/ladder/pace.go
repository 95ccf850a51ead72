package ladder

import (
	"math"

	"nova/internal/media"
)

// paceSlack lets sources through that are a little faster than the cap, whose clock jitters by milliseconds.
const paceSlack = 0.9

// Pace is n where one in n frames of a source with this rate is kept, so that no more than limit a second remain.
func Pace(rate media.Rational, limit float64) int {
	return max(int(math.Ceil(rate.Float()*paceSlack/limit)), 1)
}

// PaceTicks is the least distance in ticks between two frames that are kept.
func PaceTicks(limit float64, timescale int) int64 {
	return int64(paceSlack * float64(timescale) / limit)
}
