package transcode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"nova/internal/obs"
	"nova/internal/relay"
	"nova/transcode/job"
)

// Limits of one stream's supervision.
const (
	// readGrace is how long the source is read on after the order to stop: what is on its way, and its end.
	readGrace = 250 * time.Millisecond
	// rejoinLimit is how long a broken connection to the source's hub is mended.
	rejoinLimit = 10 * time.Second
	rejoinEvery = 250 * time.Millisecond
	// tailAttempts is how many workers are tried on what is left after the source has ended.
	tailAttempts = 3
	// sameGOPCrashes is how many workers may die on one group of pictures before it is left out.
	sameGOPCrashes = 2
)

// stream transcodes one live session: one worker after another, and all their output as one.
//
//	ingest's hub ──runRead──▶ replay ──▶ [attempt: one worker] ──▶ output ──▶ transcode's hub
type stream struct {
	// set by newStream
	sup    *Supervisor
	info   relay.Info
	log    *slog.Logger
	replay *replay
	seen   *observer
	wait   backoff

	// owned by run
	to  *relay.Stream
	out *output
	// crashes counts the workers that died while the replay began at crashAt.
	crashAt int64
	crashes int
	// refused tells that no worker can do this stream; shortage is what was last said to be scarce.
	refused  bool
	shortage error
	// share is kept from one worker to the next, so that a crash does not cost the stream its place.
	share   grant
	restore restorer
}

func newStream(sup *Supervisor, info relay.Info) *stream {
	return &stream{
		sup: sup, info: info,
		log:    sup.log.With(obs.KeyStream, info.Stream, obs.KeySession, info.Session),
		replay: newReplay(replayUnits, replayBytes),
		seen:   newObserver(sup.cfg.Ladder.Passthrough),
		wait:   backoff{cfg: sup.cfg.Backoff}, restore: restorer{wait: sup.cfg.RestoreAfter},
	}
}

// run returns when the session has ended, or soon after ctx has.
func (st *stream) run(ctx context.Context) {
	reader, err := st.join(ctx)
	if err != nil {
		st.log.Debug("stream ended before it was transcoded", obs.Err(err))
		return
	}
	done := make(chan struct{})
	// Owns: the reader, and the writing side of replay and seen.
	// Ends when: the source ends, or a moment after ctx has. Waited for by: run.
	go st.runRead(ctx, reader, done)
	st.supervise(ctx)
	<-done
	if st.to != nil {
		st.to.Close()
	}
}

// join subscribes to this very session.
func (st *stream) join(ctx context.Context) (relay.Reader, error) {
	reader, err := st.sup.source.Subscribe(ctx, st.info.Stream, relay.Options{})
	if err != nil {
		return nil, err
	}
	if reader.Info().Session != st.info.Session {
		reader.Close()
		return nil, fmt.Errorf("session %s has taken over: %w", reader.Info().Session, relay.ErrNotFound)
	}
	return reader, nil
}

func (st *stream) runRead(ctx context.Context, reader relay.Reader, done chan<- struct{}) {
	defer close(done)
	defer st.replay.end()
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(readGrace, stop) })()
	for reader != nil {
		err := st.read(reading, reader)
		reader.Close()
		if reader = nil; errors.Is(err, io.ErrUnexpectedEOF) {
			st.log.Warn("connection to the source broke; joining again", obs.Err(err))
			reader = st.rejoin(ctx)
		}
	}
}

// read moves items until the reader ends. Units that came before a rejoin already are left out.
func (st *stream) read(ctx context.Context, reader relay.Reader) error {
	for {
		item, err := reader.Next(ctx)
		if err != nil {
			return err
		}
		if item.Lost > 0 {
			st.sup.metrics.dropped.WithLabelValues("late").Add(float64(item.Lost))
		}
		if item.Unit != nil && !st.replay.fresh(item.Unit) {
			continue
		}
		st.seen.see(item)
		if err := st.replay.append(ctx, item); err != nil {
			return err
		}
	}
}

