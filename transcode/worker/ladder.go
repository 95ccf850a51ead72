package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"nova/internal/media"
	"nova/internal/obs"
	"nova/transcode/av"
	"nova/transcode/ladder"
	"nova/transcode/scale"
)

// runLadder makes each rung's frames, and changes the ladder when the source or the machine's pace asks for it.
func (w *worker) runLadder(ctx context.Context) (err error) {
	l := &laddering{
		w: w, ctx: ctx, plan: w.spec.Rungs, src: w.spec.Source,
		refused: obs.NewRepeated(w.log, slog.LevelWarn, "cannot scale"),
	}
	defer func() { err = l.end(err) }()
	for {
		select {
		case f, more := <-w.ladderQ:
			if !more {
				return l.flush()
			}
			if err := l.frame(f); err != nil {
				return err
			}
		case <-l.failed():
			return context.Cause(l.running)
		}
	}
}

// laddering is runLadder's state.
type laddering struct {
	w   *worker
	ctx context.Context //nolint:containedctx // of the one call that this is the state of

	// plan is the ladder to make of pictures of shown width and height; src is the source with that size.
	plan                    []ladder.Rung
	src                     ladder.Source
	shownWidth, shownHeight int
	// broke tells that the ladder was changed, so that players must expect another picture.
	broke bool

	// stage and rungs are made at the first frame of a plan, and again after a change.
	stage scale.Stage
	rungs []*rung
	// encoders runs the rungs; its context ends when one fails.
	encoders *errgroup.Group
	running  context.Context //nolint:containedctx // of the rungs at hand

	refused *obs.Repeated
	// blocked is the time that emit waited in for the encoders.
	blocked time.Duration
}

// failed is closed when an encoder has failed.
func (l *laddering) failed() <-chan struct{} {
	if l.running == nil {
		return nil
	}
	return l.running.Done()
}

// frame takes ownership of f.
func (l *laddering) frame(f *av.Frame) error {
	if err := l.follow(f); err != nil {
		f.Release()
		return err
	}
	if l.rungs != nil {
		select {
		case <-l.w.shed:
			l.shed()
		default:
		}
	}
	if len(l.plan) == 0 {
		f.Release()
		return nil
	}
	began := time.Now()
	l.blocked = 0
	err := l.scale(f)
	l.w.state.scale.add(time.Since(began) - l.blocked)
	return l.tolerate(err)
}

func (l *laddering) scale(f *av.Frame) (err error) {
	if l.stage == nil {
		if l.stage, err = l.newStage(); err != nil {
			f.Release()
			return err
		}
	}
	return l.stage.Scale(f, l.emit)
}

func (l *laddering) newStage() (scale.Stage, error) {
	sizes := make([]scale.Rung, len(l.plan))
	for i, r := range l.plan {
		sizes[i] = scale.Rung{Name: r.Name, Width: r.Width, Height: r.Height}
	}
	if l.w.gpu != nil {
		return scale.NewGPU(sizes)
	}
	return scale.New(sizes)
}

// tolerate counts what is wrong with one picture, and hands on what is wrong with the stage.
func (l *laddering) tolerate(err error) error {
	var hdr *scale.HDRError
	var shape *scale.ShapeError
	if !errors.As(err, &hdr) && !errors.As(err, &shape) {
		return err
	}
	l.w.state.count("scale")
	l.refused.Add(err)
	return nil
}

// emit takes ownership of one frame for each rung, and sends it to its encoder.
func (l *laddering) emit(frames []*av.Frame) error {
	if l.rungs == nil {
		if err := l.open(frames); err != nil {
			release(frames)
			return err
		}
	}
	began := time.Now()
	defer func() { l.blocked += time.Since(began) }()
	for i, f := range frames {
		if f == nil {
			continue
		}
		if r := l.rungs[i]; r.retired || !r.pace.keep(f) {
			f.Release()
			continue
		}
		if err := sendFrame(l.running, l.rungs[i].frames, f); err != nil {
			release(frames[i+1:])
			return err
		}
	}
	return nil
}

func release(frames []*av.Frame) {
	for _, f := range frames {
		if f != nil {
			f.Release()
		}
	}
}

