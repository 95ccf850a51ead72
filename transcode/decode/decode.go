// Package decode turns access units into frames: one [Decoder] per track, owned by one goroutine.
//
//	units ──Decode──▶ [Decoder: owns the codec context] ──emit──▶ *av.Frame, in order of PTS
//
// The units go straight to libavcodec, without a demuxer; each frame carries what its own unit said: whether it
// was a keyframe, when it arrived, whether the clock broke. Damage is counted and told, and never ends a stream.
//
// One thread decodes, unless more are asked for. Slice threads do not help, because most publishers send one
// slice a picture (x264 with frame threads, NVENC, QuickSync), and n frame threads hold n-1 pictures back
// (42 ms each at 24 frames a second) without saving CPU: on two cores, 1080p of 6 Mb/s took 0.13 CPU seconds a
// media second with one thread. One thread keeps up with 1080p60; 2160p60 wants two.
//
// Stage: 3/6 · In: *media.AccessUnit · Out: *av.Frame
package decode

import (
	"errors"
	"fmt"

	"nova/internal/media"
	"nova/transcode/av"
)

// Options of a decoder.
type Options struct {
	// Timescale of the units' times; 0 means media.VideoTimescale for video and the sample rate for audio.
	Timescale int
	// Threads decode pictures at once; 0 means 1. Each beyond the first delays the output by one picture.
	Threads int
	// GPU decodes into CUDA memory; nil decodes on the CPU.
	GPU *av.GPU
}

// Emit takes ownership of a frame. Its error ends the call that emitted.
type Emit func(*av.Frame) error

// DamageError tells that a unit could not be decoded in full. The decoder goes on with the next unit.
type DamageError struct {
	// PTS of the unit, in the track's timescale.
	PTS int64
	Err error
}

func (e *DamageError) Error() string { return fmt.Sprintf("damaged unit at PTS %d: %v", e.PTS, e.Err) }

// Unwrap gives libav's error.
func (e *DamageError) Unwrap() error { return e.Err }

// Stats counts what a decoder has seen since it was made.
type Stats struct {
	Units, Frames int64
	// Damaged units gave an error. Corrupt frames were emitted with concealed damage.
	Damaged, Corrupt int64
	// Skipped units came before the first keyframe. Late frames did not come after the one before.
	Skipped, Late int64
}

// Decoder decodes one track. Not safe for concurrent use.
type Decoder struct {
	// set by New
	kind media.Kind
	opts Options

	// owned by the caller's goroutine
	cfg    *media.CodecConfig
	dec    *av.Decoder // nil after Flush
	marks  marks
	synced bool // a keyframe has been sent since the decoder was opened
	last   int64
	begun  bool    // last is valid
	turn   av.Turn // of the coded video sequence
	stats  Stats
}

// NewVideo opens a decoder for units of that configuration. It fails with av.ErrNoDecoder where this build has
// no decoder for the codec.
func NewVideo(cfg *media.CodecConfig, opts Options) (*Decoder, error) {
	if opts.Timescale == 0 {
		opts.Timescale = media.VideoTimescale
	}
	return newDecoder(media.Video, cfg, opts)
}

// NewAudio opens a decoder for units of that configuration.
func NewAudio(cfg *media.CodecConfig, opts Options) (*Decoder, error) {
	if opts.Timescale == 0 {
		opts.Timescale = cfg.SampleRate
	}
	opts.GPU = nil
	return newDecoder(media.Audio, cfg, opts)
}

func newDecoder(kind media.Kind, cfg *media.CodecConfig, opts Options) (*Decoder, error) {
	d := &Decoder{kind: kind, opts: opts}
	if err := d.open(cfg); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Decoder) open(cfg *media.CodecConfig) error {
	extra, err := record(cfg)
	if err != nil {
		return err
	}
	reorder := 0
	if cfg.Codec == media.H264 && cfg.Reordered {
		reorder = 2 // libavcodec would learn it from the first pictures, and lose one
	}
	dec, err := av.OpenDecoder(av.DecoderConfig{
		Codec: cfg.Codec, Extra: extra, Timescale: d.opts.Timescale, Threads: d.opts.Threads, Reorder: reorder,
		SampleRate: cfg.SampleRate, Channels: cfg.Channels, GPU: d.opts.GPU,
	})
	if err != nil {
		return err
	}
	d.dec, d.cfg, d.synced = dec, cfg, false
	return nil
}

