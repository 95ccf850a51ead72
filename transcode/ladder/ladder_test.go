package ladder

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"nova/internal/media"
)

func TestLadder(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			src, cfg := scanSource(t, d), scanConfig(t, d)
			rungs, err := Plan(src, cfg)
			if err != nil {
				return err.Error() + "\n"
			}
			switch d.Cmd {
			case "plan":
				return printRungs(rungs)
			case "shed":
				return printShedding(rungs)
			case "fit":
				var cores float64
				d.ScanArgs(t, "cores", &cores)
				return printNames(Fit(rungs, cores)) + "\n"
			default:
				d.Fatalf(t, "unknown command %q", d.Cmd)
				return ""
			}
		})
	})
}

func scanSource(t *testing.T, d *datadriven.TestData) Source {
	t.Helper()
	src := Source{Codec: media.H264, Width: 1920, Height: 1080, FrameRate: media.Rational{Num: 30, Den: 1}}
	for _, arg := range d.CmdArgs {
		val := strings.Join(arg.Vals, "")
		switch arg.Key {
		case "size":
			src.Width, src.Height = scanPair(t, val, "x")
		case "sar":
			src.SAR.Num, src.SAR.Den = scanPair(t, val, ":")
		case "fps":
			src.FrameRate.Num, src.FrameRate.Den = scanPair(t, val, "/")
		case "bitrate":
			src.Bitrate, _ = scanPair(t, val+"x1", "x")
		case "codec":
			src.Codec = media.Codec(val)
		case "profile":
			src.Profile, _ = scanPair(t, val+"x1", "x")
		case "gop":
			gop, err := time.ParseDuration(val)
			if err != nil {
				t.Fatal(err)
			}
			src.GOP = gop
		case "hdr":
			src.HDR = true
		}
	}
	return src
}

