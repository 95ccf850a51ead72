package hub

import (
	"math"
	"testing"
	"time"
)

func TestWindow(t *testing.T) {
	start := time.Unix(1700000000, 0)
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	w := newWindow(start)
	if w.rate(start, time.Second) != 0 || w.variation(start) != 0 {
		t.Error("an empty window has no rate")
	}
	for i := range 200 {
		w.add(at(float64(i)/10+0.05), 10)
	}
	for _, c := range []struct {
		when, span, want float64
	}{
		{20, 1, 100},
		{20, 10, 100},
		{20.5, 1, 50},  // half a second of silence
		{25, 10, 50.5}, // five seconds of silence; 9.9 s are looked at
		{31, 10, 0},
		{1000, 10, 0},
	} {
		copied := w
		if got := copied.rate(at(c.when), time.Duration(c.span*float64(time.Second))); math.Abs(got-c.want) > 1.1 {
			t.Errorf("rate at %g s over %g s is %g, want %g", c.when, c.span, got, c.want)
		}
	}
	if got := w.total(at(20)); got != 990 { // the present step has begun and is empty
		t.Errorf("total %d, want 990", got)
	}
}

func TestWindowAtTheStart(t *testing.T) {
	start := time.Unix(1700000000, 0)
	w := newWindow(start)
	for i := range 20 {
		w.add(start.Add(time.Duration(i)*windowStep), 7)
	}
	if got := w.rate(start.Add(20*windowStep), windowSpan); math.Abs(got-70) > 0.01 {
		t.Errorf("rate %g after two seconds, want 70", got)
	}
	w.add(start.Add(-time.Hour), 1) // a clock that was set back
	if got := w.rate(start.Add(20*windowStep), windowSpan); got > 80 {
		t.Errorf("rate %g", got)
	}
}

func TestVariation(t *testing.T) {
	start := time.Unix(1700000000, 0)
	steady, bursts := newWindow(start), newWindow(start)
	for i := range 110 {
		now := start.Add(time.Duration(i) * windowStep)
		steady.add(now, 100)
		if i%50 < 10 { // one second in five
			bursts.add(now, 500)
		}
	}
	now := start.Add(110 * windowStep)
	if got := steady.variation(now); got > 0.01 {
		t.Errorf("a steady rate varies by %g", got)
	}
	if got := bursts.variation(now); got < 1.5 {
		t.Errorf("bursts vary by %g, want about 2", got)
	}
}

func TestGOPStats(t *testing.T) {
	var g gopStats
	for i := range 200 {
		g.add(i == 0 || i == 50 || i == 150, time.Duration(i)*40*time.Millisecond)
	}
	if g.last != 4*time.Second || g.longest != 4*time.Second || g.newest-g.key != 49*40*time.Millisecond || g.reordered {
		t.Errorf("%+v", g)
	}
	g.add(false, 7*time.Second)
	if !g.reordered {
		t.Error("a picture that is presented before an earlier one is a B-frame")
	}
}

func TestDriftSmoothsJitter(t *testing.T) {
	start := time.Unix(1700000000, 0)
	var d drift
	for i := range 2000 {
		at := time.Duration(i) * 20 * time.Millisecond
		jitter := time.Duration(i*7919%50) * time.Millisecond
		d.add(at, start.Add(at+jitter))
	}
	if got := d.milliseconds(); math.Abs(got) > 10 || !d.known() {
		t.Errorf("jitter of 50 ms shows as a drift of %g ms", got)
	}
}
