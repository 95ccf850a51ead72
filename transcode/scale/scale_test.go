package scale

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"nova/internal/media"
	"nova/transcode/av"
	"nova/transcode/av/avtest"
	"nova/transcode/decode"
)

func TestMain(m *testing.M) { os.Exit(avtest.Main(m)) }

var ladder = []Rung{{"720p", 1280, 720}, {"480p", 854, 480}, {"360p", 640, 360}}

// small is a ladder that is quick to scale to.
var small = []Rung{{"large", 160, 90}, {"small", 80, 46}}

// frames decodes a clip; the caller owns the frames.
func frames(t testing.TB, clip *avtest.File, n int) []*av.Frame {
	t.Helper()
	d, err := decode.NewVideo(clip.VideoConfig, decode.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var out []*av.Frame
	keep := func(f *av.Frame) error { out = append(out, f); return nil }
	for _, u := range clip.Video[:min(n, len(clip.Video))] {
		if err := d.Decode(u, keep); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Flush(keep); err != nil {
		t.Fatal(err)
	}
	return out
}

// scaleAll scales and keeps the frames of each rung; the caller owns them.
func scaleAll(t testing.TB, s Stage, in []*av.Frame) [][]*av.Frame {
	t.Helper()
	var out [][]*av.Frame
	keep := func(set []*av.Frame) error { out = append(out, slices.Clone(set)); return nil }
	for _, f := range in {
		if err := s.Scale(f, keep); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Flush(keep); err != nil {
		t.Fatal(err)
	}
	return out
}

func release(sets [][]*av.Frame) {
	for _, set := range sets {
		releaseAll(set)
	}
}

// clip makes n frames of x264 video from a lavfi source.
func clip(t testing.TB, source string, args ...string) *avtest.File {
	t.Helper()
	return avtest.Make(t, append([]string{"-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0"}, args...)...)
}

func TestEveryRungOfEveryFrame(t *testing.T) {
	for name, c := range map[string]struct {
		source string
		args   []string
	}{
		"plain":       {"testsrc2=size=320x180:rate=25:duration=0.4", nil},
		"odd size":    {"testsrc2=size=322x182:rate=25:duration=0.4", []string{"-vf", "crop=321:181", "-pix_fmt", "yuv444p"}},
		"anamorphic":  {"testsrc2=size=180x144:rate=25:duration=0.4", []string{"-vf", "setsar=64/45"}},
		"4:2:2":       {"testsrc2=size=320x180:rate=25:duration=0.4", []string{"-pix_fmt", "yuv422p"}},
		"10 bit":      {"testsrc2=size=320x180:rate=25:duration=0.4", []string{"-pix_fmt", "yuv420p10le"}},
		"full range":  {"testsrc2=size=320x180:rate=25:duration=0.4", []string{"-vf", "scale=out_range=pc", "-color_range", "pc"}},
		"portrait":    {"testsrc2=size=180x320:rate=25:duration=0.4", nil},
		"same size":   {"testsrc2=size=160x90:rate=25:duration=0.4", nil},
		"interlaced":  {"testsrc2=size=320x180:rate=25:duration=0.4", []string{"-flags", "+ildct+ilme", "-x264-params", "tff=1"}},
		"fewer lines": {"testsrc2=size=64x36:rate=25:duration=0.4", nil},
	} {
		t.Run(name, func(t *testing.T) {
			in := frames(t, clip(t, c.source, c.args...), 10)
			var pts []int64
			for _, f := range in {
				pts = append(pts, f.PTS())
			}
			s, err := New(small)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			out := scaleAll(t, s, in)
			defer release(out)
			if len(out) != len(pts) {
				t.Fatalf("%d sets of frames for %d frames", len(out), len(pts))
			}
			for i, set := range out {
				for r, f := range set {
					checkRung(t, f, small[r], pts[i], i == 0)
				}
			}
		})
	}
}

func checkRung(t *testing.T, f *av.Frame, r Rung, pts int64, key bool) {
	t.Helper()
	sar := f.SampleAspectRatio()
	if f.Width() != r.Width || f.Height() != r.Height || sar.Num != sar.Den || !f.Plain() || f.Interlaced() {
		t.Fatalf("rung %s: %dx%d, pixels %v, plain %v, interlaced %v", r.Name, f.Width(), f.Height(), sar, f.Plain(), f.Interlaced())
	}
	if f.PTS() != pts || f.Timescale != media.VideoTimescale || f.SourceKey != key || f.Arrived.IsZero() || f.Duration != 3600 {
		t.Fatalf("rung %s: PTS %d (want %d) in %d ticks, key %v (want %v), duration %d", r.Name, f.PTS(), pts,
			f.Timescale, f.SourceKey, key, f.Duration)
	}
}

// luma is the mean brightness of the middle of a quarter of the picture.
func luma(f *av.Frame, right, below bool) int {
	x, y := f.Width()/4, f.Height()/4
	if right {
		x = f.Width() * 3 / 4
	}
	if below {
		y = f.Height() * 3 / 4
	}
	sum := 0
	for dy := -2; dy <= 2; dy++ {
		for dx := -2; dx <= 2; dx++ {
			sum += int(f.Pixel(0, x+dx, y+dy))
		}
	}
	return sum / 25
}

// quarters says which quarters of the picture are bright, from the top left as one reads.
func quarters(f *av.Frame) string {
	var s string
	for _, below := range []bool{false, true} {
		for _, right := range []bool{false, true} {
			if luma(f, right, below) > 128 {
				s += "#"
			} else {
				s += "."
			}
		}
	}
	return s
}

// The publisher's picture is bright at the top left; each display orientation moves that quarter, and the rest
// of the picture with it.
func TestTurned(t *testing.T) {
	source := "color=black:size=320x180:rate=25:duration=0.2,drawbox=w=160:h=90:color=white:t=fill"
	for _, c := range []struct {
		orientation string // of the h264_metadata filter: counter-clockwise, then flipped
		want        string
	}{
		{"rotate=0", "#..."},
		{"rotate=90", "..#."},
		{"rotate=180", "...#"},
		{"rotate=270", ".#.."},
		{"rotate=0:flip=horizontal", ".#.."},
		{"rotate=0:flip=vertical", "..#."},
	} {
		t.Run(c.orientation, func(t *testing.T) {
			in := frames(t, clip(t, source, "-bsf:v", "h264_metadata=display_orientation=insert:"+c.orientation), 5)
			upright := c.orientation != "rotate=90" && c.orientation != "rotate=270"
			if w, h := DisplaySize(in[0]); (w > h) != upright {
				t.Errorf("display size %dx%d", w, h)
			}
			rung := Rung{"r", 160, 90}
			if !upright {
				rung = Rung{"r", 90, 160}
			}
			s, err := New([]Rung{rung})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			out := scaleAll(t, s, in)
			defer release(out)
			if len(out) != 5 {
				t.Fatalf("%d frames of 5", len(out))
			}
			for _, set := range out {
				if got := quarters(set[0]); got != c.want {
					t.Errorf("bright quarters %s, want %s", got, c.want)
				}
			}
		})
	}
}

// A 4:3 picture on a 16:9 canvas stands between black bars, in the middle, undistorted.
func TestBars(t *testing.T) {
	in := frames(t, clip(t, "color=white:size=160x120:rate=25:duration=0.08"), 1)
	s, err := New([]Rung{{"r", 320, 180}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out := scaleAll(t, s, in)
	defer release(out)
	f := out[0][0]
	for _, c := range []struct {
		x    int
		want bool
	}{{0, false}, {38, false}, {42, true}, {160, true}, {277, true}, {281, false}, {319, false}} {
		if got := f.Pixel(0, c.x, 90) > 128; got != c.want {
			t.Errorf("column %d: bright=%v", c.x, got)
		}
	}
}

// Combed fields are gone: a moving edge that differs between odd and even lines becomes smooth.
func TestDeinterlaced(t *testing.T) {
	// An edge moves by 16 pixels a frame: in the second field, which is half a frame later, it is 8 further.
	source := "color=black:size=320x180:rate=25:duration=0.4,format=yuv420p,geq=lum='if(gt(X+8*mod(Y\\,2)+16*N,240),235,16)':cb=128:cr=128"
	in := frames(t, clip(t, source, "-qp", "4", "-flags", "+ildct+ilme", "-x264-params", "tff=1"), 10)
	if !in[0].Interlaced() {
		t.Fatal("the clip is not interlaced")
	}
	comb := func(f *av.Frame) (n int) {
		for x := range f.Width() {
			for y := 60; y < 100; y++ {
				a, b, c := int(f.Pixel(0, x, y-1)), int(f.Pixel(0, x, y)), int(f.Pixel(0, x, y+1))
				if (b-a)*(b-c) > 10000 {
					n++
				}
			}
		}
		return n
	}
	before := comb(in[5])
	s, err := New([]Rung{{"r", 320, 180}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out := scaleAll(t, s, in)
	defer release(out)
	if after := comb(out[5][0]); before < 200 || after > before/10 {
		t.Errorf("%d combed pixels before, %d after", before, after)
	}
}

// Full range becomes limited range: black 0 → 16, white 255 → 235.
func TestRange(t *testing.T) {
	for color, want := range map[string]uint8{"black": 16, "white": 235} {
		source := fmt.Sprintf("color=%s:size=320x180:rate=25:duration=0.08", color)
		in := frames(t, clip(t, source, "-vf", "scale=out_range=pc,format=yuv420p", "-color_range", "pc"), 1)
		if !in[0].Color().Full {
			t.Fatal("the clip is not full range")
		}
		s, err := New(small)
		if err != nil {
			t.Fatal(err)
		}
		out := scaleAll(t, s, in)
		for _, f := range out[0] {
			if got := f.Pixel(0, 40, 20); got < want-1 || got > want+1 {
				t.Errorf("%s is %d, want %d", color, got, want)
			}
		}
		release(out)
		s.Close()
	}
}

func TestColorsAreStated(t *testing.T) {
	for name, c := range map[string]struct {
		source string
		args   []string
		want   av.Color
	}{
		"stated":     {"testsrc2=size=320x180:rate=25:duration=0.08", []string{"-vf", "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709"}, av.Color{Primaries: 1, Transfer: 1, Matrix: 1}},
		"small, not": {"testsrc2=size=320x180:rate=25:duration=0.08", nil, av.Color{Primaries: 6, Transfer: 6, Matrix: 6}},
		"large, not": {"testsrc2=size=1280x720:rate=25:duration=0.08", nil, av.Color{Primaries: 1, Transfer: 1, Matrix: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := New(small)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			out := scaleAll(t, s, frames(t, clip(t, c.source, c.args...), 1))
			defer release(out)
			for _, f := range out[0] {
				if got := f.Color(); got != c.want {
					t.Errorf("%+v, want %+v", got, c.want)
				}
			}
		})
	}
}

func TestHDRIsRefused(t *testing.T) {
	for trc, want := range map[string]string{"smpte2084": "PQ", "arib-std-b67": "HLG"} {
		in := frames(t, clip(t, "testsrc2=size=320x180:rate=25:duration=0.08", "-pix_fmt", "yuv420p10le",
			"-vf", "setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc="+trc), 1)
		s, err := New(small)
		if err != nil {
			t.Fatal(err)
		}
		var hdr *HDRError
		if err := s.Scale(in[0], nil); !errors.As(err, &hdr) || hdr.Transfer != want {
			t.Errorf("%s: %v", trc, err)
		}
		s.Close()
	}
}

// A source that changes its size, its interlacing and its orientation keeps one output per input.
func TestSourceChangesMidStream(t *testing.T) {
	var in []*av.Frame
	for _, c := range [][]string{
		{"testsrc2=size=320x180:rate=25:duration=0.2"},
		{"testsrc2=size=640x360:rate=25:duration=0.2", "-flags", "+ildct+ilme", "-x264-params", "tff=1"},
		{"testsrc2=size=640x360:rate=25:duration=0.2"},
		{"testsrc2=size=180x320:rate=25:duration=0.2", "-pix_fmt", "yuv422p10le"},
		{"testsrc2=size=320x180:rate=25:duration=0.2", "-bsf:v", "h264_metadata=display_orientation=insert:rotate=90"},
	} {
		for _, f := range frames(t, clip(t, c[0], c[1:]...), 5) {
			f.SetPTS(int64(len(in)) * 3600)
			in = append(in, f)
		}
	}
	s, err := New(small)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out := scaleAll(t, s, in)
	defer release(out)
	if len(out) != 25 {
		t.Fatalf("%d sets of 25", len(out))
	}
	for i, set := range out {
		for r, f := range set {
			if f.PTS() != int64(i)*3600 || f.Width() != small[r].Width || f.Height() != small[r].Height {
				t.Errorf("set %d, rung %d: PTS %d, %dx%d", i, r, f.PTS(), f.Width(), f.Height())
			}
		}
	}
}

func TestRungsSwitchOffAndOn(t *testing.T) {
	in := frames(t, clip(t, "testsrc2=size=320x180:rate=25:duration=0.4"), 9)
	s, err := New(small)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i, f := range in {
		s.SetActive(0, i < 3 || i >= 6)
		s.SetActive(1, i != 7)
		err := s.Scale(f, func(set []*av.Frame) error {
			defer releaseAll(set)
			if (set[0] != nil) != (i < 3 || i >= 6) || (set[1] != nil) != (i != 7) {
				t.Errorf("frame %d: %v", i, set)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestBadRungs(t *testing.T) {
	for name, rungs := range map[string][]Rung{
		"none":    nil,
		"odd":     {{"a", 321, 180}},
		"tiny":    {{"a", 8, 8}},
		"rising":  {{"a", 320, 180}, {"b", 640, 360}},
		"nothing": {{}},
	} {
		if _, err := New(rungs); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := NewGPU(rungs); err == nil {
			t.Errorf("%s: accepted for a GPU", name)
		}
	}
}

func BenchmarkCascade1080p(b *testing.B) { benchmark(b, ladder) }

func BenchmarkOneRung1080p(b *testing.B) {
	for _, r := range ladder {
		b.Run(r.Name, func(b *testing.B) { benchmark(b, []Rung{r}) })
	}
}

func benchmark(b *testing.B, rungs []Rung) {
	in := frames(b, avtest.Real(b), 24)
	defer releaseAll(in)
	s, err := New(rungs)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if err := s.Scale(in[n%len(in)].Ref(), func(set []*av.Frame) error { releaseAll(set); return nil }); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(float64(n)/24/b.Elapsed().Seconds(), "x-real-time")
}
