package encode

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"nova/internal/media"
	"nova/transcode/av"
)

// Video encodes one rung. Not safe for concurrent use.
//
// There are no B-frames and no keyframes but those that are forced by Frame.ForceKey, the first frame, and the
// first one past the keyframe interval. PTS and DTS are the source's PTS at 90 kHz.
type Video struct {
	// set by NewVideo
	cfg    Config
	enc    *av.Encoder
	gpu    *av.GPU
	config *media.CodecConfig
	form   *nalForm

	// owned by the caller's goroutine
	keyAt   int64 // PTS of the last IDR picture
	last    int64
	begun   bool // keyAt and last are valid
	waiting []waiting
}

// waiting is what a frame said whose unit has not come out yet. Without B-frames units come in order.
type waiting struct {
	pts, duration int64
	arrived       time.Time
	broke         bool
}

// NewVideo opens an encoder for frames like that one, which stays the caller's: its colours are stated in the
// parameter sets, and on a GPU its memory pool is used. gpu is nil for X264. The same Config and colours give the
// same parameter sets, so that a restarted worker goes on with the same configuration. NVENC fails with a
// *av.GPUError where sessions have run out; there is no fallback.
func NewVideo(cfg Config, like *av.Frame, gpu *av.GPU) (*Video, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("cannot open encoder: %w", err)
	}
	v := &Video{cfg: cfg.withDefaults(), form: &h264}
	if cfg.Encoder == NVENCHEVC {
		v.form = &h265
	}
	if err := v.open(like, gpu); err != nil {
		return nil, err
	}
	config, err := v.describe()
	if err != nil {
		v.Close()
		return nil, err
	}
	v.config = config
	return v, nil
}

func (v *Video) open(like *av.Frame, gpu *av.GPU) error {
	hardware := v.cfg.Encoder != X264
	if hardware != like.OnGPU() || hardware != (gpu != nil) {
		return fmt.Errorf("cannot open encoder %s: its frames must be in %s memory", v.cfg.Encoder, memory(hardware))
	}
	options := v.x264()
	var frames *av.Frame
	if hardware {
		if err := gpu.TakeSession(v.cfg.MaxSessions); err != nil {
			return err
		}
		options, frames, v.gpu = v.nvenc(gpu.Index()), like, gpu
	}
	color := like.Color()
	color.Full = false
	enc, err := av.OpenEncoder(av.EncoderConfig{
		Name: v.cfg.Encoder, Timescale: media.VideoTimescale, Threads: v.cfg.Threads, Bitrate: v.cfg.Bitrate,
		Width: v.cfg.Width, Height: v.cfg.Height, FrameRate: v.cfg.FrameRate, Color: color, Frames: frames,
		Options: options,
	})
	if err != nil {
		v.giveSession()
		return err
	}
	v.enc = enc
	return nil
}

func memory(gpu bool) string {
	if gpu {
		return "GPU"
	}
	return "main"
}

// shared are the options that both encoders know. The interval of the encoder's own keyframes is out of reach:
// Encode decides, so that all rungs agree.
func (v *Video) shared() av.Options {
	return av.Options{
		"preset":     v.cfg.Preset,
		"profile":    v.cfg.Profile,
		"maxrate":    strconv.Itoa(v.cfg.MaxBitrate),
		"bufsize":    strconv.Itoa(v.cfg.BufferSize),
		"bf":         "0",
		"forced-idr": "1",
		"aud":        "0",
	}
}

// Frames are taken to be one frame time apart. Planning with their own times (x264's vfr-input) holds one frame
// back, and states 90000 frames a second in the SPS, which other programs then believe. A lookahead of its own
// thread would hold one more.
func (v *Video) x264() av.Options {
	o := v.shared()
	o["x264-params"] = "force-cfr=1:sync-lookahead=0"
	o["g"] = "1073741824" // X264_KEYINT_MAX_INFINITE
	o["sc_threshold"] = "0"
	o["nal-hrd"] = "none"
	o["flags"] = "+cgop+loop"
	o["rc-lookahead"] = strconv.Itoa(v.cfg.Lookahead)
	return o
}

