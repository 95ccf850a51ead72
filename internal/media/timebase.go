package media

import (
	"math/bits"
	"time"
)

// Rescale counts v ticks of the clock from in ticks of the clock to, rounded to the nearest (halves away from
// zero), without overflow for any v whose result fits. Clocks are in ticks a second and positive.
func Rescale(v int64, from, to int) int64 {
	if from == to {
		return v
	}
	if v < 0 {
		return -Rescale(-v, from, to)
	}
	hi, lo := bits.Mul64(uint64(v), uint64(to))
	lo, carry := bits.Add64(lo, uint64(from)/2, 0)
	q, _ := bits.Div64(hi+carry, lo, uint64(from))
	return int64(q)
}

// Duration is v ticks of the clock timescale as a time.Duration.
func Duration(v int64, timescale int) time.Duration {
	return time.Duration(Rescale(v, timescale, int(time.Second)))
}

// Ticks is d in ticks of the clock timescale.
func Ticks(d time.Duration, timescale int) int64 {
	return Rescale(int64(d), int(time.Second), timescale)
}
