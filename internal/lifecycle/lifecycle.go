// Package lifecycle starts a process's services in order and stops them in reverse, each one having the time
// to drain before the one that it feeds is told to stop.
//
//	start: S3 ─▶ store ─▶ packager ─▶ transcode ─▶ ingest
//	stop:  ingest ─▶ transcode ─▶ packager ─▶ store ─▶ S3   (end of stream travels the same way)
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"nova/internal/obs"
)

// Service is one part of the process.
type Service struct {
	Name string
	// Run blocks until ctx ends or the service fails, and returns only after its goroutines have ended.
	// A nil error before ctx ended is a failure too: a service does not just stop.
	Run func(ctx context.Context) error
}

// ErrDrain tells that a service did not stop within the drain timeout.
var ErrDrain = errors.New("did not stop in time")

type running struct {
	Service
	cancel context.CancelFunc
	done   chan error
}

// Run runs the services until ctx ends or one of them fails, then stops them in reverse order within drain for
// all of them together. It returns nil after a clean stop.
func Run(ctx context.Context, log *slog.Logger, drain time.Duration, services ...Service) error {
	failed := make(chan error, len(services))
	var started []*running
	for _, s := range services {
		started = append(started, start(s, failed))
	}
	var cause error
	select {
	case <-ctx.Done():
	case cause = <-failed:
		log.Error("a service failed; stopping", obs.Err(cause))
	}
	return errors.Join(cause, stop(log, drain, started))
}

// start runs one service under a context of its own, which outlives the process's: services stop in order.
func start(s Service, failed chan<- error) *running {
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Service: s, cancel: cancel, done: make(chan error, 1)}
	// Owns: the service's Run. Ends when: Run returns. Waited for by: stop.
	go r.runService(ctx, failed)
	return r
}

func (r *running) runService(ctx context.Context, failed chan<- error) {
	err := r.Run(ctx)
	if ctx.Err() == nil {
		if err == nil {
			err = errors.New("ended by itself")
		}
		failed <- fmt.Errorf("%s: %w", r.Name, err)
		err = nil // reported once, as the cause
	} else if errors.Is(err, context.Canceled) {
		err = nil
	}
	r.done <- err
}

func stop(log *slog.Logger, drain time.Duration, started []*running) error {
	deadline := time.NewTimer(drain)
	defer deadline.Stop()
	var errs []error
	for i := len(started) - 1; i >= 0; i-- {
		r := started[i]
		begin := time.Now()
		r.cancel()
		select {
		case err := <-r.done:
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", r.Name, err))
			}
			log.Info("stopped", "service", r.Name, "took", time.Since(begin).Round(time.Millisecond).String())
		case <-deadline.C:
			for _, left := range started[:i] {
				left.cancel()
			}
			return errors.Join(append(errs, fmt.Errorf("%s: %w", r.Name, ErrDrain))...)
		}
	}
	return errors.Join(errs...)
}

// Signals gives a context that ends at the first SIGINT or SIGTERM. At the second the process exits at once.
func Signals(log *slog.Logger, exit func(int)) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	// Owns: the signals. Ends when: cancel is called or the process exits. Waited for by: nobody, it holds nothing.
	go runSignals(ctx, cancel, log, signals, exit)
	return ctx, cancel
}

func runSignals(ctx context.Context, cancel context.CancelFunc, log *slog.Logger, signals chan os.Signal, exit func(int)) {
	defer signal.Stop(signals)
	select {
	case s := <-signals:
		log.Info("stopping; a second signal exits at once", "signal", s.String())
		cancel()
	case <-ctx.Done():
	}
	if s, ok := <-signals; ok {
		log.Warn("second signal: exiting at once", "signal", s.String())
		exit(1)
	}
}
