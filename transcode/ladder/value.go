package ladder

import "math"

// minCost keeps rungs that cost next to nothing, on a GPU say, comparable.
const minCost = 0.001

// Value is what rung i is worth to viewers for each core that it takes: how far those who watch it fall when it
// goes (the ratio of its bit rate to the next one below, in octaves), divided by its cost. The lowest rung's
// value is infinite: below it there is nothing to fall to.
func Value(rungs []Rung, i int) float64 {
	if i == len(rungs)-1 {
		return math.Inf(1)
	}
	fall := math.Log2(float64(rungs[i].Bitrate) / float64(max(rungs[i+1].Bitrate, 1)))
	return max(fall, 0) / max(rungs[i].Cost, minCost)
}

// Shed is the index of the rung to give up first, the one of the lowest value, or -1 where only one is left.
// With the default table that goes from the top down: each time the most expensive rung, whose viewers have
// the smallest step to make. The lowest rung stays to the last, for those who can watch nothing else; the
// sound is never shed.
func Shed(rungs []Rung) int {
	worst := -1
	for i := range len(rungs) - 1 {
		if worst < 0 || Value(rungs, i) < Value(rungs, worst) {
			worst = i
		}
	}
	return worst
}

// Without is a new ladder that lacks rung i.
func Without(rungs []Rung, i int) []Rung {
	rest := make([]Rung, 0, len(rungs)-1)
	return append(append(rest, rungs[:i]...), rungs[i+1:]...)
}

// Limit gives up the rungs of the lowest value until no more than n are left.
func Limit(rungs []Rung, n int) []Rung {
	if n <= 0 {
		return nil
	}
	for len(rungs) > n {
		rungs = Without(rungs, Shed(rungs))
	}
	return rungs
}

// Cost is the sum of the rungs' costs in cores.
func Cost(rungs []Rung) float64 {
	var sum float64
	for _, r := range rungs {
		sum += r.Cost
	}
	return sum
}

// Fit gives up the rungs of the lowest value until the rest costs no more than cores, at last all of them.
func Fit(rungs []Rung, cores float64) []Rung {
	for len(rungs) > 0 && Cost(rungs) > cores {
		i := Shed(rungs)
		if i < 0 {
			return nil
		}
		rungs = Without(rungs, i)
	}
	return rungs
}
