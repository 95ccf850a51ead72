package av

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"unsafe"
)

// GPUError tells why a GPU cannot be used.
type GPUError struct {
	Index  int
	Reason string
	Err    error
}

func (e *GPUError) Error() string {
	return fmt.Sprintf("cannot use GPU %d: %s: %v", e.Index, e.Reason, e.Err)
}

// Unwrap gives libav's error.
func (e *GPUError) Unwrap() error { return e.Err }

// GPU is a CUDA device that decodes, scales and encodes. Safe for concurrent use, but not with Close.
type GPU struct {
	// set by OpenGPU
	index  int
	device *C.AVBufferRef

	sessions atomic.Int64
}

// OpenGPU opens the CUDA device of that index and proves that it can encode. It fails with a *GPUError where
// there is no driver or no such device, and where the device has no encoder: data-centre GPUs of the Hopper
// generation (H100, H200) decode but do not encode. There is no fallback to the CPU: the caller decides.
func OpenGPU(index int) (*GPU, error) {
	name := C.CString(strconv.Itoa(index))
	defer C.free(unsafe.Pointer(name))
	g := &GPU{index: index}
	ret := C.av_hwdevice_ctx_create(&g.device, C.AV_HWDEVICE_TYPE_CUDA, name, nil, 0) //nolint:gocritic // cgo writes the comparison
	if ret < 0 {
		return nil, &GPUError{
			Index: index, Reason: "there is no NVIDIA driver or no such device",
			Err: check("open CUDA device", ret),
		}
	}
	if err := g.tryEncoder(); err != nil {
		g.Close()
		return nil, &GPUError{
			Index: index, Reason: "it decodes but does not encode, as data-centre GPUs like H100 and H200, " +
				"or all of its encoder sessions are taken", Err: err,
		}
	}
	return g, nil
}

// tryEncoder opens a small session and closes it.
func (g *GPU) tryEncoder() error {
	f, err := newFrameFrom("allocate CUDA frame", C.nova_gpu_frame(g.device, 256, 256))
	if err != nil {
		return err
	}
	defer f.Release()
	e, err := OpenEncoder(EncoderConfig{
		Name: "h264_nvenc", Width: 256, Height: 256, Timescale: 30, Bitrate: 1_000_000,
		Color: Color{Primaries: BT709, Transfer: BT709, Matrix: BT709}, Frames: f,
	})
	if err == nil {
		e.Close()
	}
	return err
}

// Index is the device's number.
func (g *GPU) Index() int { return g.index }

// Sessions is the number of encoder sessions that are open on the device.
func (g *GPU) Sessions() int { return int(g.sessions.Load()) }

// TakeSession counts one more encoder session, unless limit are open; limit 0 means no limit of ours.
func (g *GPU) TakeSession(limit int) error {
	if n := g.sessions.Add(1); limit > 0 && n > int64(limit) {
		g.sessions.Add(-1)
		return &GPUError{Index: g.index, Reason: fmt.Sprintf("all %d encoder sessions are taken", limit), Err: ErrNoMemory}
	}
	return nil
}

// GiveSession counts one encoder session less.
func (g *GPU) GiveSession() { g.sessions.Add(-1) }

// Close lets go of the device. Codecs and frames that use it keep it open until they are closed.
func (g *GPU) Close() { C.av_buffer_unref(&g.device) } //nolint:gocritic // cgo writes the comparison