// rejoin subscribes again after the connection broke; nil where the session is gone.
func (st *stream) rejoin(ctx context.Context) relay.Reader {
	for deadline := time.Now().Add(rejoinLimit); time.Now().Before(deadline); {
		if reader, err := st.join(ctx); err == nil {
			return reader
		}
		if st.replay.pause(ctx, rejoinEvery); ctx.Err() != nil {
			return nil
		}
	}
	return nil
}

// supervise runs one worker after another until the source has ended and is done.
func (st *stream) supervise(ctx context.Context) {
	defer st.giveBack()
	for tail := 0; tail < tailAttempts && st.seen.await(ctx, st.replay.done); {
		src, want := st.seen.plan()
		freed := st.sup.admission.freed()
		spec, ok := st.admit(src, want)
		if !ok {
			if !st.rest(ctx, freed) {
				return
			}
			continue
		}
		began := time.Now()
		reason := st.attempt(ctx, spec)
		switch {
		case reason == endClean:
			return
		case orderly(reason):
			st.restarted(reason, 0)
		case reason == endHang && st.replay.over() && !st.out.behind(st.replay.newest()):
			st.log.Error("worker did not end, and was killed")
			return
		default:
			if st.replay.over() {
				tail++
			}
			st.isolate(reason)
			wait := st.wait.after(time.Since(began))
			st.restarted(reason, wait)
			st.replay.pause(ctx, wait)
		}
	}
}

// attempt runs one worker, and returns why it went.
func (st *stream) attempt(ctx context.Context, spec job.Spec) string {
	if st.to == nil {
		to, err := st.sup.hub.Open(st.info)
		if err != nil {
			st.log.Error("cannot offer renditions", obs.Err(err))
			return endStart
		}
		st.to, st.out = to, newOutput(to, st.sup.metrics, st.log)
	}
	spec.Resume = st.out.resume()
	c, err := st.sup.spawner.start(ctx, st.sup.command)
	if err != nil {
		st.log.Error("cannot start worker", obs.Err(err))
		return endStart
	}
	st.sup.metrics.workers.Inc()
	defer st.sup.metrics.workers.Dec()
	st.log.Info("worker started", slog.Int("worker", c.cmd.Process.Pid), slog.Any("rungs", rungNames(spec.Rungs)))
	a := newAttempt(st, c, spec)
	reason := a.run(ctx)
	if a.report.Refused != "" {
		st.refused = true
		st.sup.metrics.refused.WithLabelValues("encoder").Inc()
		st.log.Error("stream is not transcoded", slog.String(obs.KeyReason, a.report.Refused))
	}
	return reason
}

func (st *stream) restarted(reason string, wait time.Duration) {
	st.sup.metrics.restarts.WithLabelValues(reason).Inc()
	level := slog.LevelWarn
	if orderly(reason) {
		level = slog.LevelInfo
	}
	st.log.Log(context.Background(), level, "worker is replaced", slog.String(obs.KeyReason, reason), slog.Duration("wait", wait))
}

// isolate leaves a group of pictures out that workers die on again and again.
func (st *stream) isolate(reason string) {
	if reason == endStart || reason == endHang {
		return
	}
	if place := st.replay.place(); place != st.crashAt {
		st.crashAt, st.crashes = place, 0
	}
	if st.crashes++; st.crashes >= sameGOPCrashes {
		st.log.Warn("workers die on the same pictures: going on at the next keyframe", slog.Int(obs.KeyCount, st.crashes))
		st.replay.skip()
		st.crashes = 0
	}
}

// rest waits, with nothing to do or nothing to do it with, until that may have changed: freed is closed when cores
// are. It returns false where the source or ctx has ended.
func (st *stream) rest(ctx context.Context, freed <-chan struct{}) bool {
	st.replay.rest()
	stale := st.seen.stale()
	if st.refused {
		freed, stale = nil, nil
	}
	select {
	case <-freed:
	case <-stale:
	case <-st.replay.done:
		return false
	case <-ctx.Done():
		return false
	}
	return true
}
