package worker

import (
	"context"
	"errors"
	"log/slog"

	"nova/internal/media"
	"nova/internal/obs"
	"nova/transcode/av"
	"nova/transcode/decode"
	"nova/transcode/encode"
	"nova/transcode/job"
	"nova/transcode/scale"
)

// posterWidth bounds posters, in pixels.
const posterWidth = 640

// runPoster makes a still of the first keyframe, and of the first one after each interval. Keyframes decode by
// themselves, so that this needs neither the ladder nor the pictures between: a stream that is only watched in
// its source's quality has posters too.
func (w *worker) runPoster(ctx context.Context) error {
	p := &postering{w: w, damage: obs.NewRepeated(w.log, slog.LevelWarn, "cannot make a poster")}
	last, have := w.spec.Resume[media.Poster]
	interval := media.Ticks(w.spec.PosterInterval, media.VideoTimescale)
	for u := range w.posterQ {
		if have && u.PTS < last+interval {
			continue
		}
		still, err := p.still(u)
		if err != nil {
			w.state.count("poster")
			p.damage.Add(err)
			continue
		}
		last, have = u.PTS, true
		if err := p.send(ctx, still); err != nil {
			return err
		}
	}
	return nil
}

var errNoFrame = errors.New("no picture came of it")

type postering struct {
	w      *worker
	cfg    *media.CodecConfig
	damage *obs.Repeated
}

// still decodes a keyframe and makes a JPEG file of it.
func (p *postering) still(u *media.AccessUnit) (*media.AccessUnit, error) {
	dec, err := decode.NewVideo(u.Config, decode.Options{})
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	var frame *av.Frame
	keep := func(f *av.Frame) error { frame = replace(frame, f); return nil }
	defer func() { replace(frame, nil) }()
	if err := dec.Decode(u, keep); err != nil {
		return nil, err
	}
	if err := dec.Flush(keep); err != nil {
		return nil, err
	}
	if frame == nil {
		return nil, errNoFrame
	}
	small, err := upright(frame.Ref())
	if err != nil {
		return nil, err
	}
	enc, err := encode.NewPoster(encode.PosterConfig{MaxWidth: posterWidth})
	if err != nil {
		small.Release()
		return nil, err
	}
	defer enc.Close()
	return enc.Encode(small)
}

func replace(old, now *av.Frame) *av.Frame {
	if old != nil {
		old.Release()
	}
	return now
}

// upright takes ownership of f and returns it progressive, turned, in square pixels and at the poster's size.
func upright(f *av.Frame) (*av.Frame, error) {
	width, height := scale.DisplaySize(f)
	size := scale.Rung{Name: media.Poster, Width: max(width&^1, 16), Height: max(height&^1, 16)}
	if width > posterWidth {
		size.Width, size.Height = posterWidth, max(height*posterWidth/width&^1, 16)
	}
	s, err := scale.New([]scale.Rung{size})
	if err != nil {
		f.Release()
		return nil, err
	}
	defer s.Close()
	var small *av.Frame
	keep := func(frames []*av.Frame) error { small = replace(small, frames[0]); return nil }
	if err := s.Scale(f, keep); err != nil {
		return nil, err
	}
	if err := s.Flush(keep); err != nil {
		replace(small, nil)
		return nil, err
	}
	if small == nil {
		return nil, errNoFrame
	}
	return small, nil
}

func (p *postering) send(ctx context.Context, still *media.AccessUnit) error {
	still.Track = job.PosterID
	if p.cfg == nil {
		track := media.Track{
			ID: job.PosterID, Kind: media.Image, Name: media.Poster, Timescale: media.VideoTimescale, Config: still.Config,
		}
		if err := send(ctx, p.w.outputQ, message{other: &track}); err != nil {
			return err
		}
	}
	if p.cfg.Equal(still.Config) {
		still.Config = p.cfg
	}
	p.cfg = still.Config
	return send(ctx, p.w.outputQ, message{unit: still})
}
