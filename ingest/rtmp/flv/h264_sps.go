package flv

import (
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"nova/internal/media"
)

// The picture sizes that are taken: more is not in any level of H.264 that encoders use, less is damage.
const (
	minSide = 16
	maxSide = 8192
)

// parseSPS reads a sequence parameter set and checks that its picture has a sane size.
func parseSPS(nal []byte) (*h264.SPS, error) {
	var sps h264.SPS
	if err := sps.Unmarshal(nal); err != nil {
		return nil, fmt.Errorf("%w: sequence parameter set: %w", ErrNAL, err)
	}
	if w, h := sps.Width(), sps.Height(); w < minSide || w > maxSide || h < minSide || h > maxSide {
		return nil, fmt.Errorf("%w: picture of %d×%d pixels", ErrNAL, w, h)
	}
	return &sps, nil
}

// describe fills in what the parameter set says about the picture.
func describe(c *media.CodecConfig, sps *h264.SPS) {
	c.Width, c.Height = sps.Width(), sps.Height()
	c.Reordered = reordered(sps)
	if sps.VUI == nil {
		return
	}
	c.SampleAspectRatio = aspectRatio(sps.VUI)
	c.FrameRate = frameRate(sps.VUI.TimingInfo)
	const pq, hlg = 16, 18 // ISO/IEC 23091-2 Table 3
	tc := sps.VUI.TransferCharacteristics
	c.HDR = sps.VUI.ColourDescriptionPresentFlag && (tc == pq || tc == hlg)
}

// reordered tells whether pictures may be shown in another order than they are sent. Where the parameter set
// does not say so, only profiles and modes without B-frames are trusted (ISO/IEC 14496-10 §8.2.1, §A.2.1).
func reordered(sps *h264.SPS) bool {
	if sps.VUI != nil && sps.VUI.BitstreamRestriction != nil {
		return sps.VUI.BitstreamRestriction.MaxNumReorderFrames > 0
	}
	const baseline = 66
	return sps.ProfileIdc != baseline && sps.PicOrderCntType != 2
}

// frameRate is the rate of the timing information, which counts fields (ISO/IEC 14496-10 §E.2.1). Rates that no
// camera has are taken as "not known".
func frameRate(t *h264.SPS_TimingInfo) media.Rational {
	if t == nil || t.NumUnitsInTick == 0 || t.TimeScale == 0 {
		return media.Rational{}
	}
	num, den := int(t.TimeScale), 2*int(t.NumUnitsInTick)
	if num > 300*den || num < den/10 {
		return media.Rational{}
	}
	d := gcd(num, den)
	return media.Rational{Num: num / d, Den: den / d}
}

// aspectRatios are those with a number of their own (ISO/IEC 14496-10 Table E-1).
var aspectRatios = [...]media.Rational{
	1: {Num: 1, Den: 1}, 2: {Num: 12, Den: 11}, 3: {Num: 10, Den: 11}, 4: {Num: 16, Den: 11}, 5: {Num: 40, Den: 33},
	6: {Num: 24, Den: 11}, 7: {Num: 20, Den: 11}, 8: {Num: 32, Den: 11}, 9: {Num: 80, Den: 33}, 10: {Num: 18, Den: 11},
	11: {Num: 15, Den: 11}, 12: {Num: 64, Den: 33}, 13: {Num: 160, Den: 99}, 14: {Num: 4, Den: 3}, 15: {Num: 3, Den: 2},
	16: {Num: 2, Den: 1},
}

func aspectRatio(v *h264.SPS_VUI) media.Rational {
	const extended = 255
	switch {
	case !v.AspectRatioInfoPresentFlag:
		return media.Rational{}
	case v.AspectRatioIdc == extended && v.SarWidth > 0 && v.SarHeight > 0:
		d := gcd(int(v.SarWidth), int(v.SarHeight))
		return media.Rational{Num: int(v.SarWidth) / d, Den: int(v.SarHeight) / d}
	case int(v.AspectRatioIdc) < len(aspectRatios):
		return aspectRatios[v.AspectRatioIdc]
	default:
		return media.Rational{}
	}
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
