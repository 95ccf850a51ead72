package fmp4

import (
	"errors"
	"fmt"
	"math"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"nova/internal/media"
)

// Format is what a sequence parameter set says about the samples of a picture.
type Format struct {
	Profile, Compatibility, Level uint8
	// ChromaFormat is chroma_format_idc: 0 grey, 1 4:2:0, 2 4:2:2, 3 4:4:4 (ISO/IEC 14496-10 §7.4.2.1.1).
	ChromaFormat uint8
	// BitDepth is the larger of luma's and chroma's bits a sample.
	BitDepth uint8

	lumaDepth, chromaDepth uint8
	colour                 *colour
}

// colour is the colour description of the parameter set's VUI.
type colour struct {
	primaries, transfer, matrix uint8
	fullRange                   bool
}

// ParseFormat reads the format from a sequence parameter set, a whole NAL unit.
func ParseFormat(sps []byte) (Format, error) {
	if len(sps) < 4 {
		return Format{}, fmt.Errorf("cannot read SPS: %d bytes are too few", len(sps))
	}
	var s h264.SPS
	if err := s.Unmarshal(sps); err != nil {
		return Format{}, fmt.Errorf("cannot read SPS: %w", err)
	}
	if s.ChromaFormatIdc > 3 || s.BitDepthLumaMinus8 > 6 || s.BitDepthChromaMinus8 > 6 {
		return Format{}, errors.New("cannot read SPS: chroma format or bit depth is out of range")
	}
	f := Format{
		Profile: sps[1], Compatibility: sps[2], Level: sps[3],
		ChromaFormat: uint8(s.ChromaFormatIdc),
		lumaDepth:    uint8(s.BitDepthLumaMinus8) + 8,
		chromaDepth:  uint8(s.BitDepthChromaMinus8) + 8,
	}
	f.BitDepth = max(f.lumaDepth, f.chromaDepth)
	if v := s.VUI; v != nil && v.ColourDescriptionPresentFlag {
		f.colour = &colour{v.ColourPrimaries, v.TransferCharacteristics, v.MatrixCoefficients, v.VideoFullRangeFlag}
	}
	return f, nil
}

// DisplaySize is the size in square pixels: the picture's size with the sample aspect ratio applied to the
// width. It is 0, 0 for sound.
func DisplaySize(cfg *media.CodecConfig) (width, height int) {
	sar := cfg.SampleAspectRatio
	if sar.Num <= 0 || sar.Den <= 0 {
		return cfg.Width, cfg.Height
	}
	return int(math.Round(float64(cfg.Width) * sar.Float())), cfg.Height
}

// avc1 writes the visual sample entry (ISO/IEC 14496-12 §12.1.3, ISO/IEC 14496-15 §5.4.2).
func avc1(cfg *media.CodecConfig) ([]byte, error) {
	record, format, err := avcC(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Width <= 0 || cfg.Height <= 0 || cfg.Width > math.MaxUint16 || cfg.Height > math.MaxUint16 {
		return nil, fmt.Errorf("picture size %d×%d is out of range", cfg.Width, cfg.Height)
	}
	if w, _ := DisplaySize(cfg); w > math.MaxUint16 {
		return nil, fmt.Errorf("sample aspect ratio %d:%d is out of range",
			cfg.SampleAspectRatio.Num, cfg.SampleAspectRatio.Den)
	}
	w := &writer{}
	w.box("avc1", func() {
		w.zero(6)
		w.u16(1) // data reference
		w.zero(16)
		w.u16(uint16(cfg.Width))
		w.u16(uint16(cfg.Height))
		w.u32(0x00480000) // 72 dpi
		w.u32(0x00480000)
		w.u32(0)
		w.u16(1) // frames a sample
		w.zero(32)
		w.u16(0x0018)
		w.u16(0xffff)
		w.box("avcC", func() { w.bytes(record) })
		w.colr(format.colour)
		w.pasp(cfg.SampleAspectRatio)
	})
	return w.b, nil
}

// colr writes the colour information (ISO/IEC 14496-12 §12.1.5) where it is known.
func (w *writer) colr(c *colour) {
	if c == nil {
		return
	}
	w.box("colr", func() {
		w.str("nclx")
		w.u16(uint16(c.primaries))
		w.u16(uint16(c.transfer))
		w.u16(uint16(c.matrix))
		if c.fullRange {
			w.u8(0x80)
		} else {
			w.u8(0)
		}
	})
}

// pasp writes the sample aspect ratio (§12.1.4) where it is known.
func (w *writer) pasp(sar media.Rational) {
	if sar.Num <= 0 || sar.Den <= 0 {
		return
	}
	w.box("pasp", func() {
		w.u32(uint32(sar.Num))
		w.u32(uint32(sar.Den))
	})
}

// avcC is the decoder configuration record (ISO/IEC 14496-15 §5.3.3.1): all parameter sets, so that none stands
// in the samples ("avc1", not "avc3").
func avcC(cfg *media.CodecConfig) ([]byte, Format, error) {
	if len(cfg.SPS) == 0 || len(cfg.SPS) > 31 || len(cfg.PPS) == 0 || len(cfg.PPS) > 255 {
		return nil, Format{}, fmt.Errorf("%d SPS and %d PPS do not make an avcC", len(cfg.SPS), len(cfg.PPS))
	}
	f, err := ParseFormat(cfg.SPS[0])
	if err != nil {
		return nil, Format{}, err
	}
	w := &writer{}
	w.u8(1, f.Profile, f.Compatibility, f.Level)
	w.u8(0xfc | 3) // NAL unit lengths of 4 bytes
	w.u8(0xe0 | uint8(len(cfg.SPS)))
	if err := w.sets(cfg.SPS); err != nil {
		return nil, Format{}, err
	}
	w.u8(uint8(len(cfg.PPS)))
	if err := w.sets(cfg.PPS); err != nil {
		return nil, Format{}, err
	}
	switch f.Profile {
	case 100, 110, 122, 144: // the high profiles say their format again
		w.u8(0xfc|f.ChromaFormat, 0xf8|(f.lumaDepth-8), 0xf8|(f.chromaDepth-8))
		w.u8(0) // no SPS extensions
	}
	return w.b, f, nil
}

// sets writes parameter sets, each behind its 16-bit length.
func (w *writer) sets(sets [][]byte) error {
	for _, s := range sets {
		if len(s) == 0 || len(s) > math.MaxUint16 {
			return fmt.Errorf("a parameter set of %d bytes does not fit avcC", len(s))
		}
		w.u16(uint16(len(s)))
		w.bytes(s)
	}
	return nil
}
