package transcode

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"nova/transcode/worker"
)

// The test binary is its own worker: a fake one, or the real one.
const (
	fakeArg = "fake-worker"
	realArg = "real-worker"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == fakeArg || os.Args[1] == realArg) {
		reports := os.NewFile(3, "reports")
		var err error
		if os.Args[1] == realArg {
			err = worker.Main(context.Background(), os.Stdin, os.Stdout, reports)
		} else {
			err = fakeMain(os.Args[2:], reports)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// The race detector's own second at the end of each worker is no part of what is tested.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// testConfig is quick to give up and to try again.
func testConfig(command ...string) Config {
	cfg := DefaultConfig()
	cfg.Command = append([]string{os.Args[0]}, command...)
	cfg.Cores = 64
	cfg.Preset = "ultrafast"
	cfg.StallTimeout = time.Second
	cfg.DrainTimeout = 3 * time.Second
	cfg.Backoff = Backoff{Min: 20 * time.Millisecond, Max: 200 * time.Millisecond, Healthy: 30 * time.Second}
	return cfg
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
