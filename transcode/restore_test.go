package transcode

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"nova/internal/media"
	"nova/transcode/job"
	"nova/transcode/ladder"
)

// A rung that was shed comes back after a time of health, with a keyframe, and no picture of the others is missing.
func TestShedRungComesBack(t *testing.T) {
	t.Parallel()
	cfg := testConfig(fakeArg, "shed", fmt.Sprint(45*frame), filepath.Join(t.TempDir(), "shed"))
	cfg.RestoreAfter = 300 * time.Millisecond
	r := newRig(t, cfg)
	r.live("demo", 240, 30, 10*time.Millisecond)
	g := r.collect("demo")
	g.whole(t, 240, "360p")
	want := [][]string{{"480p", "360p"}, {"360p"}, {"480p", "360p"}}
	if !slices.EqualFunc(g.lists, want, slices.Equal) {
		t.Fatalf("track lists %v, want %v", g.lists, want)
	}
	if n := r.metric("nova_transcode_worker_restarts_total", endRestore); n != 1 {
		t.Errorf("%v workers replaced for a rung more, want 1", n)
	}
	if n := r.metric("nova_transcode_gap_seconds", ""); n != 1 {
		t.Errorf("%v gaps measured, want that of 360p alone", n)
	}
	back := slices.IndexFunc(g.units["480p"], func(u *media.AccessUnit) bool { return u.PTS >= 46*frame })
	if back < 0 {
		t.Fatal("480p does not come back")
	}
	for i, u := range g.units["480p"][back:] {
		if first := g.units["480p"][back]; i == 0 && !u.Key || u.PTS != first.PTS+int64(i)*frame {
			t.Fatalf("480p: picture %d after its return is at %d, keyframe %v", i, u.PTS, u.Key)
		}
	}
}

// A stream that came to a full node gets the rest of its ladder when another stream has gone.
func TestStreamGetsRungWhenThereIsRoom(t *testing.T) {
	t.Parallel()
	cfg := testConfig(fakeArg, "report", "0", "")
	cfg.RestoreAfter = 200 * time.Millisecond
	cfg.Cores = 0.55 // one and a half of these streams
	r := newRig(t, cfg)
	r.live("first", 100, 30, 10*time.Millisecond)
	if _, err := r.join("first"); err != nil {
		t.Fatal(err)
	}
	r.live("second", 300, 30, 10*time.Millisecond)
	g := r.collect("second")
	g.whole(t, 300, "360p")
	if want := [][]string{{"360p"}, {"480p", "360p"}}; !slices.EqualFunc(g.lists, want, slices.Equal) {
		t.Errorf("track lists %v, want %v", g.lists, want)
	}
	if first := g.units["480p"][0]; !first.Key || first.PTS < 80*frame {
		t.Errorf("480p begins at picture %d, before there was room for it", first.PTS/frame)
	}
}

func TestRestorer(t *testing.T) {
	all := rungsOf(0.5, 0.25, 0.125)
	begin := time.Unix(0, 0)
	room := func([]ladder.Rung) bool { return true }
	r := restorer{wait: time.Minute}
	r.granted(all, all)
	if r.observe(begin, job.Report{}, room) || r.observe(begin.Add(time.Hour), job.Report{}, room) {
		t.Error("a stream that lacks nothing was to get a rung")
	}
	// Each step is a shed rung, then health from there on: how long until the rung comes back?
	for _, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 10 * time.Minute, 10 * time.Minute} {
		shed := job.Report{Shed: []string{"0"}}
		if r.observe(begin, shed, room) {
			t.Fatal("a rung comes back as it is shed")
		}
		if got := rungNames(r.allowed(all)); !slices.Equal(got, []string{"1", "2"}) {
			t.Errorf("after shedding %v is allowed", got)
		}
		if r.observe(begin.Add(want-time.Second), shed, room) || !r.observe(begin.Add(want), shed, room) {
			t.Errorf("the rung does not come back after %v", want)
		}
		if got := r.allowed(all); len(got) != 3 {
			t.Errorf("%v is allowed to the next worker", rungNames(got))
		}
		r.granted(all, all)
	}
}

func TestRestorerWantsHealth(t *testing.T) {
	all := rungsOf(0.5, 0.25, 0.125)
	begin := time.Unix(0, 0)
	for name, c := range map[string]struct {
		lag  float64
		room bool
	}{"lag": {1, true}, "no room": {0, false}} {
		r := restorer{wait: time.Minute}
		r.granted(all, all[1:])
		fits := func(rungs []ladder.Rung) bool { return len(rungs) == 3 && c.room }
		r.observe(begin, job.Report{}, func([]ladder.Rung) bool { return true })
		if r.observe(begin.Add(59*time.Second), job.Report{Lag: c.lag}, fits) {
			t.Errorf("%s: the rung comes back", name)
		}
		healthy := func([]ladder.Rung) bool { return true }
		if r.observe(begin.Add(time.Minute), job.Report{Lag: 0.9}, healthy) {
			t.Errorf("%s: the time of health does not begin anew", name)
		}
		if !r.observe(begin.Add(2*time.Minute), job.Report{Lag: 0.9}, healthy) {
			t.Errorf("%s: no rung after a minute of health", name)
		}
	}
}

// What a stream holds is its own while it asks for more or less.
func TestAdmissionExchanges(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Cores, cfg.MaxStreams = 1, 1
	a := newAdmission(cfg)
	all := rungsOf(0.5, 0.25, 0.125)
	g, ok := a.exchange(grant{}, 0.25, all[1:])
	if !ok || !a.fits(g, all[1:]) || a.fits(g, all) {
		t.Fatalf("%+v: fits %v, with a rung more %v", g, a.fits(g, all[1:]), a.fits(g, all))
	}
	freed := a.freed()
	if g, ok = a.exchange(g, 0.25, all[1:]); !ok || len(g.rungs) != 2 || isClosed(freed) {
		t.Errorf("the same again: %+v, others were woken: %v", g, isClosed(freed))
	}
	if g, ok = a.exchange(g, 0.25, all[2:]); !ok || len(g.rungs) != 1 || !isClosed(freed) {
		t.Errorf("less: %+v, others were woken: %v", g, isClosed(freed))
	}
	freed = a.freed()
	if g, ok = a.exchange(g, 2, nil); ok || !errors.Is(g.refused, errNoCores) || a.used() != 0 || !isClosed(freed) {
		t.Errorf("too much: %+v, %v cores in use", g, a.used())
	}
	a.release(g)
	if a.used() != 0 {
		t.Errorf("%v cores in use", a.used())
	}
}
