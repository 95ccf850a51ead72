package transcode

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"nova/transcode/ladder"
)

func rungsOf(costs ...float64) []ladder.Rung {
	var rungs []ladder.Rung
	for i, cost := range costs {
		rungs = append(rungs, ladder.Rung{Name: fmt.Sprint(i), Bitrate: 4_000_000 >> i, Cost: cost})
	}
	return rungs
}

func TestAdmission(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Cores = 2
	a := newAdmission(cfg)
	all := rungsOf(0.5, 0.25, 0.125)

	first, ok := a.exchange(grant{}, 0.125, all)
	if !ok || first.refused != nil || len(first.rungs) != 3 || a.used() != 1 {
		t.Fatalf("first: %+v, %v cores used", first, a.used())
	}
	second, ok := a.exchange(grant{}, 0.5, all)
	if !ok || !errors.Is(second.refused, errNoCores) || !slices.Equal(rungNames(second.rungs), []string{"1", "2"}) {
		t.Fatalf("second: %+v, want all but the largest", second)
	}
	third, ok := a.exchange(grant{}, 0.125, all)
	if ok || !errors.Is(third.refused, errNoCores) {
		t.Fatalf("third: %+v, want nothing", third)
	}
	freed := a.freed()
	a.release(first)
	select {
	case <-freed:
	default:
		t.Error("nobody was told that cores are free")
	}
	if third, ok = a.exchange(grant{}, 0.125, all); !ok || len(third.rungs) != 3 {
		t.Errorf("third, later: %+v", third)
	}
	a.release(second)
	a.release(third)
	if a.used() != 0 {
		t.Errorf("%v cores used by nobody", a.used())
	}
}

func TestAdmissionCountsSessions(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Encoder, cfg.Sessions, cfg.Cores = "h264_nvenc", 4, 100
	a := newAdmission(cfg)
	if _, ok := a.exchange(grant{}, 0.1, rungsOf(0, 0, 0)); !ok {
		t.Fatal("three of four sessions were refused")
	}
	second, ok := a.exchange(grant{}, 0.1, rungsOf(0, 0, 0))
	if !ok || !errors.Is(second.refused, errNoSessions) || !slices.Equal(rungNames(second.rungs), []string{"2"}) {
		t.Errorf("second: %+v, want the lowest rung alone", second)
	}
	if _, ok := a.exchange(grant{}, 0.1, rungsOf(0)); ok {
		t.Error("a fifth session was given out")
	}
}

func TestAdmissionCountsStreams(t *testing.T) {
	cfg := DefaultConfig()
	cfg.MaxStreams, cfg.Cores = 1, 100
	a := newAdmission(cfg)
	g, ok := a.exchange(grant{}, 0.1, nil)
	if !ok {
		t.Fatal("a job without rungs was refused")
	}
	if second, ok := a.exchange(grant{}, 0.1, nil); ok || !errors.Is(second.refused, errNoStreams) {
		t.Errorf("second: %+v", second)
	}
	a.release(g)
	if _, ok := a.exchange(grant{}, 0.1, nil); !ok {
		t.Error("the place was not given back")
	}
}
