// Package worker is the body of the child process that transcodes one stream.
//
//	stdin ─▶ [runInput] ─units(64)─▶ [runDecode] ─frames(4)─▶ [runLadder] ─frames(4) a rung─▶ [runRung ×n] ─┐
//	             ├──units(128)──▶ [runAudio: decoder and encoder] ──────────────────────────────────────────┤
//	             └──keyframes(1), dropped when full──▶ [runPoster] ─────────────────────────────────────────┤
//	stdout ◀── [runOutput] ◀──────────────────────────────────────────────── messages(64) ──────────────────┘
//
// Each codec context has a goroutine of its own. A full queue blocks the stage before it, up to stdin; the relay's
// ring in front of the process is what drops, by whole groups of pictures. The end of stdin goes through all
// stages, each one flushing, and closes stdout.
//
// One timeline: units keep the source's PTS, and each rung has its keyframes at the same pictures: where the
// source has one, and where none came for the keyframe interval.
//
// Stage: 3/6 · In: *media.AccessUnit · Out: *media.AccessUnit
package worker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"nova/internal/media"
	"nova/internal/obs"
	"nova/internal/relay"
	"nova/transcode/av"
	"nova/transcode/encode"
	"nova/transcode/job"
)

// Capacities of the queues.
const (
	decodeQueue = 64
	frameQueue  = 4
	audioQueue  = 128
	posterQueue = 1
	outputQueue = 64
)

// Main reads the job and the source from stdin, writes renditions to stdout, reports to reports (file descriptor
// 3 of the child) and the log to standard error. It returns when stdin has ended and all is flushed, or ctx has.
func Main(ctx context.Context, stdin, stdout *os.File, reports *os.File) error {
	stdin, err := interruptible(stdin)
	if err != nil {
		return err
	}
	if stdout, err = interruptible(stdout); err != nil {
		return err
	}
	in := source{bufio.NewReaderSize(stdin, 64<<10), stdin}
	spec, err := job.ReadSpec(in.Reader)
	if err != nil {
		return err
	}
	log := obs.NewLogger(os.Stderr, spec.LogLevel).With(obs.KeyStream, spec.Stream)
	av.SetLog(log)
	return Run(ctx, in, stdout, reports, spec, log)
}

// interruptible is f with deadlines, which Go gives to non-blocking files only.
func interruptible(f *os.File) (*os.File, error) {
	fd := f.Fd()
	if err := syscall.SetNonblock(int(fd), true); err != nil {
		return nil, fmt.Errorf("cannot set up %s: %w", f.Name(), err)
	}
	return os.NewFile(fd, f.Name()), nil
}

// source is a buffered file that can still be interrupted and closed.
type source struct {
	*bufio.Reader
	file *os.File
}

func (s source) SetReadDeadline(t time.Time) error { return s.file.SetReadDeadline(t) }
func (s source) Close() error                      { return s.file.Close() }

// worker is one job under way.
type worker struct {
	// set by Run
	spec job.Spec
	log  *slog.Logger
	gpu  *av.GPU

	decodeQ chan *media.AccessUnit
	ladderQ chan *av.Frame
	audioQ  chan *media.AccessUnit
	posterQ chan *media.AccessUnit
	outputQ chan message
	// shed asks runLadder to give up a rung.
	shed chan struct{}

	state *state
}

// Run does the job until stdin ends, which gives nil, or fails. It closes stdin where that is an io.Closer. A job
// that can never be done is told in a report too.
func Run(ctx context.Context, stdin io.Reader, stdout, reports io.Writer, spec job.Spec, log *slog.Logger) error {
	w := newWorker(spec, log)
	in := relay.NewReader(stdin, relay.Limits{})
	defer in.Close()
	if spec.Encoder != encode.X264 {
		gpu, err := av.OpenGPU(spec.GPU)
		if err != nil {
			return errors.Join(err, newReporter(w, reports).refuse(err))
		}
		defer gpu.Close()
		w.gpu = gpu
	}
	return w.run(ctx, in, stdout, reports)
}

