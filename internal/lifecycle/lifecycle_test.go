package lifecycle

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var quiet = slog.New(slog.DiscardHandler)

type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func (j *journal) service(name string, drain time.Duration) Service {
	return Service{name, func(ctx context.Context) error {
		<-ctx.Done()
		j.add(name + " told")
		time.Sleep(drain) // the bubble's clock
		j.add(name + " done")
		return ctx.Err()
	}}
}

func TestStopsInReverseAndWaitsForEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := Run(ctx, quiet, time.Minute, j.service("store", time.Second), j.service("ingest", time.Second)); err != nil {
			t.Fatal(err)
		}
		want := []string{"ingest told", "ingest done", "store told", "store done"}
		if !slices.Equal(j.lines, want) {
			t.Errorf("order %v, want %v", j.lines, want)
		}
	})
}

func TestFailureStopsTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		boom := errors.New("boom")
		err := Run(t.Context(), quiet, time.Minute, j.service("store", 0),
			Service{"ingest", func(context.Context) error { return boom }})
		if !errors.Is(err, boom) || !slices.Contains(j.lines, "store done") {
			t.Errorf("err %v, journal %v", err, j.lines)
		}
	})
}

func TestAServiceThatJustEndsIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := Run(t.Context(), quiet, time.Minute, Service{"odd", func(context.Context) error { return nil }})
		if err == nil {
			t.Error("must be reported")
		}
	})
}

func TestDrainTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		begin := time.Now()
		err := Run(ctx, quiet, 5*time.Second, j.service("store", 0), j.service("stuck", time.Hour))
		if !errors.Is(err, ErrDrain) || time.Since(begin) != 5*time.Second {
			t.Errorf("err %v after %v", err, time.Since(begin))
		}
		time.Sleep(time.Hour)
		synctest.Wait()
	})
}
