package av

// #include "shim.h"
import "C"

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/asticode/go-astiav"

	"nova/internal/media"
)

// inUse counts frames that have not been released.
var inUse atomic.Int64

// FramesInUse is the number of frames that someone holds. It is 0 when all stages have ended.
func FramesInUse() int64 { return inUse.Load() }

// Frame is one decoded picture or one block of decoded sound: a counted reference to memory of libav.
//
// The holder of a reference calls Release once. Handing a frame to a function that takes ownership, or sending
// it, moves the reference: the sender does not touch the frame again. A frame that was shared by Ref is
// immutable: set the fields below before sharing.
type Frame struct {
	// Timescale is the number of ticks a second of PTS and Duration.
	Timescale int
	// Duration is the time to the next frame as far as the source told it; else 0.
	Duration int64
	// Arrived is when the unit that this frame was decoded from had arrived at ingest.
	Arrived time.Time
	// SourceKey tells that the source's unit was a keyframe that decoding can start at (an IDR picture).
	SourceKey bool
	// ForceKey orders every encoder that gets this frame to make it an IDR picture.
	ForceKey bool
	// Discontinuity tells that the source's clock or configuration broke right before this frame.
	Discontinuity bool
	// Turn is how the picture must be turned to stand upright.
	Turn Turn

	// set by newFrame
	lib *astiav.Frame
	c   *C.AVFrame

	refs  atomic.Int32
	trace frameTrace
}

// newFrame owns c, with one reference.
func newFrame() (*Frame, error) {
	lib := astiav.AllocFrame()
	if lib == nil {
		return nil, &Error{Op: "allocate frame", Code: ErrNoMemory}
	}
	f := &Frame{lib: lib, c: (*C.AVFrame)(lib.UnsafePointer())}
	f.refs.Store(1)
	inUse.Add(1)
	f.trace.acquired(f)
	return f, nil
}

// newFrameFrom moves c's content into a new frame and frees c.
func newFrameFrom(op string, c *C.AVFrame) (*Frame, error) {
	if c == nil {
		return nil, &Error{Op: op, Code: ErrNoMemory}
	}
	f, err := newFrame()
	if err == nil {
		C.av_frame_move_ref(f.c, c)
	}
	C.av_frame_free(&c) //nolint:gocritic // cgo writes the comparison
	return f, err
}

// Ref is one more reference to the same frame; each is released once.
func (f *Frame) Ref() *Frame {
	if f.refs.Add(1) <= 1 {
		panic("av: a released frame was referenced" + f.trace.history(f))
	}
	f.trace.acquired(f)
	return f
}

// Release gives one reference back; the last one frees the memory. A release too many panics: the memory may
// belong to somebody else by then.
func (f *Frame) Release() {
	f.trace.released(f)
	switch n := f.refs.Add(-1); {
	case n < 0:
		panic("av: a frame was released twice" + f.trace.history(f))
	case n == 0:
		f.trace.freed(f)
		f.lib.Free()
		f.c = nil // a use after this fails in Go, not in freed memory
		inUse.Add(-1)
	}
}

// like carries what a stage does not change from the frame that f was made of; f is upright.
func (f *Frame) like(src *Frame) *Frame {
	f.Timescale, f.Duration, f.Arrived = src.Timescale, src.Duration, src.Arrived
	f.SourceKey, f.ForceKey, f.Discontinuity = src.SourceKey, src.ForceKey, src.Discontinuity
	return f
}

// Inherit makes f, which a filter made of src, say all that src said, except that it is upright and progressive.
func (f *Frame) Inherit(src *Frame) {
	f.like(src)
	C.nova_frame_upright(f.c)
}

// PTS is the presentation time in Timescale ticks.
func (f *Frame) PTS() int64 { return int64(f.c.pts) }

// SetPTS changes the presentation time.
func (f *Frame) SetPTS(pts int64) { f.c.pts = C.int64_t(pts) }

// HasPTS tells whether libav knows the presentation time.
func (f *Frame) HasPTS() bool { return f.c.pts != C.AV_NOPTS_VALUE }

// Mark is the number of the packet that the frame was decoded from, 0 where it has none.
func (f *Frame) Mark() int { return int(C.nova_frame_mark(f.c)) }

// Corrupt tells that the decoder had to conceal damage or lacked a reference picture.
func (f *Frame) Corrupt() bool {
	return f.c.flags&C.AV_FRAME_FLAG_CORRUPT != 0 || f.c.decode_error_flags != 0
}

// Width and Height are the size in pixels, before the sample aspect ratio and any turn.
func (f *Frame) Width() int { return int(f.c.width) }

// Height is the height in pixels; see Width.
func (f *Frame) Height() int { return int(f.c.height) }

// SampleAspectRatio is the shape of a pixel; {1, 1} where the source does not say.
func (f *Frame) SampleAspectRatio() media.Rational {
	r := f.c.sample_aspect_ratio
	if r.num <= 0 || r.den <= 0 {
		return media.Rational{Num: 1, Den: 1}
	}
	return media.Rational{Num: int(r.num), Den: int(r.den)}
}

// Interlaced tells that the picture is two fields.
func (f *Frame) Interlaced() bool { return f.c.flags&C.AV_FRAME_FLAG_INTERLACED != 0 }

// OnGPU tells that the picture is in CUDA memory.
func (f *Frame) OnGPU() bool { return f.c.format == C.AV_PIX_FMT_CUDA }

// Plain tells that the picture is in the form that encoders take: 8-bit planar 4:2:0 of limited range, in main
// memory.
func (f *Frame) Plain() bool { return f.c.format == C.AV_PIX_FMT_YUV420P && !f.Color().Full }

// turn is what the frame's own display matrix says.
func (f *Frame) turn() Turn {
	if f.c.nb_side_data == 0 {
		return Turn{}
	}
	v := int(C.nova_frame_turn(f.c))
	return Turn{Quarters: v & 3, Mirrored: v&4 != 0}
}

// Turn is a display orientation: turned clockwise by quarters first, then mirrored left to right.
type Turn struct {
	Quarters int
	Mirrored bool
}

// Samples is the number of samples per channel of a sound frame.
func (f *Frame) Samples() int { return int(f.c.nb_samples) }

// SampleRate is the number of samples a second of a sound frame.
func (f *Frame) SampleRate() int { return int(f.c.sample_rate) }

// Pixel is one sample of an 8-bit planar picture in main memory; coordinates are the plane's own.
func (f *Frame) Pixel(plane, x, y int) uint8 {
	if plane < 0 || plane > 2 || f.OnGPU() || f.c.data[plane] == nil {
		panic(fmt.Sprintf("av: no plane %d in this frame", plane))
	}
	return uint8(C.nova_frame_pixel(f.c, C.int(plane), C.int(x), C.int(y)))
}