func (v *Video) nvenc(gpu int) av.Options {
	o := v.shared()
	o["g"] = strconv.Itoa(1 << 30)
	o["gpu"] = strconv.Itoa(gpu)
	o["tune"] = "ll"
	o["rc"] = "vbr"
	o["no-scenecut"] = "1"
	o["strict_gop"] = "1"
	o["delay"] = "0"
	o["rc-lookahead"] = strconv.Itoa(v.cfg.Lookahead)
	return o
}

// describe reads the parameter sets.
func (v *Video) describe() (*media.CodecConfig, error) {
	c := &media.CodecConfig{
		Codec: media.H264, Width: v.cfg.Width, Height: v.cfg.Height, FrameRate: v.cfg.FrameRate,
		SampleAspectRatio: media.Rational{Num: 1, Den: 1},
	}
	if v.form == &h265 {
		c.Codec = media.H265
	}
	v.form.parameterSets(v.enc.Extradata(), c)
	if len(c.SPS) == 0 || len(c.PPS) == 0 {
		return nil, fmt.Errorf("cannot open encoder %s: it gave no parameter sets", v.cfg.Encoder)
	}
	return c, nil
}

// Config is the configuration of all units, by the pointer that they carry.
func (v *Video) Config() *media.CodecConfig { return v.config }

// Encode takes ownership of f and emits the units that are complete. A frame that is not later than the one
// before it is refused.
func (v *Video) Encode(f *av.Frame, emit Emit) error {
	defer f.Release()
	pts := media.Rescale(f.PTS(), f.Timescale, media.VideoTimescale)
	if v.begun && pts <= v.last {
		return fmt.Errorf("cannot encode: PTS %d follows %d", pts, v.last)
	}
	key := f.ForceKey || !v.begun || pts-v.keyAt >= media.Ticks(v.cfg.KeyframeInterval, media.VideoTimescale)
	if err := v.enc.Send(f, key); err != nil {
		return err
	}
	if key {
		v.keyAt = pts
	}
	v.last, v.begun = pts, true
	v.waiting = append(v.waiting, waiting{
		pts: pts, duration: media.Rescale(f.Duration, f.Timescale, media.VideoTimescale),
		arrived: f.Arrived, broke: f.Discontinuity,
	})
	return v.receive(emit)
}

// Flush emits what the encoder holds back. No frame may follow.
func (v *Video) Flush(emit Emit) error {
	if err := v.enc.Drain(); err != nil {
		return err
	}
	return v.receive(emit)
}

func (v *Video) receive(emit Emit) error {
	for {
		p, err := v.enc.Receive()
		if errors.Is(err, av.ErrAgain) || errors.Is(err, av.ErrEOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := emit(v.unit(p)); err != nil {
			return err
		}
	}
}

// unit copies p, which is C memory, once.
func (v *Video) unit(p av.Packet) *media.AccessUnit {
	u := &media.AccessUnit{
		PTS: p.PTS, DTS: p.PTS, Key: p.Key, Config: v.config,
		Data: v.form.lengthPrefixed(p.Data),
	}
	for len(v.waiting) > 0 && v.waiting[0].pts <= p.PTS {
		w := v.waiting[0]
		v.waiting = v.waiting[1:]
		u.Duration, u.Arrived = w.duration, w.arrived
		u.Discontinuity = u.Discontinuity || w.broke
	}
	return u
}

func (v *Video) giveSession() {
	if v.gpu != nil {
		v.gpu.GiveSession()
		v.gpu = nil
	}
}

// Close frees the encoder. Idempotent.
func (v *Video) Close() {
	if v.enc != nil {
		v.enc.Close()
		v.enc = nil
	}
	v.giveSession()
}