// Decode takes one unit and emits the frames that are complete with it. It returns a *DamageError for a unit
// that is damaged, after which the next unit may be given; other errors are final. A changed configuration
// first emits what the old one still held. Units before the first keyframe are skipped.
func (d *Decoder) Decode(u *media.AccessUnit, emit Emit) error {
	d.stats.Units++
	if err := d.follow(u, emit); err != nil {
		return err
	}
	if !d.synced && !u.Key {
		d.stats.Skipped++
		return nil
	}
	d.synced = true
	err := d.dec.Send(av.Packet{
		Data: u.Data, PTS: u.PTS, DTS: u.DTS, Duration: u.Duration, Key: u.Key, Mark: d.marks.put(u),
	})
	damage, err := d.sort(u.PTS, nil, err)
	if err != nil {
		return err
	}
	return d.receive(u.PTS, damage, emit)
}

// follow opens another decoder where the unit's configuration asks for it.
func (d *Decoder) follow(u *media.AccessUnit, emit Emit) error {
	cfg := u.Config
	if cfg == nil {
		cfg = d.cfg
	}
	if d.dec != nil && (cfg == d.cfg || cfg.Equal(d.cfg)) {
		d.cfg = cfg
		return nil
	}
	if err := d.Flush(emit); err != nil {
		return err
	}
	return d.open(cfg)
}

// Flush emits the frames that the decoder holds. Decode may go on afterwards, from a keyframe.
func (d *Decoder) Flush(emit Emit) error {
	if d.dec == nil {
		return nil
	}
	defer d.Close()
	if err := d.dec.Drain(); err != nil {
		return err
	}
	var damage *DamageError
	if err := d.receive(d.last, nil, emit); err != nil && !errors.As(err, &damage) {
		return err
	}
	return nil
}

// receive emits frames until the decoder wants more. damage is what the unit has been found guilty of so far.
func (d *Decoder) receive(pts int64, damage *DamageError, emit Emit) error {
	for {
		f, err := d.dec.Receive()
		switch {
		case errors.Is(err, av.ErrAgain), errors.Is(err, av.ErrEOF):
			if damage != nil {
				return damage
			}
			return nil
		case err != nil:
			if damage, err = d.sort(pts, damage, err); err != nil {
				return err
			}
			continue
		}
		if err := d.pass(f, emit); err != nil {
			return err
		}
	}
}

// pass emits f with what its unit said, unless it has no place on the timeline.
func (d *Decoder) pass(f *av.Frame, emit Emit) error {
	if !f.HasPTS() || (d.begun && f.PTS() <= d.last) {
		d.stats.Late++
		f.Release()
		return nil
	}
	d.last, d.begun = f.PTS(), true
	d.marks.apply(f)
	d.hold(f)
	d.stats.Frames++
	if f.Corrupt() {
		d.stats.Corrupt++
	}
	return emit(f)
}

// hold gives all pictures up to the next keyframe the orientation that one of them stated: the message persists
// (ISO/IEC 14496-10 §D.2.27), libavcodec tells it once.
func (d *Decoder) hold(f *av.Frame) {
	if f.SourceKey || f.Turn != (av.Turn{}) {
		d.turn = f.Turn
	}
	f.Turn = d.turn
}

// sort tells damage, which it counts once a unit, from errors that end the decoder.
func (d *Decoder) sort(pts int64, damage *DamageError, err error) (*DamageError, error) {
	switch {
	case err == nil:
		return damage, nil
	case errors.Is(err, av.ErrNoMemory), errors.Is(err, av.ErrExternal), errors.Is(err, av.ErrNotSupported),
		d.opts.GPU != nil && !errors.Is(err, av.ErrInvalidData):
		return nil, err
	case damage == nil:
		d.stats.Damaged++
		damage = &DamageError{PTS: pts, Err: err}
	}
	return damage, nil
}

// Stats is what has happened so far.
func (d *Decoder) Stats() Stats { return d.stats }

// Close frees the codec. Frames that were emitted live on. Idempotent.
func (d *Decoder) Close() {
	if d.dec != nil {
		d.dec.Close()
		d.dec = nil
	}
}
