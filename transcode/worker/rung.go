package worker

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"nova/internal/media"
	"nova/transcode/av"
	"nova/transcode/encode"
	"nova/transcode/ladder"
)

// rung is one rendition under way.
type rung struct {
	ladder.Rung

	// set by openRung
	w      *worker
	enc    *encode.Video
	frames chan *av.Frame
	broke  bool

	// owned by runLadder
	pace    pace
	retired bool

	// written by runRung, read by the reporter
	busy    meter
	pts     atomic.Int64
	arrived atomic.Int64 // in nanoseconds since 1970; 0 where not known
	begun   atomic.Bool
}

// openRung opens an encoder for frames like that one.
func (w *worker) openRung(r ladder.Rung, rate media.Rational, like *av.Frame, broke bool) (*rung, error) {
	threads := w.spec.Threads
	if threads == 0 {
		threads = max(int(math.Ceil(r.Cost)), 1)
	}
	enc, err := encode.NewVideo(encode.Config{
		Encoder: w.spec.Encoder, Preset: w.spec.Preset, Width: r.Width, Height: r.Height, FrameRate: paced(rate, r),
		Bitrate: r.Bitrate, MaxBitrate: r.MaxBitrate, BufferSize: r.BufferSize,
		KeyframeInterval: w.spec.KeyframeInterval, Threads: threads,
	}, like, w.gpu)
	if err != nil {
		return nil, err
	}
	return &rung{
		Rung: r, w: w, enc: enc, broke: broke, frames: make(chan *av.Frame, frameQueue),
		pace: pace{step: ladder.PaceTicks(r.MaxFrameRate, media.VideoTimescale)},
	}, nil
}

// defaultRate is what rate control plans with where the source states nothing.
var defaultRate = media.Rational{Num: 30, Den: 1}

// paced is the rate of the frames that are left of a source with that rate.
func paced(rate media.Rational, r ladder.Rung) media.Rational {
	if rate.Float() <= 0 {
		return defaultRate
	}
	return media.Rational{Num: rate.Num, Den: rate.Den * ladder.Pace(rate, r.MaxFrameRate)}
}

func closeRungs(rungs []*rung) {
	for _, r := range rungs {
		r.enc.Close()
	}
}

func (r *rung) track() media.Track {
	return media.Track{
		ID: r.ShortSide(), Kind: media.Video, Name: r.Name, Timescale: media.VideoTimescale,
		Config: r.enc.Config(), Bitrate: r.Bitrate,
	}
}

// runRung encodes until its queue is closed, then flushes. Where it fails, what is left in the queue is stop's to release:
// its error has to be seen before anybody closes the queue.
func (r *rung) runRung(ctx context.Context) error {
	defer r.enc.Close()
	emit := func(u *media.AccessUnit) error { return r.emit(ctx, u) }
	for f := range r.frames {
		began := time.Now()
		err := r.enc.Encode(f, emit)
		r.busy.add(time.Since(began))
		if err != nil {
			return err
		}
	}
	if err := r.enc.Flush(emit); err != nil {
		return err
	}
	return send(ctx, r.w.outputQ, message{retire: r.ShortSide()})
}

func (r *rung) emit(ctx context.Context, u *media.AccessUnit) error {
	u.Track = r.ShortSide()
	if r.broke {
		u.Discontinuity, r.broke = true, false
	}
	r.pts.Store(u.PTS)
	if !u.Arrived.IsZero() {
		r.arrived.Store(u.Arrived.UnixNano())
	}
	r.begun.Store(true)
	return send(ctx, r.w.outputQ, message{unit: u})
}

// pace drops the frames that a rung's frame rate has no room for, never keyframes.
type pace struct {
	step  int64
	last  int64
	begun bool
}

func (p *pace) keep(f *av.Frame) bool { return p.keepAt(f.PTS(), f.ForceKey || f.Discontinuity) }

func (p *pace) keepAt(pts int64, always bool) bool {
	if p.begun && !always && pts-p.last < p.step {
		return false
	}
	p.last, p.begun = pts, true
	return true
}
