package av

// #include "shim.h"
import "C"

import "fmt"

// Picture is the shape of a scaler's output: planar 8-bit 4:2:0 of an even size in square pixels.
type Picture struct {
	Width, Height int
	Color         Color
	// Inner is where the source's picture goes; the rest is black. Zero means all of it.
	Inner Rect
}

// Rect is a part of a picture; all four are even.
type Rect struct{ X, Y, Width, Height int }

// Quality is how a scaler computes a pixel.
type Quality int

// The qualities. Bicubic is what FFmpeg's own scale filter does unless told otherwise.
const (
	Bicubic  Quality = C.SWS_BICUBIC
	Bilinear Quality = C.SWS_BILINEAR
	Area     Quality = C.SWS_AREA
	Lanczos  Quality = C.SWS_LANCZOS
)

// source is what a scaler is built for.
type source struct {
	width, height int
	format        C.int
	color         Color
}

// Scaler makes pictures of one shape from frames of one other shape.
type Scaler struct {
	src  source
	dst  Picture
	sws  *C.struct_SwsContext
	pool *C.AVBufferPool
}

func sourceOf(f *Frame) source {
	return source{width: f.Width(), height: f.Height(), format: f.c.format, color: f.Color()}
}

// NewScaler is for frames like src.
func NewScaler(src *Frame, dst Picture, quality Quality) (*Scaler, error) {
	if dst.Inner == (Rect{}) {
		dst.Inner = Rect{Width: dst.Width, Height: dst.Height}
	}
	if err := dst.check(); err != nil {
		return nil, err
	}
	s := &Scaler{src: sourceOf(src), dst: dst}
	in := s.src
	s.sws = C.nova_sws_new(C.int(in.width), C.int(in.height), modernFormat(in.format), cbool(in.color.Full),
		C.int(in.color.Matrix), C.int(dst.Inner.Width), C.int(dst.Inner.Height), C.AV_PIX_FMT_YUV420P,
		cbool(dst.Color.Full), C.int(dst.Color.Matrix), C.int(quality), 1)
	if s.sws == nil {
		return nil, &Error{Op: fmt.Sprintf("scale %dx%d to %dx%d", in.width, in.height, dst.Width, dst.Height), Code: ErrNotSupported}
	}
	size := C.nova_pool_size(C.AV_PIX_FMT_YUV420P, C.int(dst.Width), C.int(dst.Height))
	if size > 0 {
		s.pool = C.av_buffer_pool_init(C.size_t(size), nil)
	}
	if s.pool == nil {
		s.Close()
		return nil, &Error{Op: "allocate picture pool", Code: ErrNoMemory}
	}
	return s, nil
}

func (p Picture) check() error {
	r := p.Inner
	odd := (p.Width | p.Height | r.X | r.Y | r.Width | r.Height) & 1
	outside := r.X < 0 || r.Y < 0 || r.Width < 2 || r.Height < 2 || r.X+r.Width > p.Width || r.Y+r.Height > p.Height
	if odd != 0 || outside {
		return &Error{Op: fmt.Sprintf("scale to %+v of %dx%d", r, p.Width, p.Height), Code: ErrInvalid}
	}
	return nil
}

// Fits tells whether the scaler was built for frames like f.
func (s *Scaler) Fits(f *Frame) bool { return s.src == sourceOf(f) }

// Scale gives a new frame, which the caller owns; f stays the caller's.
func (s *Scaler) Scale(f *Frame) (*Frame, error) {
	out, err := newFrameFrom("allocate picture",
		C.nova_frame_video(s.pool, C.AV_PIX_FMT_YUV420P, C.int(s.dst.Width), C.int(s.dst.Height)))
	if err != nil {
		return nil, err
	}
	C.nova_frame_copy_props(out.c, f.c)
	out.like(f).setColor(s.dst.Color)
	out.c.sample_aspect_ratio = C.AVRational{num: 1, den: 1}
	if s.dst.Inner.Width < s.dst.Width || s.dst.Inner.Height < s.dst.Height {
		C.nova_frame_black(out.c)
	}
	if ret := C.nova_sws_scale(s.sws, f.c, out.c, C.int(s.dst.Inner.X), C.int(s.dst.Inner.Y)); ret < 0 {
		out.Release()
		return nil, check("scale picture", ret)
	}
	return out, nil
}

// Close frees the scaler. Frames that it made live on.
func (s *Scaler) Close() {
	C.sws_freeContext(s.sws)
	C.av_buffer_pool_uninit(&s.pool) //nolint:gocritic // cgo writes the comparison
	s.sws = nil
}
