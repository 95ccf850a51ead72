package encode

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"nova/internal/media"
	"nova/transcode/av"
	"nova/transcode/av/avtest"
	"nova/transcode/decode"
	"nova/transcode/scale"
)

func TestMain(m *testing.M) { os.Exit(avtest.Main(m)) }

// frames decodes a clip's pictures; the caller owns them.
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

func release(frames []*av.Frame) {
	for _, f := range frames {
		f.Release()
	}
}

// cuts is a clip whose content changes entirely every 7 frames, so that an encoder would like to place keyframes.
func cuts(t testing.TB, size, seconds string) *avtest.File {
	t.Helper()
	return avtest.Make(t, "-f", "lavfi", "-i", "mandelbrot=size="+size+":rate=25", "-vf",
		"negate=enable='mod(floor(n/7)\\,2)',hflip=enable='mod(floor(n/14)\\,2)'", "-t", seconds,
		"-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "500")
}

func rung(width, height, bitrate int) Config {
	return Config{Encoder: X264, Width: width, Height: height, Bitrate: bitrate, FrameRate: media.Rational{Num: 25, Den: 1}}
}

// encodeAll encodes references to the frames, which stay the caller's.
func encodeAll(t testing.TB, v *Video, in []*av.Frame) []*media.AccessUnit {
	t.Helper()
	var out []*media.AccessUnit
	keep := func(u *media.AccessUnit) error { out = append(out, u); return nil }
	for _, f := range in {
		if err := v.Encode(f.Ref(), keep); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Flush(keep); err != nil {
		t.Fatal(err)
	}
	return out
}

func keys(units []*media.AccessUnit) (pts []int64) {
	for _, u := range units {
		if u.Key {
			pts = append(pts, u.PTS)
		}
	}
	return pts
}

// Three rungs get IDR pictures at the frames that are forced and nowhere else, and each group of pictures
// decodes without the one before it.
func TestKeyframesAgreeAcrossRungs(t *testing.T) {
	in := frames(t, cuts(t, "320x180", "4"), 100)
	forced := map[int]bool{0: true, 11: true, 12: true, 40: true, 75: true}
	var want []int64
	for i, f := range in {
		if f.ForceKey = forced[i]; f.ForceKey {
			want = append(want, f.PTS())
		}
	}
	rungs := []scale.Rung{{Name: "180p", Width: 320, Height: 180}, {Name: "120p", Width: 214, Height: 120}, {Name: "90p", Width: 160, Height: 90}}
	s, err := scale.New(rungs)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ladder := make([][]*av.Frame, len(rungs))
	for _, f := range in {
		if err := s.Scale(f, func(set []*av.Frame) error {
			for r, f := range set {
				ladder[r] = append(ladder[r], f)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	for r, scaled := range ladder {
		v, err := NewVideo(rung(rungs[r].Width, rungs[r].Height, 300_000), scaled[0], nil)
		if err != nil {
			t.Fatal(err)
		}
		units := encodeAll(t, v, scaled)
		v.Close()
		release(scaled)
		if got := keys(units); !slices.Equal(got, want) {
			t.Errorf("%s: keyframes at %v, want %v", rungs[r].Name, got, want)
		}
		if len(units) != len(in) {
			t.Errorf("%s: %d units for %d frames", rungs[r].Name, len(units), len(in))
		}
		checkClosed(t, units)
	}
}

// checkClosed decodes each group of pictures alone, in which ffmpeg finds no error and every frame.
func checkClosed(t *testing.T, units []*media.AccessUnit) {
	t.Helper()
	for begin := 0; begin < len(units); {
		end := begin + 1
		for end < len(units) && !units[end].Key {
			end++
		}
		out := avtest.FFmpeg(t, avtest.AnnexB(units[begin:end]), "-err_detect", "explode", "-f", "h264", "-i", "pipe:0", "-f", "framecrc", "-")
		if n := strings.Count(string(out), "\n0,"); n != end-begin {
			t.Errorf("%d frames of %d in the group at PTS %d", n, end-begin, units[begin].PTS)
		}
		for _, u := range units[begin:end] {
			if idr := u.Data[4]&31 == 5; idr != u.Key {
				t.Errorf("PTS %d: NAL unit type %d, key %v", u.PTS, u.Data[4]&31, u.Key)
			}
		}
		begin = end
	}
}

// Without a word from the source there is an IDR picture on the first frame past the interval.
func TestKeyframeInterval(t *testing.T) {
	in := frames(t, cuts(t, "160x90", "3"), 75)
	defer release(in)
	cfg := rung(160, 90, 100_000)
	cfg.KeyframeInterval = 990 * time.Millisecond // 24.75 frames
	in[10].ForceKey = true                        // the interval begins anew
	v, err := NewVideo(cfg, in[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	want := []int64{0, 10 * 3600, 35 * 3600, 60 * 3600}
	if got := keys(encodeAll(t, v, in)); !slices.Equal(got, want) {
		t.Errorf("keyframes at %v, want %v", got, want)
	}
}

func TestUnitsCarryWhatFramesSaid(t *testing.T) {
	in := frames(t, cuts(t, "160x90", "1"), 25)
	defer release(in)
	in[5].Discontinuity = true
	for name, threads := range map[string]int{"one thread": 1, "three threads": 3} {
		cfg := rung(160, 90, 100_000)
		cfg.Threads = threads
		v, err := NewVideo(cfg, in[0], nil)
		if err != nil {
			t.Fatal(err)
		}
		units := encodeAll(t, v, in)
		v.Close()
		if len(units) != len(in) {
			t.Fatalf("%s: %d units", name, len(units))
		}
		for i, u := range units {
			f := in[i]
			if u.PTS != f.PTS() || u.DTS != u.PTS || u.Duration != 3600 || !u.Arrived.Equal(f.Arrived) ||
				u.Discontinuity != (i == 5) || u.Config != v.Config() {
				t.Errorf("%s: unit %d is %+v of frame at %d", name, i, u, f.PTS())
			}
			for _, kind := range nalTypes(u.Data) {
				if kind != 1 && kind != 5 {
					t.Errorf("%s: unit %d has a NAL unit of type %d", name, i, kind)
				}
			}
		}
	}
}

func nalTypes(b []byte) (types []byte) {
	for len(b) > 4 {
		size := int(b[0])<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		types = append(types, b[4]&31)
		b = b[4+size:]
	}
	return types
}

// With one thread and no lookahead each frame's unit comes out of the call that the frame went into.
func TestNoDelay(t *testing.T) {
	in := frames(t, cuts(t, "160x90", "1"), 25)
	defer release(in)
	for _, c := range []struct{ threads, lookahead, delay int }{{1, 0, 0}, {1, 4, 4}, {3, 0, 2}} {
		cfg := rung(160, 90, 100_000)
		cfg.Threads, cfg.Lookahead = c.threads, c.lookahead
		v, err := NewVideo(cfg, in[0], nil)
		if err != nil {
			t.Fatal(err)
		}
		out := 0
		for i, f := range in {
			if err := v.Encode(f.Ref(), func(*media.AccessUnit) error { out++; return nil }); err != nil {
				t.Fatal(err)
			}
			if i == 20 && i+1-out != c.delay {
				t.Errorf("%+v: %d frames are held", c, i+1-out)
			}
		}
		v.Close()
	}
}

// A worker that is started again publishes the same parameter sets, so that the packager's init segment holds.
func TestParameterSetsAreStable(t *testing.T) {
	in := frames(t, cuts(t, "160x90", "0.4"), 10)
	defer release(in)
	var configs []*media.CodecConfig
	for i := range 3 {
		v, err := NewVideo(rung(160, 90, 100_000), in[i], nil)
		if err != nil {
			t.Fatal(err)
		}
		encodeAll(t, v, in[i:])
		configs = append(configs, v.Config())
		v.Close()
	}
	c := configs[0]
	if !c.Equal(configs[1]) || !c.Equal(configs[2]) {
		t.Error("parameter sets differ between encoders of one configuration")
	}
	if c.Codec != media.H264 || c.Width != 160 || c.Height != 90 || len(c.SPS) != 1 || len(c.PPS) != 1 || c.Reordered ||
		c.SPS[0][1] != 100 {
		t.Errorf("%+v", c)
	}
}

// No second of the stream is larger than the decoder's buffer and a second at the maximum rate.
func TestRateIsBounded(t *testing.T) {
	clip := avtest.Make(t, "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=6", "-vf",
		"noise=alls=60:allf=t:enable='gt(t,3)'", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-qp", "10")
	in := frames(t, clip, 150)
	defer release(in)
	cfg := rung(320, 180, 200_000)
	cfg.MaxBitrate, cfg.BufferSize = 300_000, 300_000
	v, err := NewVideo(cfg, in[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	units := encodeAll(t, v, in)
	for i := 0; i+25 <= len(units); i++ {
		bits := 0
		for _, u := range units[i : i+25] {
			bits += len(u.Data) * 8
		}
		if bits > (300_000+300_000)*105/100 {
			t.Fatalf("%d bits in the second from unit %d", bits, i)
		}
	}
}

func TestColorIsStatedInTheSPS(t *testing.T) {
	in := frames(t, cuts(t, "160x90", "0.2"), 5)
	defer release(in)
	v, err := NewVideo(rung(160, 90, 100_000), in[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	d, err := decode.NewVideo(v.Config(), decode.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	want := av.Color{Primaries: av.BT601, Transfer: av.BT601, Matrix: av.BT601}
	for _, u := range encodeAll(t, v, in) {
		if err := d.Decode(u, func(f *av.Frame) error {
			defer f.Release()
			if f.Color() != want {
				t.Errorf("%+v", f.Color())
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRefusals(t *testing.T) {
	in := frames(t, cuts(t, "160x90", "0.2"), 5)
	defer release(in)
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"encoder": {func(c *Config) { c.Encoder = "libx265" }, "encoder"},
		"odd":     {func(c *Config) { c.Width = 161 }, "width"},
		"bitrate": {func(c *Config) { c.Bitrate = 0 }, "bitrate"},
		"max":     {func(c *Config) { c.MaxBitrate = 50_000 }, "max_bitrate"},
		"preset":  {func(c *Config) { c.Preset = "warp" }, "preset"},
		"profile": {func(c *Config) { c.Profile = "high422intra" }, "profile"},
		"no GPU":  {func(c *Config) { c.Encoder = NVENC }, "GPU memory"},
	} {
		cfg := rung(160, 90, 100_000)
		c.change(&cfg)
		v, err := NewVideo(cfg, in[0], nil)
		if err == nil {
			v.Close()
			t.Errorf("%s: opened", name)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v does not name %s", name, err, c.want)
		}
	}
	v, err := NewVideo(rung(160, 90, 100_000), in[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	drop := func(*media.AccessUnit) error { return nil }
	if err := v.Encode(in[1].Ref(), drop); err != nil {
		t.Fatal(err)
	}
	if err := v.Encode(in[0].Ref(), drop); err == nil {
		t.Error("a frame out of order was taken")
	}
	full := errors.New("queue is closed")
	if err := v.Encode(in[2].Ref(), func(*media.AccessUnit) error { return full }); !errors.Is(err, full) {
		t.Errorf("emit's error came back as %v", err)
	}
}

func TestLengthPrefixed(t *testing.T) {
	stream := []byte{
		0, 0, 0, 1, 9, 0xf0, // delimiter
		0, 0, 0, 1, 0x67, 1, 2, 3,
		0, 0, 1, 0x68, 4,
		0, 0, 1, 6, 5, 1, 0xaa, 0x80, // the encoder's settings
		0, 0, 1, 6, 4, 1, 0xbb, 0x80, // captions
		0, 0, 0, 1, 0x65, 0x88, 0, 0, 3, 1, 0x80, 0, 0,
		0, 0, 1, 0x65, 0x99,
	}
	want := []byte{0, 0, 0, 5, 6, 4, 1, 0xbb, 0x80, 0, 0, 0, 7, 0x65, 0x88, 0, 0, 3, 1, 0x80, 0, 0, 0, 2, 0x65, 0x99}
	if got := h264.lengthPrefixed(stream); !bytes.Equal(got, want) {
		t.Errorf("% x\nwant\n% x", got, want)
	}
	var c media.CodecConfig
	h264.parameterSets(stream, &c)
	if len(c.SPS) != 1 || !bytes.Equal(c.SPS[0], []byte{0x67, 1, 2, 3}) || len(c.PPS) != 1 || !bytes.Equal(c.PPS[0], []byte{0x68, 4}) {
		t.Errorf("%+v", c)
	}
}

func FuzzLengthPrefixed(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0x65, 1, 0, 0, 1, 6, 5})
	f.Add([]byte{0, 0, 1, 0, 0, 1, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, form := range []*nalForm{&h264, &h265} {
			out := form.lengthPrefixed(b)
			for len(out) > 0 {
				if len(out) < 5 {
					t.Fatalf("% x of % x ends in the middle", out, b)
				}
				size := int(out[0])<<24 | int(out[1])<<16 | int(out[2])<<8 | int(out[3])
				if size == 0 || size > len(out)-4 {
					t.Fatalf("a length of %d in % x", size, out)
				}
				out = out[4+size:]
			}
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	source := frames(b, avtest.Real(b), 72)
	defer release(source)
	for _, r := range []struct {
		rung    scale.Rung
		bitrate int
	}{
		{scale.Rung{Name: "720p", Width: 1280, Height: 720}, 2_800_000},
		{scale.Rung{Name: "480p", Width: 854, Height: 480}, 1_400_000},
		{scale.Rung{Name: "360p", Width: 640, Height: 360}, 800_000},
	} {
		b.Run(r.rung.Name, func(b *testing.B) {
			s, err := scale.New([]scale.Rung{r.rung})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			var in []*av.Frame
			for _, f := range source {
				if err := s.Scale(f.Ref(), func(set []*av.Frame) error { in = append(in, set...); return nil }); err != nil {
					b.Fatal(err)
				}
			}
			defer release(in)
			b.ReportAllocs()
			for b.Loop() {
				cfg := rung(r.rung.Width, r.rung.Height, r.bitrate)
				cfg.FrameRate = media.Rational{Num: 24, Den: 1}
				v, err := NewVideo(cfg, in[0], nil)
				if err != nil {
					b.Fatal(err)
				}
				if n := len(encodeAll(b, v, in)); n != len(in) {
					b.Fatalf("%d units", n)
				}
				v.Close()
			}
			b.ReportMetric(float64(len(in))/24*float64(b.N)/b.Elapsed().Seconds(), "x-real-time")
		})
	}
}
