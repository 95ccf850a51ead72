package scale

import "nova/transcode/av"

// DisplaySize is the size at which f is meant to be seen: in square pixels, upright. A ladder is made for it.
func DisplaySize(f *av.Frame) (width, height int) {
	sar := f.SampleAspectRatio()
	width, height = f.Width(), f.Height()
	// The longer way round, so that no detail is lost: narrow pixels make the picture taller.
	if sar.Num >= sar.Den {
		width = (width*sar.Num + sar.Den/2) / sar.Den
	} else {
		height = (height*sar.Den + sar.Num/2) / sar.Num
	}
	if f.Turn.Quarters%2 != 0 {
		width, height = height, width
	}
	return width, height
}

// picture is how f is put on a rung: as large as its shape allows, in the middle.
func picture(f *av.Frame, r Rung) av.Picture {
	width, height := DisplaySize(f)
	color := f.Color()
	color.Full = false
	return av.Picture{Width: r.Width, Height: r.Height, Color: color, Inner: fit(width, height, r.Width, r.Height)}
}

// fit is the largest rectangle of the shape width:height in the middle of a canvas; all of the canvas where that
// leaves bars of no more than 1 % of it, which are the rounding of odd sizes.
func fit(width, height, canvasWidth, canvasHeight int) av.Rect {
	w, h := canvasWidth, even(canvasWidth*height, width)
	if h > canvasHeight {
		w, h = even(canvasHeight*width, height), canvasHeight
	}
	if (canvasWidth-w)*100 <= canvasWidth && (canvasHeight-h)*100 <= canvasHeight {
		w, h = canvasWidth, canvasHeight
	}
	w, h = max(w, 2), max(h, 2)
	return av.Rect{X: (canvasWidth - w) / 2 &^ 1, Y: (canvasHeight - h) / 2 &^ 1, Width: w, Height: h}
}

// even is n/d to the nearest even number.
func even(n, d int) int { return (n + d) / (2 * d) * 2 }

// sameShape tells whether a can be made of b's picture: within 1 %.
func sameShape(a, b Rung) bool {
	x, y := a.Width*b.Height, b.Width*a.Height
	return abs(x-y)*100 <= x
}

// asItIs tells whether an upright f is a picture for r already.
func asItIs(f *av.Frame, r Rung) bool {
	sar := f.SampleAspectRatio()
	return f.Width() == r.Width && f.Height() == r.Height && sar.Num == sar.Den && f.Plain()
}

func abs(x int) int {
	if x < 0 {
		return -x
	}
	return x
}
