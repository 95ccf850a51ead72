package ladder

import (
	"time"

	"nova/internal/media"
)

// MaxPassedGOP is the longest distance between keyframes with which a source is given to players as it is:
// segments cannot be shorter.
const MaxPassedGOP = 4 * time.Second

// defaultFrameRate is assumed for sources that state none.
const defaultFrameRate = 30

// decodePixelsPerCore is what one core decodes and hands on in a second, measured with 1080p H.264 at 6 Mb/s.
const decodePixelsPerCore = 240e6

// Source is what the ladder needs to know of the picture that comes in.
type Source struct {
	// Width and Height are in pixels as coded, before SAR is applied.
	Width  int            `json:"width"`
	Height int            `json:"height"`
	SAR    media.Rational `json:"sar"`
	// FrameRate and Bitrate (bits a second) are zero where not known.
	FrameRate media.Rational `json:"frame_rate"`
	Bitrate   int            `json:"bitrate"`
	// GOP is the longest distance between keyframes seen so far; zero where not known.
	GOP   time.Duration `json:"gop"`
	Codec media.Codec   `json:"codec"`
	// Profile is H.264's profile_idc (ISO/IEC 14496-10 §7.4.2.1.1), zero where not known.
	Profile int `json:"profile"`
	// HDR tells that the transfer function is PQ or HLG.
	HDR bool `json:"hdr"`
}

// NewSource reads a video track's configuration.
func NewSource(cfg *media.CodecConfig, bitrate int) Source {
	s := Source{
		Width: cfg.Width, Height: cfg.Height, SAR: cfg.SampleAspectRatio,
		FrameRate: cfg.FrameRate, Bitrate: bitrate, Codec: cfg.Codec, HDR: cfg.HDR,
	}
	if cfg.Codec == media.H264 && len(cfg.SPS) > 0 && len(cfg.SPS[0]) > 1 {
		s.Profile = int(cfg.SPS[0][1])
	}
	return s
}

// Passable tells whether players can be given the source itself: H.264 with 8-bit 4:2:0 pictures, which is
// what every browser decodes, and keyframes often enough.
func (s Source) Passable() bool {
	if s.Codec != media.H264 || s.HDR || s.GOP > MaxPassedGOP {
		return false
	}
	switch s.Profile {
	case 0, 66, 77, 88, 100: // not known, Baseline, Main, Extended, High
		return true
	default:
		return false
	}
}

// SquareSize is the picture's size in square pixels: the height stays, the width follows the sample aspect
// ratio.
func (s Source) SquareSize() (width, height int) {
	sar := s.SAR.Float()
	if sar <= 0 || sar == 1 {
		return s.Width, s.Height
	}
	return min(max(int(float64(s.Width)*sar+0.5), MinSize), MaxSize), s.Height
}

// DecodeCost is the number of cores that decoding at real time keeps busy.
func (s Source) DecodeCost() float64 {
	rate := s.FrameRate.Float()
	if rate <= 0 {
		rate = defaultFrameRate
	}
	return float64(s.Width*s.Height) * rate / decodePixelsPerCore
}

// Covers tells whether rungs can be made of s without upscaling; a picture of another shape stands between bars.
func (s Source) Covers(rungs []Rung) bool {
	width, height := s.SquareSize()
	for _, r := range rungs {
		scale := min(float64(r.Width)/float64(width), float64(r.Height)/float64(height))
		if scale > 1.01 { // rounding to even sizes
			return false
		}
	}
	return true
}

// SameShape tells whether rungs have the aspect of s.
func (s Source) SameShape(rungs []Rung) bool {
	width, height := s.SquareSize()
	for _, r := range rungs {
		shape := float64(r.Width) * float64(height) / (float64(r.Height) * float64(width))
		if shape < 0.98 || shape > 1.02 {
			return false
		}
	}
	return true
}
