package worker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"nova/transcode/job"
)

// Each line of a script is a lag in milliseconds and the number of rungs that are left, as seen once a second.
func TestShedder(t *testing.T) {
	datadriven.RunTest(t, "testdata/shedder", func(t *testing.T, d *datadriven.TestData) string {
		var s shedder
		var out strings.Builder
		for line := range strings.Lines(d.Input) {
			var ms, rungs int
			if _, err := fmt.Sscan(line, &ms, &rungs); err != nil {
				t.Fatal(err)
			}
			said := "keep"
			if s.observe(time.Duration(ms)*time.Millisecond, rungs) {
				said = "shed"
			}
			fmt.Fprintf(&out, "%d %d: %s\n", ms, rungs, said)
		}
		return out.String()
	})
}

func TestKeyframer(t *testing.T) {
	k := keyframer{interval: 180}
	for _, c := range []struct {
		pts          int64
		source, want bool
	}{
		{10, false, true}, // the first picture, whatever it was
		{20, false, false},
		{30, true, true},
		{189, false, false},
		{209, false, false},
		{210, false, true}, // the interval after 30
		{220, true, true},  // the source's always
		{399, false, false},
		{405, false, true}, // the first one past it
	} {
		if got := k.force(c.pts, c.source); got != c.want {
			t.Errorf("picture at %d, source keyframe %v: keyframe %v", c.pts, c.source, got)
		}
	}
}

func TestPace(t *testing.T) {
	for _, c := range []struct {
		name   string
		step   int64 // of the source
		jitter int64
		want   int // of 120
	}{
		{"24 of 30", 3750, 0, 120},
		{"30 of 30", 3000, 0, 120},
		{"30 of 30 in milliseconds", 3000, 60, 120},
		{"50 of 30", 1800, 0, 60},
		{"60 of 30", 1500, 0, 60},
	} {
		p := pace{step: 2700} // 30 a second with slack
		kept := 0
		for i := range int64(120) {
			if p.keepAt(i*c.step+(i%2)*c.jitter, false) {
				kept++
			}
		}
		if kept != c.want {
			t.Errorf("%s: %d frames of 120 are kept, want %d", c.name, kept, c.want)
		}
	}
	p := pace{step: 2700}
	if !p.keepAt(0, false) || !p.keepAt(1, true) {
		t.Error("the first frame and keyframes are always kept")
	}
}

func TestLag(t *testing.T) {
	now := time.Unix(1000, 0)
	fast, slow, silent := &rung{}, &rung{}, &rung{}
	for r, ago := range map[*rung]time.Duration{fast: time.Second, slow: 4 * time.Second} {
		r.begun.Store(true)
		r.arrived.Store(now.Add(-ago).UnixNano())
	}
	if got := lag(now, 0, []*rung{fast, slow, silent}); got != 4*time.Second {
		t.Errorf("lag %v, want the slowest rung's", got)
	}
	slow.arrived.Store(0) // ingest did not say
	slow.pts.Store(90000)
	if got := lag(now, 4*90000, []*rung{fast, slow}); got != 3*time.Second {
		t.Errorf("lag %v, want the distance to the newest picture", got)
	}
}

func TestSpeed(t *testing.T) {
	w := newWorker(job.Spec{}, discard())
	r := newReporter(w, nil)
	g := &rung{}
	g.begun.Store(true)
	g.busy.add(time.Second)
	r.speed([]*rung{g})
	g.pts.Store(3 * 90000)
	g.busy.add(500 * time.Millisecond)
	w.state.decode.add(200 * time.Millisecond)
	if got := r.speed([]*rung{g}); got != 6 {
		t.Errorf("speed %v, want 3 s of media in half a second of the busiest stage", got)
	}
}
