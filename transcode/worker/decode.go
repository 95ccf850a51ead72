package worker

import (
	"context"
	"log/slog"
	"math"
	"time"

	"nova/internal/media"
	"nova/internal/obs"
	"nova/transcode/av"
	"nova/transcode/decode"
)

// runDecode turns the source's pictures into frames, and decides which ones are keyframes.
func (w *worker) runDecode(ctx context.Context) error {
	defer close(w.ladderQ)
	d := &decoding{
		w: w, ctx: ctx, resume: w.resumeAt(),
		keys:   keyframer{interval: media.Ticks(w.spec.KeyframeInterval, media.VideoTimescale)},
		damage: obs.NewRepeated(w.log, slog.LevelWarn, "cannot decode video"),
	}
	defer d.close()
	for u := range w.decodeQ {
		if err := d.decode(u); err != nil {
			return err
		}
	}
	if d.dec == nil {
		return nil
	}
	return d.dec.Flush(d.frame)
}

// resumeAt is the PTS that every rung has been published up to.
func (w *worker) resumeAt() int64 {
	at := int64(math.MinInt64)
	for _, r := range w.spec.Rungs {
		if pts, ok := w.spec.Resume[r.Name]; ok {
			at = max(at, pts)
		}
	}
	return at
}

// decoding is runDecode's state.
type decoding struct {
	w      *worker
	ctx    context.Context //nolint:containedctx // of the one call that this is the state of
	dec    *decode.Decoder
	resume int64
	keys   keyframer
	damage *obs.Repeated
	// concealed is how many pictures of damaged units have been counted.
	concealed int64
	// blocked is the time that frame waited in for the next stage.
	blocked time.Duration
}

func (d *decoding) decode(u *media.AccessUnit) error {
	began := time.Now()
	d.blocked = 0
	err := d.tryDecode(u)
	d.w.state.decode.add(time.Since(began) - d.blocked)
	d.countConcealed()
	if err == nil || d.ctx.Err() != nil || fatal(err) {
		return err
	}
	d.w.state.count("video_decode")
	d.damage.Add(err)
	return nil
}

// countConcealed counts pictures that the decoder had to make up in part.
func (d *decoding) countConcealed() {
	if d.dec == nil {
		return
	}
	for now := d.dec.Stats().Corrupt; d.concealed < now; d.concealed++ {
		d.w.state.count("video_concealed")
	}
}

func (d *decoding) tryDecode(u *media.AccessUnit) (err error) {
	if d.dec == nil {
		threads := d.w.spec.DecodeThreads
		if threads == 0 {
			threads = max(int(math.Ceil(d.w.spec.Source.DecodeCost())), 1)
		}
		d.dec, err = decode.NewVideo(u.Config, decode.Options{Threads: threads, GPU: d.w.gpu})
		if err != nil {
			d.dec = nil
			return err
		}
	}
	return d.dec.Decode(u, d.frame)
}

// frame passes on what has not been published by a worker before this one.
func (d *decoding) frame(f *av.Frame) error {
	if f.PTS() <= d.resume {
		d.w.state.skipped.Add(1)
		f.Release()
		return nil
	}
	f.ForceKey = d.keys.force(f.PTS(), f.SourceKey || f.Discontinuity)
	began := time.Now()
	err := sendFrame(d.ctx, d.w.ladderQ, f)
	d.blocked += time.Since(began)
	return err
}

func (d *decoding) close() {
	if d.dec == nil {
		return
	}
	if s := d.dec.Stats(); s.Damaged+s.Corrupt+s.Late > 0 {
		d.w.log.Warn("source was damaged", "units", s.Units, "damaged", s.Damaged, "concealed", s.Corrupt, "late", s.Late)
	}
	d.dec.Close()
}

// keyframer decides which pictures every rung makes a keyframe of: those of the source, and the first one when
// none came for the interval.
type keyframer struct {
	interval int64
	last     int64
	begun    bool
}

func (k *keyframer) force(pts int64, source bool) bool {
	if !source && k.begun && pts-k.last < k.interval {
		return false
	}
	k.last, k.begun = pts, true
	return true
}
