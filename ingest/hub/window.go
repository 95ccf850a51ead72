package hub

import (
	"math"
	"time"
)

// A window counts what arrived in the last ten seconds, in steps of a tenth.
const (
	windowStep  = 100 * time.Millisecond
	windowSpan  = 10 * time.Second
	windowSteps = int64(windowSpan / windowStep)
)

type window struct {
	start  time.Time
	newest int64 // step that was counted in last
	counts [windowSteps]int64
}

func newWindow(start time.Time) window { return window{start: start} }

// turn forgets what has become too old by now, and returns the present step.
func (w *window) turn(now time.Time) int64 {
	step := max(int64(now.Sub(w.start)/windowStep), w.newest)
	for i := max(w.newest+1, step-windowSteps+1); i <= step; i++ {
		w.counts[i%windowSteps] = 0
	}
	w.newest = step
	return step
}

func (w *window) add(now time.Time, n int64) {
	w.counts[w.turn(now)%windowSteps] += n
}

// total is what arrived in the last ten seconds.
func (w *window) total(now time.Time) (sum int64) {
	w.turn(now)
	for _, n := range w.counts {
		sum += n
	}
	return sum
}

// rate is what arrived a second, over the last span or since the start where that is shorter. The present step is
// left out, because it is not over yet.
func (w *window) rate(now time.Time, span time.Duration) float64 {
	step := w.turn(now)
	steps := min(int64(span/windowStep), windowSteps-1, step)
	if steps <= 0 {
		return 0
	}
	var sum int64
	for i := step - steps; i < step; i++ {
		sum += w.counts[i%windowSteps]
	}
	return float64(sum) / (time.Duration(steps) * windowStep).Seconds()
}

// variation is the standard deviation of the nine last whole seconds over their mean; 0 before they are over.
func (w *window) variation(now time.Time) float64 {
	const seconds, perSecond = 9, int64(time.Second / windowStep)
	step := w.turn(now)
	if step < seconds*perSecond {
		return 0
	}
	var sums [seconds]float64
	var mean, squares float64
	for i := range int64(seconds * perSecond) {
		sums[i/perSecond] += float64(w.counts[(step-1-i)%windowSteps])
	}
	for _, s := range sums {
		mean += s / seconds
	}
	for _, s := range sums {
		squares += (s - mean) * (s - mean) / seconds
	}
	if mean == 0 {
		return 0
	}
	return math.Sqrt(squares) / mean
}
