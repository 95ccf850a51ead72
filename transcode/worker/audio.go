package worker

import (
	"context"
	"log/slog"

	"nova/internal/media"
	"nova/internal/obs"
	"nova/transcode/av"
	"nova/transcode/decode"
	"nova/transcode/encode"
	"nova/transcode/job"
)

// runAudio encodes the sound once for all rungs. It gets nothing where players can be given the source's.
func (w *worker) runAudio(ctx context.Context) error {
	a := &sound{w: w, ctx: ctx, damage: obs.NewRepeated(w.log, slog.LevelWarn, "cannot decode audio")}
	a.resume, a.resumed = w.spec.Resume[media.SharedAudio]
	defer a.close()
	for u := range w.audioQ {
		if err := a.unit(u); err != nil {
			return err
		}
	}
	return a.flush()
}

// sound is runAudio's state.
type sound struct {
	w   *worker
	ctx context.Context //nolint:containedctx // of the one call that this is the state of
	dec *decode.Decoder
	enc *encode.Audio
	// resume is the PTS up to which a worker before this one has published, where resumed.
	resume  int64
	resumed bool
	damage  *obs.Repeated
}

func (a *sound) unit(u *media.AccessUnit) error {
	err := a.decode(u)
	if err == nil || a.ctx.Err() != nil || fatal(err) {
		return err
	}
	a.w.state.count("audio_decode")
	a.damage.Add(err)
	return nil
}

func (a *sound) decode(u *media.AccessUnit) (err error) {
	if a.dec == nil {
		if a.dec, err = decode.NewAudio(u.Config, decode.Options{}); err != nil {
			a.dec = nil
			return err
		}
	}
	return a.dec.Decode(u, a.frame)
}

// frame takes ownership of f.
func (a *sound) frame(f *av.Frame) error {
	if a.enc == nil {
		if err := a.open(f.SampleRate()); err != nil {
			f.Release()
			return err
		}
	}
	return a.enc.Encode(f, a.emit)
}

func (a *sound) open(rate int) (err error) {
	enc, err := encode.NewAudio(encode.AudioConfig{Bitrate: a.w.spec.AudioBitrate}, rate)
	if err != nil {
		return err
	}
	a.enc = enc
	track := media.Track{
		ID: job.AudioID, Kind: media.Audio, Name: media.SharedAudio, Timescale: enc.Timescale(),
		Config: enc.Config(), Bitrate: a.w.spec.AudioBitrate,
	}
	return send(a.ctx, a.w.outputQ, message{other: &track})
}

func (a *sound) emit(u *media.AccessUnit) error {
	if a.resumed && u.PTS <= a.resume {
		return nil
	}
	u.Track = job.AudioID
	return send(a.ctx, a.w.outputQ, message{unit: u})
}

func (a *sound) flush() error {
	if a.dec == nil {
		return nil
	}
	if err := a.dec.Flush(a.frame); err != nil {
		return err
	}
	if a.enc == nil {
		return nil
	}
	return a.enc.Flush(a.emit)
}

func (a *sound) close() {
	if a.dec != nil {
		a.dec.Close()
	}
	if a.enc != nil {
		a.enc.Close()
	}
}
