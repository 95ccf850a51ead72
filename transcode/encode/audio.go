package encode

import (
	"errors"
	"fmt"
	"math"
	"time"

	"nova/internal/media"
	"nova/transcode/av"
)

// AudioConfig of the shared sound.
type AudioConfig struct {
	// SampleRate of the output; 0 keeps 44100 and 48000 of the source and makes 48000 of everything else.
	SampleRate int
	// Bitrate in bits a second; 0 means 128000.
	Bitrate int
}

// frameSamples is the length of an AAC-LC frame (ISO/IEC 14496-3 §4.5.1.1).
const frameSamples = 1024

// How far the source's time stamps may leave the sample count. Below it is the jitter of millisecond clocks;
// a gap up to maxSilence is filled, a larger one starts the count anew.
const (
	tolerance  = 30 * time.Millisecond
	maxSilence = 2 * time.Second
)

// unset is the time of nothing.
const unset = math.MinInt64

// Audio encodes stereo AAC-LC on the source's timeline. Not safe for concurrent use.
//
// Samples are counted, so that units are exactly 1024 samples apart. The count starts at a multiple of 1024
// since PTS 0, whatever the first sample's time, with silence in front: an encoder that is started again in the
// middle of a session puts its units at the same places. Where the source's time leaves the count by more than
// 30 ms, silence fills the gap or the overlap is cut off; after more than 2 s the count starts anew.
//
// AAC frames overlap: the encoder's first 1024 samples out are the ramp before the first sample in. Unit PTS are
// shifted by that delay, so that sound stays where it was without an edit list, and the unit in front of the
// start, which holds the ramp alone, is left out.
type Audio struct {
	// set by NewAudio
	cfg AudioConfig

	// owned by the caller's goroutine
	rate    int
	enc     *av.Encoder
	res     *av.Resampler
	config  *media.CodecConfig
	next    int64 // PTS of the next sample that leaves the resampler's queue
	start   int64 // units before it are left out
	waiting []waiting
	arrived time.Time
	broke   bool
	cutting bool // an overlap is being cut
	stats   AudioStats
}

// AudioStats counts corrections of the timeline, in samples of the output.
type AudioStats struct{ Filled, Cut, Restarts int64 }

// NewAudio opens an encoder for sound of that sample rate.
func NewAudio(cfg AudioConfig, sourceRate int) (*Audio, error) {
	if cfg.Bitrate == 0 {
		cfg.Bitrate = 128_000
	}
	a := &Audio{cfg: cfg, rate: cfg.SampleRate, next: unset}
	if a.rate == 0 {
		a.rate = 48000
		if sourceRate == 44100 {
			a.rate = 44100
		}
	}
	if cfg.Bitrate < 8000 || a.rate < 8000 || a.rate > 96000 {
		return nil, fmt.Errorf("cannot open encoder aac: %d bits a second at %d Hz", cfg.Bitrate, a.rate)
	}
	if err := a.open(); err != nil {
		return nil, err
	}
	a.config = &media.CodecConfig{
		Codec: media.AAC, SampleRate: a.rate, Channels: 2, FrameSamples: frameSamples,
		AudioSpecificConfig: a.enc.Extradata(),
	}
	return a, nil
}

// open makes an encoder and a resampler that hold nothing.
func (a *Audio) open() (err error) {
	if a.enc, err = av.OpenEncoder(av.EncoderConfig{
		Name: "aac", Timescale: a.rate, SampleRate: a.rate, Bitrate: a.cfg.Bitrate,
	}); err != nil {
		return err
	}
	if a.res, err = av.NewResampler(a.rate); err != nil {
		a.Close()
	}
	return err
}

// Config is the configuration of all units, by the pointer that they carry.
func (a *Audio) Config() *media.CodecConfig { return a.config }

// Timescale is the number of ticks a second of the units' times: the output's sample rate.
func (a *Audio) Timescale() int { return a.rate }

// Stats is what has been corrected so far.
func (a *Audio) Stats() AudioStats { return a.stats }

// Encode takes ownership of f and emits the units that are complete.
func (a *Audio) Encode(f *av.Frame, emit Emit) error {
	defer f.Release()
	skip, err := a.place(f, emit)
	if err != nil || skip < 0 {
		return err
	}
	if err := a.res.Write(f, skip); err != nil {
		return err
	}
	a.arrived = f.Arrived
	a.broke = a.broke || f.Discontinuity
	return a.encode(frameSamples, emit)
}