func scanConfig(t *testing.T, d *datadriven.TestData) Config {
	t.Helper()
	cfg := DefaultConfig()
	cfg.MaxHeight = 0 // the whole table
	d.MaybeScanArgs(t, "max-rungs", &cfg.MaxRungs)
	d.MaybeScanArgs(t, "max-height", &cfg.MaxHeight)
	if d.HasArg("no-passthrough") {
		cfg.Passthrough = false
	}
	for line := range strings.Lines(d.Input) {
		f := strings.Fields(line)
		height, bitrate := scanPair(t, f[1]+"x"+f[2], "x")
		rate, _ := scanPair(t, f[3]+"x1", "x")
		cfg.Rungs = append(cfg.Rungs, Step{Name: f[0], Height: height, Bitrate: bitrate, MaxFrameRate: float64(rate)})
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func scanPair(t *testing.T, s, sep string) (a, b int) {
	t.Helper()
	left, right, found := strings.Cut(s, sep)
	a, errA := strconv.Atoi(left)
	b, errB := strconv.Atoi(right)
	if !found || errA != nil || errB != nil {
		t.Fatalf("%q is not two numbers with %q between", s, sep)
	}
	return a, b
}

func printRungs(rungs []Rung) string {
	var b strings.Builder
	for _, r := range rungs {
		fmt.Fprintf(&b, "%s %dx%d@%g %d..%d buffer %d cost %.2f\n", r.Name, r.Width, r.Height, r.MaxFrameRate,
			r.Bitrate, r.MaxBitrate, r.BufferSize, r.Cost)
	}
	if len(rungs) == 0 {
		return "none\n"
	}
	return b.String()
}

func printNames(rungs []Rung) string {
	names := make([]string, len(rungs))
	for i, r := range rungs {
		names[i] = r.Name
	}
	return "[" + strings.Join(names, " ") + "]"
}

func printShedding(rungs []Rung) string {
	var b strings.Builder
	for {
		i := Shed(rungs)
		if i < 0 {
			fmt.Fprintf(&b, "keeps %s\n", printNames(rungs))
			return b.String()
		}
		fmt.Fprintf(&b, "%s of %s\n", rungs[i].Name, printNames(rungs))
		rungs = Without(rungs, i)
	}
}

// Whatever comes in, no rung is larger than the source, odd, squeezed, or richer than the source.
func TestPlanHoldsItsPromises(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		src := Source{
			Width: MinSize + rnd.IntN(4000), Height: MinSize + rnd.IntN(4000), Codec: media.H264,
			FrameRate: media.Rational{Num: rnd.IntN(121), Den: 1}, Bitrate: rnd.IntN(10_000_000),
			GOP: time.Duration(rnd.IntN(8)) * time.Second,
			SAR: media.Rational{Num: 1 + rnd.IntN(3), Den: 1 + rnd.IntN(2)},
		}
		rungs, err := Plan(src, DefaultConfig())
		if err != nil {
			t.Fatalf("%+v: %v", src, err)
		}
		checkPromises(t, src, rungs)
	}
}

func checkPromises(t *testing.T, src Source, rungs []Rung) {
	t.Helper()
	width, height := src.SquareSize()
	for i, r := range rungs {
		if r.Width > width || r.Height > height || r.Width%2 != 0 || r.Height%2 != 0 || r.ShortSide() < 2 {
			t.Fatalf("%+v: rung %+v has a bad size", src, r)
		}
		if off := float64(r.Width)*float64(height)/float64(width) - float64(r.Height); off > 2.5*float64(height)/float64(width)+2 || off < -2.5*float64(height)/float64(width)-2 {
			t.Fatalf("%+v: rung %+v lost the aspect by %.1f lines", src, r, off)
		}
		if src.Bitrate > 0 && r.Bitrate > max(src.Bitrate, minBitrate) {
			t.Fatalf("%+v: rung %+v is richer than the source", src, r)
		}
		if i > 0 && (r.ShortSide() >= rungs[i-1].ShortSide() || r.Bitrate > rungs[i-1].Bitrate) {
			t.Fatalf("%+v: rungs are not in order: %+v", src, rungs)
		}
		if src.Passable() && r.ShortSide() >= even(min(width, height)) {
			t.Fatalf("%+v: rung %+v repeats a source that can be passed", src, r)
		}
	}
	if !src.Passable() && len(rungs) == 0 {
		t.Fatalf("%+v: cannot be passed, and has no rung", src)
	}
}

func TestDefaultLadderOf1080p(t *testing.T) {
	for _, gop := range []time.Duration{0, 2 * time.Second, 10 * time.Second} {
		rungs, err := Plan(Source{Width: 1920, Height: 1080, Codec: media.H264, GOP: gop}, DefaultConfig())
		if err != nil || printNames(rungs) != "[720p 480p 360p]" {
			t.Errorf("GOP %v: %s, %v", gop, printNames(rungs), err)
		}
	}
}

func TestPlanRefusesHDR(t *testing.T) {
	_, err := Plan(Source{Width: 1920, Height: 1080, Codec: media.H265, HDR: true}, DefaultConfig())
	if !errors.Is(err, ErrHDR) {
		t.Errorf("error %v, want ErrHDR", err)
	}
}

func TestNewSourceReadsProfile(t *testing.T) {
	cfg := &media.CodecConfig{Codec: media.H264, Width: 640, Height: 480, SPS: [][]byte{{0x67, 110, 0, 31}}}
	if src := NewSource(cfg, 0); src.Profile != 110 || src.Passable() {
		t.Errorf("High 10 must not be passable: %+v", src)
	}
	cfg = &media.CodecConfig{Codec: media.H264, Width: 640, Height: 480, SPS: [][]byte{{0x67, 100, 0, 31}}}
	if src := NewSource(cfg, 0); !src.Passable() {
		t.Errorf("High must be passable: %+v", src)
	}
}

func TestCoversAndSameShape(t *testing.T) {
	rungs, err := Plan(Source{Width: 1920, Height: 1080, Codec: media.H264}, DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name          string
		width, height int
		covers, shape bool
	}{
		{"the same", 1920, 1080, true, true},
		{"larger", 3840, 2160, true, true},
		{"smaller, still above the top rung", 1600, 900, true, true},
		{"top rung's size", 1280, 720, true, true},
		{"smaller than the top rung", 640, 360, false, true},
		{"another shape", 1440, 1080, true, false},
		{"another shape, too small", 800, 600, false, false},
		{"turned", 1080, 1920, true, false},
	} {
		is := Source{Width: c.width, Height: c.height}
		if covers, shape := is.Covers(rungs), is.SameShape(rungs); covers != c.covers || shape != c.shape {
			t.Errorf("%s: covers %v, same shape %v", c.name, covers, shape)
		}
	}
}

func TestPace(t *testing.T) {
	for _, c := range []struct {
		num, den int
		limit    float64
		want     int
	}{
		{24, 1, 30, 1},
		{30000, 1001, 30, 1},
		{30, 1, 30, 1},
		{33, 1, 30, 1},
		{50, 1, 30, 2},
		{60, 1, 30, 2},
		{120, 1, 30, 4},
		{120, 1, 60, 2},
		{0, 0, 30, 1},
	} {
		if got := Pace(media.Rational{Num: c.num, Den: c.den}, c.limit); got != c.want {
			t.Errorf("of %d/%d frames at most %v: one in %d, want one in %d", c.num, c.den, c.limit, got, c.want)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	step := Step{Height: 720, Bitrate: 1_000_000, MaxFrameRate: 30}
	with := func(change func(*Step)) []Step {
		s := step
		change(&s)
		return []Step{s}
	}
	for _, c := range []struct {
		field string
		cfg   Config
	}{
		{"max_rungs", Config{MaxRungs: -1, PixelsPerCore: 1}},
		{"max_height", Config{MaxHeight: 3, PixelsPerCore: 1}},
		{"pixels_per_core", Config{}},
		{"rungs[0].height", Config{PixelsPerCore: 1, Rungs: with(func(s *Step) { s.Height = 721 })}},
		{"rungs[0].bitrate", Config{PixelsPerCore: 1, Rungs: with(func(s *Step) { s.Bitrate = 1 })}},
		{"rungs[0].max_frame_rate", Config{PixelsPerCore: 1, Rungs: with(func(s *Step) { s.MaxFrameRate = 0 })}},
		{"rungs[0].name", Config{PixelsPerCore: 1, Rungs: with(func(s *Step) { s.Name = "../up" })}},
		{"rungs[0].name", Config{PixelsPerCore: 1, Rungs: with(func(s *Step) { s.Name = "audio" })}},
		{"rungs[1].height", Config{PixelsPerCore: 1, Rungs: []Step{step, step}}},
	} {
		err := c.cfg.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), c.field) {
			t.Errorf("error %v, want one that names %s", err, c.field)
		}
	}
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("the default configuration: %v", err)
	}
}