// open starts an encoder for each rung of the plan, and announces them.
func (l *laddering) open(like []*av.Frame) error {
	var rungs []*rung
	var tracks []media.Track
	for i, r := range l.plan {
		opened, err := l.w.openRung(r, l.src.FrameRate, like[i], l.broke)
		if err != nil {
			closeRungs(rungs)
			return err
		}
		rungs = append(rungs, opened)
		tracks = append(tracks, opened.track())
	}
	if err := send(l.ctx, l.w.outputQ, message{rungs: tracks, ladder: true}); err != nil {
		closeRungs(rungs)
		return err
	}
	l.rungs = rungs
	l.w.state.setRungs(rungs)
	l.encoders, l.running = errgroup.WithContext(l.ctx)
	for _, r := range rungs {
		// Owns: the rung's encoder. Ends when: its queue is closed. Waited for by: stop.
		l.encoders.Go(func() error { return r.runRung(l.running) })
	}
	return nil
}

// flush pushes what the scaler holds back to the encoders.
func (l *laddering) flush() error {
	if l.stage == nil {
		return nil
	}
	return l.stage.Flush(l.emit)
}

// stop closes the rungs' queues and waits until they have flushed.
func (l *laddering) stop() error {
	if l.stage != nil {
		l.stage.Close()
		l.stage = nil
	}
	if l.rungs == nil {
		return nil
	}
	for _, r := range l.rungs {
		if !r.retired {
			close(r.frames)
		}
	}
	err := l.encoders.Wait()
	for _, r := range l.rungs {
		releaseRest(r.frames) // of a rung that failed
	}
	l.rungs, l.running = nil, nil
	l.w.state.setRungs(nil)
	return err
}

// end stops, and prefers an encoder's error to the one that it caused here.
func (l *laddering) end(err error) error {
	if stopped := l.stop(); stopped != nil {
		return stopped
	}
	return err
}

// shed gives up the rung of the lowest value: its encoder flushes and ends.
func (l *laddering) shed() {
	var left []ladder.Rung
	var running []*rung
	for _, r := range l.rungs {
		if !r.retired {
			left, running = append(left, r.Rung), append(running, r)
		}
	}
	i := ladder.Shed(left)
	if i < 0 {
		return
	}
	gone := running[i]
	for n, r := range l.rungs {
		if r == gone {
			l.stage.SetActive(n, false)
		}
	}
	gone.retired = true
	close(gone.frames)
	l.w.state.retire(gone)
	l.w.log.Warn("rung is given up: the machine is slower than real time", slog.String(obs.KeyRendition, gone.Name))
}

// follow changes the ladder where the source's pictures have changed in a way that it does not fit any more. The
// first picture is looked at like any other: it may be turned, which its track does not tell.
func (l *laddering) follow(f *av.Frame) error {
	width, height := scale.DisplaySize(f)
	if width == l.shownWidth && height == l.shownHeight {
		return nil
	}
	first := l.shownWidth == 0
	l.shownWidth, l.shownHeight = width, height
	l.src.Width, l.src.Height, l.src.SAR = width, height, media.Rational{}
	bars := !first && l.w.gpu == nil
	if len(l.plan) > 0 && l.src.Covers(l.plan) && (bars || l.src.SameShape(l.plan)) {
		return nil
	}
	return l.replan(first)
}

// replan ends the rungs at hand and plans for the source as it is now, within the share of the machine that this
// job was given.
func (l *laddering) replan(first bool) error {
	rungs, err := ladder.Plan(l.src, l.w.spec.Ladder)
	if err != nil {
		l.w.state.count("scale")
		l.refused.Add(err)
	}
	if l.w.spec.Cores > 0 {
		rungs = ladder.Fit(rungs, l.w.spec.Cores)
	}
	if err := l.flush(); l.tolerate(err) != nil {
		return err
	}
	if err := l.stop(); err != nil {
		return err
	}
	l.plan, l.broke = rungs, l.broke || !first
	l.w.log.Info("ladder follows the source", slog.Int("width", l.shownWidth), slog.Int("height", l.shownHeight),
		slog.Int("rungs", len(rungs)))
	if len(rungs) == 0 {
		return send(l.ctx, l.w.outputQ, message{ladder: true})
	}
	return nil
}