// place makes the queue end where f begins and tells how many samples of f are before that; -1 is all of them.
func (a *Audio) place(f *av.Frame, emit Emit) (skip int, err error) {
	pts := media.Rescale(f.PTS(), f.Timescale, a.rate)
	if !a.begun() {
		return 0, a.begin(pts)
	}
	gap := pts - a.end()
	switch limit := media.Ticks(tolerance, a.rate); {
	case gap > media.Ticks(maxSilence, a.rate):
		if err := a.restart(emit); err != nil {
			return 0, err
		}
		a.stats.Restarts++
		return 0, a.begin(pts)
	case gap > limit:
		return 0, a.fill(pts)
	case gap < -limit, gap < 0 && a.cutting:
		return a.cut(f, int(-gap)), nil
	default:
		a.cutting = false
		return 0, nil
	}
}

// begun tells whether samples have been counted since the encoder was opened.
func (a *Audio) begun() bool { return a.next != unset }

// end is the PTS right after the last sample that was written.
func (a *Audio) end() int64 { return a.next + int64(a.res.Len()+a.res.Held()) }

func (a *Audio) begin(pts int64) error {
	a.next = pts &^ (frameSamples - 1) // down, below 0 too
	a.start = a.next
	return a.res.Silence(int(pts - a.next))
}

// fill puts silence between the end of the queue and pts.
func (a *Audio) fill(pts int64) error {
	if err := a.res.Finish(); err != nil {
		return err
	}
	n := max(pts-a.end(), 0)
	a.stats.Filled += n
	return a.res.Silence(int(n))
}

// cut counts the n samples that overlap, of at most all that f has. An overlap longer than f goes on to be cut
// from the frames that follow, down to the sample.
func (a *Audio) cut(f *av.Frame, n int) int {
	all := int(media.Rescale(int64(f.Samples()), f.SampleRate(), a.rate))
	a.stats.Cut += int64(min(n, all))
	if a.cutting = n >= all; a.cutting {
		return -1
	}
	return n
}

// encode feeds the encoder while the queue holds least samples.
func (a *Audio) encode(least int, emit Emit) error {
	for a.res.Len() >= least && a.res.Len() > 0 {
		n := min(a.res.Len(), frameSamples)
		f, err := a.res.Read(n)
		if err != nil {
			return err
		}
		f.SetPTS(a.next)
		err = a.enc.Send(f, false)
		f.Release()
		if err != nil {
			return err
		}
		a.waiting = append(a.waiting, waiting{pts: a.next, arrived: a.arrived, broke: a.broke})
		a.broke = false
		a.next += int64(n)
		if err := a.receive(emit); err != nil {
			return err
		}
	}
	return nil
}

func (a *Audio) receive(emit Emit) error {
	for {
		p, err := a.enc.Receive()
		if errors.Is(err, av.ErrAgain) || errors.Is(err, av.ErrEOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if p.PTS < a.start {
			continue
		}
		if err := emit(a.unit(p)); err != nil {
			return err
		}
	}
}

func (a *Audio) unit(p av.Packet) *media.AccessUnit {
	u := &media.AccessUnit{
		PTS: p.PTS, DTS: p.PTS, Duration: frameSamples, Key: true, Config: a.config,
		Arrived: a.arrived, Data: append([]byte(nil), p.Data...),
	}
	for len(a.waiting) > 0 && a.waiting[0].pts <= p.PTS {
		u.Arrived = a.waiting[0].arrived
		u.Discontinuity = u.Discontinuity || a.waiting[0].broke
		a.waiting = a.waiting[1:]
	}
	return u
}

// restart emits what is held and starts with an empty encoder: libavcodec's cannot go on after a flush.
func (a *Audio) restart(emit Emit) error {
	if err := a.Flush(emit); err != nil {
		return err
	}
	a.Close()
	return a.open()
}

// Flush emits what is held back; the last unit is filled up with silence. No frame may follow.
func (a *Audio) Flush(emit Emit) error {
	if !a.begun() {
		return nil
	}
	if err := a.res.Finish(); err != nil {
		return err
	}
	if err := a.encode(1, emit); err != nil {
		return err
	}
	if err := a.enc.Drain(); err != nil {
		return err
	}
	return a.receive(emit)
}

// Close frees the encoder. Idempotent.
func (a *Audio) Close() {
	if a.enc != nil {
		a.enc.Close()
		a.enc = nil
	}
	if a.res != nil {
		a.res.Close()
		a.res = nil
	}
	a.next, a.waiting = unset, nil
}