func newWorker(spec job.Spec, log *slog.Logger) *worker {
	return &worker{
		spec: spec, log: log.With(obs.KeyComp, "worker"),
		decodeQ: make(chan *media.AccessUnit, decodeQueue), ladderQ: make(chan *av.Frame, frameQueue),
		audioQ: make(chan *media.AccessUnit, audioQueue), posterQ: make(chan *media.AccessUnit, posterQueue),
		outputQ: make(chan message, outputQueue), shed: make(chan struct{}, 1), state: newState(),
	}
}

func (w *worker) run(ctx context.Context, in *relay.PipeReader, stdout, reports io.Writer) error {
	info, err := in.ReadInfo(ctx)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	reporting, stopReports := context.WithCancel(ctx)
	reported := make(chan struct{})
	// Owns: the reporter. Ends when: all stages have ended. Waited for by: run.
	go newReporter(w, reports).runReports(reporting, reported)
	defer func() { stopReports(); <-reported }()

	group, ctx := errgroup.WithContext(ctx)
	stop := interruptWrites(ctx, stdout)
	defer stop()
	// Owns: the stages. Ends when: they have. Waited for by: run.
	group.Go(func() error { return w.runStages(ctx, in) })
	// Owns: stdout and the track list. Ends when: runStages closes outputQ. Waited for by: run.
	group.Go(func() error { return newOutput(w, stdout).runOutput(ctx, info) })
	return group.Wait()
}

// runStages runs what sends to outputQ.
func (w *worker) runStages(ctx context.Context, in relay.Reader) error {
	defer close(w.outputQ)
	group, ctx := errgroup.WithContext(ctx)
	// Owns: the input. Ends when: stdin ends. Waited for by: runStages.
	group.Go(func() error { return w.runInput(ctx, in) })
	// Owns: the video decoder. Ends when: runInput closes decodeQ. Waited for by: runStages.
	group.Go(func() error { return w.runDecode(ctx) })
	// Owns: the scaler and the rungs. Ends when: runDecode closes ladderQ. Waited for by: runStages.
	group.Go(func() error { return w.runLadder(ctx) })
	// Owns: the audio codecs. Ends when: runInput closes audioQ. Waited for by: runStages.
	group.Go(func() error { return w.runAudio(ctx) })
	// Owns: the poster's codecs. Ends when: runInput closes posterQ. Waited for by: runStages.
	group.Go(func() error { return w.runPoster(ctx) })
	err := group.Wait()
	releaseRest(w.ladderQ) // where runLadder failed; it must not wait for the end of the queue itself
	return err
}

// interruptWrites makes a write to w that is under way fail when ctx ends, where w is a file that can do it.
func interruptWrites(ctx context.Context, w io.Writer) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		if f, ok := w.(interface{ SetWriteDeadline(time.Time) error }); ok {
			_ = f.SetWriteDeadline(time.Unix(1, 0)) // a file that cannot blocks its writer only
		}
	})
}

// send puts v into q, or fails with the reason for which ctx ended.
func send[T any](ctx context.Context, q chan<- T, v T) error {
	select {
	case q <- v:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// sendFrame moves f into q; where ctx ends first, f is released.
func sendFrame(ctx context.Context, q chan<- *av.Frame, f *av.Frame) error {
	err := send(ctx, q, f)
	if err != nil {
		f.Release()
	}
	return err
}

// releaseRest releases what is left in q, which its sender has closed.
func releaseRest(q <-chan *av.Frame) {
	for f := range q {
		f.Release()
	}
}

// fatal tells errors that a codec cannot go on after from those that damaged input makes.
func fatal(err error) bool {
	return errors.Is(err, av.ErrNoMemory) || errors.Is(err, av.ErrExternal) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
