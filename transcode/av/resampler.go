package av

// #include "shim.h"
import "C"

import (
	"fmt"
	"unsafe"
)

// sound is what a resampler is built for.
type sound struct{ format, rate, channels C.int }

// Resampler turns sound of any kind into stereo planar float samples of one rate and lines them up: blocks of
// any length go in, blocks of the length that an encoder wants come out. More than two channels are mixed down.
type Resampler struct {
	rate int
	in   sound
	swr  *C.struct_SwrContext
	fifo *C.AVAudioFifo
}

// NewResampler gives samples of that rate.
func NewResampler(rate int) (*Resampler, error) {
	fifo := C.av_audio_fifo_alloc(C.AV_SAMPLE_FMT_FLTP, 2, C.int(rate))
	if fifo == nil {
		return nil, &Error{Op: "allocate sample queue", Code: ErrNoMemory}
	}
	return &Resampler{rate: rate, fifo: fifo}, nil
}

// Write appends f's sound without its first skip output samples; f stays the caller's. A change of rate or
// channels is followed after what the resampler held.
func (r *Resampler) Write(f *Frame, skip int) error {
	in := sound{format: f.c.format, rate: f.c.sample_rate, channels: f.c.ch_layout.nb_channels}
	if in.rate <= 0 || in.channels <= 0 {
		return &Error{Op: fmt.Sprintf("resample %+v", in), Code: ErrInvalid}
	}
	if r.swr == nil || in != r.in {
		if err := r.Finish(); err != nil {
			return err
		}
		r.in = in
		if ret := C.nova_swr_new(&r.swr, f.c, C.int(r.rate)); ret < 0 { //nolint:gocritic // cgo writes the comparison
			C.swr_free(&r.swr) //nolint:gocritic // cgo writes the comparison
			return check("open resampler", ret)
		}
	}
	return check("resample", C.nova_swr_write(r.swr, r.fifo, f.c, C.int(r.rate), C.int(skip)))
}

// Silence appends n samples of silence.
func (r *Resampler) Silence(n int) error {
	return check("append silence", C.nova_fifo_silence(r.fifo, C.int(n)))
}

// Finish appends the samples that the resampling filter holds back for its next input.
func (r *Resampler) Finish() error {
	if r.swr == nil {
		return nil
	}
	err := check("resample", C.nova_swr_write(r.swr, r.fifo, nil, C.int(r.rate), 0))
	C.swr_free(&r.swr) //nolint:gocritic // cgo writes the comparison
	return err
}

// Held is the number of samples in the resampling filter.
func (r *Resampler) Held() int {
	if r.swr == nil {
		return 0
	}
	return int(C.swr_get_delay(r.swr, C.int64_t(r.rate)))
}

// Len is the number of samples that Read can give.
func (r *Resampler) Len() int { return int(C.av_audio_fifo_size(r.fifo)) }

// Read takes n samples, at most Len. The caller owns the frame and sets its times.
func (r *Resampler) Read(n int) (*Frame, error) {
	f, err := newFrameFrom("read samples", C.nova_fifo_read(r.fifo, C.int(n), C.int(r.rate)))
	if err != nil {
		return nil, err
	}
	f.Timescale = r.rate
	f.Duration = int64(n)
	return f, nil
}

// Left gives channel 0 of a planar float frame: for measuring.
func (f *Frame) Left() []float32 {
	if f.c.format != C.AV_SAMPLE_FMT_FLTP {
		return nil
	}
	view := unsafe.Slice((*float32)(unsafe.Pointer(f.c.data[0])), f.Samples())
	return append([]float32(nil), view...)
}

// Close frees the resampler.
func (r *Resampler) Close() {
	C.swr_free(&r.swr) //nolint:gocritic // cgo writes the comparison
	C.av_audio_fifo_free(r.fifo)
	r.fifo = nil
}
