package av

// #include "shim.h"
import "C"

// Color says what the numbers of a picture mean: code points of ITU-T H.273 §8. The zero value of Primaries,
// Transfer and Matrix never occurs in a frame; 2 is "not stated".
type Color struct {
	Primaries, Transfer, Matrix int
	// Full tells that luma uses 0–255 in place of 16–235.
	Full bool
}

// Code points that stages branch on.
const (
	Unstated    = 2
	BT709       = 1  // primaries, transfer and matrix
	BT601       = 6  // the 525-line variant: primaries, transfer and matrix
	TransferPQ  = 16 // SMPTE ST 2084
	TransferHLG = 18 // ARIB STD-B67
	JPEGMatrix  = 5  // what JFIF decoders assume: BT.601
)

// noMatrix is that of RGB: nothing that a rung, which is YUV, may state.
const noMatrix = 0

// hdLines is the height from which on players take colours that nothing states for BT.709.
const hdLines = 720

// Color is what the frame states. Where it states no matrix, or that of RGB, it is what players assume of its size:
// BT.709 from 720 lines on, BT.601 below. A rung states it, because it has another size than its source.
func (f *Frame) Color() Color {
	c := Color{
		Primaries: int(f.c.color_primaries), Transfer: int(f.c.color_trc), Matrix: int(f.c.colorspace),
		Full: f.c.color_range == C.AVCOL_RANGE_JPEG || fullRangeFormat(f.c.format),
	}
	if c.Matrix != Unstated && c.Matrix != noMatrix {
		return c
	}
	assumed := BT601
	if f.Height() >= hdLines || f.Width() >= hdLines*16/9 {
		assumed = BT709
	}
	c.Matrix = assumed
	if c.Primaries == Unstated && c.Transfer == Unstated {
		c.Primaries, c.Transfer = assumed, assumed
	}
	return c
}

func (f *Frame) setColor(c Color) {
	f.c.color_primaries = C.enum_AVColorPrimaries(c.Primaries)
	f.c.color_trc = C.enum_AVColorTransferCharacteristic(c.Transfer)
	f.c.colorspace = C.enum_AVColorSpace(c.Matrix)
	f.c.color_range = colorRange(c.Full)
}

func colorRange(full bool) C.enum_AVColorRange {
	if full {
		return C.AVCOL_RANGE_JPEG
	}
	return C.AVCOL_RANGE_MPEG
}

// The yuvj formats are libav's older way to say "full range".
func fullRangeFormat(format C.int) bool {
	switch format {
	case C.AV_PIX_FMT_YUVJ420P, C.AV_PIX_FMT_YUVJ422P, C.AV_PIX_FMT_YUVJ444P, C.AV_PIX_FMT_YUVJ440P:
		return true
	default:
		return false
	}
}

// modernFormat is the format without a range in its name.
func modernFormat(format C.int) C.enum_AVPixelFormat {
	switch format {
	case C.AV_PIX_FMT_YUVJ420P:
		return C.AV_PIX_FMT_YUV420P
	case C.AV_PIX_FMT_YUVJ422P:
		return C.AV_PIX_FMT_YUV422P
	case C.AV_PIX_FMT_YUVJ444P:
		return C.AV_PIX_FMT_YUV444P
	case C.AV_PIX_FMT_YUVJ440P:
		return C.AV_PIX_FMT_YUV440P
	default:
		return C.enum_AVPixelFormat(format)
	}
}
