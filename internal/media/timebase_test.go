package media

import (
	"math"
	"testing"
	"time"
)

func TestRescale(t *testing.T) {
	for _, c := range []struct {
		v        int64
		from, to int
		want     int64
	}{
		{0, 1000, 90000, 0},
		{1, 1000, 90000, 90},
		{1024, 44100, 90000, 2090}, // 2089.79
		{-1024, 44100, 90000, -2090},
		{1, 2, 1, 1},   // halves away from zero
		{-1, 2, 1, -1}, // on both sides
		{1<<40 + 1, 90000, 90000, 1<<40 + 1},
		{math.MaxInt64 / 4, 90000, 1000, 25620477880152155}, // the product needs 128 bits
	} {
		if got := Rescale(c.v, c.from, c.to); got != c.want {
			t.Errorf("Rescale(%d, %d, %d) = %d, want %d", c.v, c.from, c.to, got, c.want)
		}
	}
}

// Ten hours of AAC frames counted in samples and converted one by one never leave the exact time by more than
// half a tick: rounding does not add up.
func TestRescaleDoesNotDrift(t *testing.T) {
	for n := int64(0); n < 10*3600*48000/1024; n += 997 {
		got := Rescale(n*1024, 48000, VideoTimescale)
		exact := float64(n*1024) * VideoTimescale / 48000
		if math.Abs(float64(got)-exact) > 0.5 {
			t.Fatalf("frame %d is at %d, exact is %f", n, got, exact)
		}
	}
}

func TestDurationAndTicks(t *testing.T) {
	if got := Duration(90000*3/2, VideoTimescale); got != 1500*time.Millisecond {
		t.Errorf("Duration = %v", got)
	}
	if got := Ticks(time.Second/24, VideoTimescale); got != 3750 {
		t.Errorf("Ticks = %d", got)
	}
}
