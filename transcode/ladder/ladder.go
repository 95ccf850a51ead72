// Package ladder decides which renditions a source is worth: a pure function of the source and the
// configuration, without clocks, codecs or goroutines.
//
//	Source ──Plan──▶ []Rung ──Fit(cores)──▶ []Rung ──Shed, when the machine falls behind──▶ []Rung
//
// Rungs never upscale (but to square pixels), have even sizes and square pixels, and keep the source's aspect. Where
// players can be given the source itself, no rung of the source's own height is made.
package ladder

import (
	"errors"
	"fmt"
	"math"
)

// ErrHDR refuses sources with a PQ or HLG transfer function: their colours would be wrong on every screen
// without tone mapping.
var ErrHDR = errors.New("HDR video cannot be transcoded: publish with a BT.709 (SDR) transfer function")

// Limits of a source's picture in pixels; smaller and larger ones are refused.
const (
	MinSize = 16
	MaxSize = 8192
)

// ownHeight is how close to the source's size a rung may come before it counts as the source's own height:
// 1080p beside a 1088-line source is no rendition of its own.
const ownHeight = 0.9

// Rung is one rendition of the picture.
type Rung struct {
	// Name is unique within a ladder: "720p" after the short side of the picture.
	Name string `json:"name"`
	// Width and Height are even, in square pixels.
	Width  int `json:"width"`
	Height int `json:"height"`
	// MaxFrameRate caps the frames a second; frames past it are dropped, keyframes never are.
	MaxFrameRate float64 `json:"max_frame_rate"`
	// Bitrate is the mean, MaxBitrate the peak in bits a second over a decoder buffer of BufferSize bits.
	Bitrate    int `json:"bitrate"`
	MaxBitrate int `json:"max_bitrate"`
	BufferSize int `json:"buffer_size"`
	// Cost is the number of cores that scaling and encoding at real time keep busy.
	Cost float64 `json:"cost"`
}

// ShortSide is the number that names the rung's size class, whichever way the picture is turned.
func (r Rung) ShortSide() int { return min(r.Width, r.Height) }

// Plan lists the rungs for src, the largest first. It is empty where the source is too small for any rung and
// can be passed as it is. It fails with ErrHDR, and where the source's size is outside the limits.
func Plan(src Source, cfg Config) ([]Rung, error) {
	if src.HDR {
		return nil, ErrHDR
	}
	if min(src.Width, src.Height) < MinSize || max(src.Width, src.Height) > MaxSize {
		return nil, fmt.Errorf("cannot transcode a picture of %d×%d pixels: each side must have %d to %d",
			src.Width, src.Height, MinSize, MaxSize)
	}
	width, height := src.SquareSize()
	passed := cfg.Passthrough && src.Passable()
	var rungs []Rung
	for _, step := range steps(min(width, height), passed, cfg) {
		rungs = append(rungs, newRung(step, width, height, src.FrameRate.Float()))
	}
	limitBitrates(rungs, src.Bitrate, passed)
	for i := range rungs {
		finish(&rungs[i], src.FrameRate.Float(), cfg.PixelsPerCore)
	}
	return rungs, nil
}

// steps picks the table's steps for a picture with this short side, and makes up one of the source's own size
// where it cannot be passed and the table has none near it.
func steps(short int, passed bool, cfg Config) []Step {
	table := cfg.table()
	var fit []Step
	for _, step := range table {
		switch {
		case cfg.MaxHeight > 0 && step.Height > cfg.MaxHeight:
		case step.Height > even(short):
		case passed && float64(step.Height) >= ownHeight*float64(short):
		default:
			fit = append(fit, step)
		}
	}
	limit := table[0].Height
	if cfg.MaxHeight > 0 {
		limit = min(limit, cfg.MaxHeight)
	}
	missing := len(fit) == 0 || float64(fit[0].Height) < ownHeight*float64(short)
	if !passed && missing && short <= limit {
		fit = append([]Step{ownStep(even(short), table)}, fit...)
	}
	return fit[:min(len(fit), cfg.maxRungs())]
}

// ownStep makes a step of a size that the table does not have: the bit rate of the nearest larger step (or of
// the smallest), scaled by pixels to the power 0.75, as detail per pixel falls with size.
func ownStep(height int, table []Step) Step {
	near := table[len(table)-1]
	for _, step := range table {
		if step.Height >= height {
			near = step
		}
	}
	ratio := float64(height) / float64(near.Height)
	return Step{
		Height:       height,
		Bitrate:      int(float64(near.Bitrate) * math.Pow(ratio*ratio, 0.75)),
		MaxFrameRate: near.MaxFrameRate,
	}
}

// newRung sizes step for a picture of width × height square pixels.
func newRung(step Step, width, height int, rate float64) Rung {
	r := Rung{Name: step.Name, MaxFrameRate: step.MaxFrameRate}
	if r.Name == "" {
		r.Name = fmt.Sprintf("%dp", step.Height)
	}
	scale := float64(step.Height) / float64(min(width, height))
	r.Width = min(nearestEven(float64(width)*scale), even(width))
	r.Height = min(nearestEven(float64(height)*scale), even(height))
	r.Bitrate = int(float64(step.Bitrate) * shape(r) * motion(min(rate, step.MaxFrameRate)))
	return r
}

// shape is the rung's pixels relative to a 16:9 picture with the same short side, which the table means.
func shape(r Rung) float64 {
	short := float64(r.ShortSide())
	return min(max(float64(r.Width*r.Height)/(short*short*16/9), 0.5), 1.5)
}

// motion is the factor for pictures that come faster than the table's 30 a second: neighbours are more alike,
// so twice the frames need half as many bits again.
func motion(rate float64) float64 {
	if rate > 31 {
		return 1.5
	}
	return 1
}

// limitBitrates keeps every rung within the source's own bit rate, where that is known. Once the source is the
// limit, rungs step down by a third: equal bit rates would give players nothing to choose from.
func limitBitrates(rungs []Rung, source int, passed bool) {
	ceiling := source
	if passed {
		ceiling = source * 2 / 3
	}
	for i := range rungs {
		if source > 0 && rungs[i].Bitrate > ceiling {
			rungs[i].Bitrate = ceiling
			ceiling = ceiling * 2 / 3
		}
	}
}

// minBitrate is what an encoder needs to say anything at all.
const minBitrate = 16_000

// finish fills in what follows from a rung's size, bit rate and frame rate.
func finish(r *Rung, rate float64, pixelsPerCore float64) {
	if r.Bitrate > 200_000 {
		r.Bitrate = r.Bitrate / 10_000 * 10_000
	}
	r.Bitrate = max(r.Bitrate, minBitrate)
	r.MaxBitrate = r.Bitrate * 6 / 5
	r.BufferSize = r.Bitrate * 3 / 2
	if rate <= 0 {
		rate = defaultFrameRate
	}
	rate = min(rate, r.MaxFrameRate)
	r.Cost = float64(r.Width*r.Height) * rate / pixelsPerCore
}

func even(n int) int { return n &^ 1 }

func nearestEven(x float64) int { return 2 * int(math.Round(x/2)) }
