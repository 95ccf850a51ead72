package decode

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"nova/internal/media"
	"nova/transcode/av"
	"nova/transcode/av/avtest"
)

func TestMain(m *testing.M) { os.Exit(avtest.Main(m)) }

// shown is what a test keeps of a frame.
type shown struct {
	pts, duration       int64
	width, height       int
	key, broke, arrived bool
	samples             int
}

// decodeAll gives what units decode to, and counts damage.
func decodeAll(t testing.TB, d *Decoder, units []*media.AccessUnit) []shown {
	t.Helper()
	var out []shown
	emit := func(f *av.Frame) error {
		out = append(out, shown{
			pts: f.PTS(), duration: f.Duration, width: f.Width(), height: f.Height(),
			key: f.SourceKey, broke: f.Discontinuity, arrived: !f.Arrived.IsZero(), samples: f.Samples(),
		})
		f.Release()
		return nil
	}
	for _, u := range units {
		var damage *DamageError
		if err := d.Decode(u, emit); err != nil && !errors.As(err, &damage) {
			t.Fatal(err)
		}
	}
	if err := d.Flush(emit); err != nil {
		t.Fatal(err)
	}
	return out
}

// probed are the PTS of a file's frames as ffprobe decodes them, at the track's timescale.
func probed(t testing.TB, path, stream string, timescale int) []int64 {
	t.Helper()
	var p struct {
		Frames []struct {
			PTS int64 `json:"pts"`
		} `json:"frames"`
		Streams []struct {
			TimeBase string `json:"time_base"`
		} `json:"streams"`
	}
	out := avtest.FFprobe(t, "-of", "json", "-select_streams", stream, "-show_entries", "frame=pts:stream=time_base", path)
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	var den int
	for _, c := range p.Streams[0].TimeBase[2:] {
		den = den*10 + int(c-'0')
	}
	var pts []int64
	for _, f := range p.Frames {
		pts = append(pts, media.Rescale(f.PTS, den, timescale))
	}
	return pts
}

func ptsOf(frames []shown) []int64 {
	var pts []int64
	for _, f := range frames {
		pts = append(pts, f.pts)
	}
	return pts
}

func TestVideoMatchesFFprobe(t *testing.T) {
	lavfi := []string{"-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30000/1001:duration=3", "-c:v", "libx264", "-preset", "ultrafast"}
	for name, args := range map[string][]string{
		"no B-frames":  append(slices.Clone(lavfi), "-bf", "0"),
		"B-frames":     append(slices.Clone(lavfi), "-bf", "3", "-b_strategy", "0", "-g", "30"),
		"open GOP":     append(slices.Clone(lavfi), "-bf", "3", "-b_strategy", "0", "-x264-params", "open-gop=1:keyint=24:min-keyint=24"),
		"variable":     append(slices.Clone(lavfi), "-vf", "select='not(mod(n,3))+not(mod(n,7))'", "-fps_mode", "vfr"),
		"10 bit 4:2:2": append(slices.Clone(lavfi), "-pix_fmt", "yuv422p10le"),
		"slices":       append(slices.Clone(lavfi), "-slices", "4", "-refs", "4"),
	} {
		t.Run(name, func(t *testing.T) {
			clip := avtest.Make(t, args...)
			for _, threads := range []int{1, 3} {
				d, err := NewVideo(clip.VideoConfig, Options{Threads: threads})
				if err != nil {
					t.Fatal(err)
				}
				got := decodeAll(t, d, clip.Video)
				if want := probed(t, clip.Path, "v", media.VideoTimescale); !slices.Equal(ptsOf(got), want) {
					t.Errorf("%d threads: PTS\n%v, ffprobe says\n%v", threads, ptsOf(got), want)
				}
				checkMarks(t, clip.Video, got)
				if s := d.Stats(); s.Damaged+s.Late+s.Skipped+s.Corrupt != 0 {
					t.Errorf("%d threads: a good stream gives %+v", threads, s)
				}
			}
		})
	}
}

// checkMarks compares each frame with its own unit.
func checkMarks(t *testing.T, units []*media.AccessUnit, frames []shown) {
	t.Helper()
	byPTS := make(map[int64]*media.AccessUnit)
	for _, u := range units {
		byPTS[u.PTS] = u
	}
	for _, f := range frames {
		u := byPTS[f.pts]
		if f.key != u.Key || !f.arrived || f.duration != u.Duration {
			t.Fatalf("frame %+v of unit key=%v duration=%d", f, u.Key, u.Duration)
		}
	}
}

// A recovery point in the middle of an open GOP is a keyframe to libavcodec, but not what the unit said.
func TestOnlyTheUnitMakesAKeyframe(t *testing.T) {
	clip := avtest.Make(t, "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=2",
		"-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "10")
	for i, u := range clip.Video {
		u.Key = i == 0 || i == 20
	}
	d, err := NewVideo(clip.VideoConfig, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range decodeAll(t, d, clip.Video) {
		if f.key != (i == 0 || i == 20) {
			t.Errorf("frame %d: key=%v", i, f.key)
		}
	}
}

func TestUnitsBeforeTheFirstKeyframeAreSkipped(t *testing.T) {
	clip := avtest.Make(t, "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=2",
		"-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-bf", "0")
	d, err := NewVideo(clip.VideoConfig, Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := decodeAll(t, d, clip.Video[5:])
	if len(got) != 25 || !got[0].key || got[0].pts != clip.Video[25].PTS {
		t.Errorf("%d frames, the first %+v", len(got), got[0])
	}
	if s := d.Stats(); s.Skipped != 20 {
		t.Errorf("%+v", s)
	}
}

func TestConfigurationChangesMidStream(t *testing.T) {
	small := avtest.Make(t, "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=1", "-c:v", "libx264", "-bf", "2")
	large := avtest.Make(t, "-f", "lavfi", "-i", "testsrc2=size=640x480:rate=25:duration=1", "-c:v", "libx264", "-bf", "2")
	units := slices.Clone(small.Video)
	for i, u := range large.Video {
		moved := *u
		moved.PTS, moved.DTS, moved.Discontinuity = u.PTS+90000, u.DTS+90000, i == 0
		units = append(units, &moved)
	}
	d, err := NewVideo(small.VideoConfig, Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := decodeAll(t, d, units)
	if len(got) != 50 {
		t.Fatalf("%d frames of 50", len(got))
	}
	for i, f := range got {
		if wide := i >= 25; f.width != map[bool]int{false: 320, true: 640}[wide] || f.broke != (i == 25) {
			t.Errorf("frame %d: %+v", i, f)
		}
	}
}

// Bits flip in 1 % of the payload bytes of half the units: nothing crashes, the errors are counted, and after
// the damage the next group of pictures is whole again.
func TestDamageDoesNotEndTheStream(t *testing.T) {
	clip := avtest.Make(t, "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=6",
		"-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-bf", "2")
	rng := rand.New(rand.NewPCG(1, 2))
	for i, u := range clip.Video[:125] {
		if i%2 == 0 {
			continue
		}
		for range max(len(u.Data)/100, 1) {
			u.Data[rng.IntN(len(u.Data))] ^= 1 << rng.IntN(8)
		}
	}
	d, err := NewVideo(clip.VideoConfig, Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := decodeAll(t, d, clip.Video)
	s := d.Stats()
	if s.Damaged == 0 {
		t.Error("no damage was counted")
	}
	last := ptsOf(got)[len(got)-25:]
	var want []int64
	for _, u := range clip.Video[125:] {
		want = append(want, u.PTS)
	}
	slices.Sort(want)
	if !slices.Equal(last, want) {
		t.Errorf("the group after the damage has PTS %v, want %v (%+v)", last, want, s)
	}
	if !slices.IsSorted(ptsOf(got)) {
		t.Error("PTS go back")
	}
}

func TestAudioMatchesFFprobe(t *testing.T) {
	for name, args := range map[string][]string{
		"44.1 kHz mono": {"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100:duration=2", "-c:a", "aac"},
		"48 kHz 5.1":    {"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=2", "-ac", "6", "-c:a", "aac"},
	} {
		t.Run(name, func(t *testing.T) {
			clip := avtest.Make(t, args...)
			d, err := NewAudio(clip.AudioConfig, Options{})
			if err != nil {
				t.Fatal(err)
			}
			// The first unit is the encoder's ramp, which an MP4's edit list hides; ffprobe leaves it out, and
			// so the comparison does.
			got := ptsOf(decodeAll(t, d, clip.Audio))
			want := probed(t, clip.Path, "a", clip.AudioConfig.SampleRate)
			for len(got) > len(want) && got[0] < want[0] {
				got = got[1:]
			}
			if !slices.Equal(got, want) {
				t.Errorf("PTS\n%v, ffprobe says\n%v", got, want)
			}
		})
	}
}

// The first seconds of the sample clip: 1080p with B-frames, and 5.1 sound.
func TestRealClipMatchesFFprobe(t *testing.T) {
	clip := avtest.Make(t, "-i", avtest.Real(t).Path, "-t", "3", "-c", "copy")
	d, err := NewVideo(clip.VideoConfig, Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := ptsOf(decodeAll(t, d, clip.Video))
	if want := probed(t, clip.Path, "v", media.VideoTimescale); !slices.Equal(got, want) || len(got) < 72 {
		t.Errorf("%d frames at\n%v, ffprobe says\n%v", len(got), got, want)
	}
	if d, err = NewAudio(clip.AudioConfig, Options{}); err != nil {
		t.Fatal(err)
	}
	got = ptsOf(decodeAll(t, d, clip.Audio))
	want := probed(t, clip.Path, "a", clip.AudioConfig.SampleRate)
	if !slices.Equal(got, want) || len(got) < 140 {
		t.Errorf("%d frames at\n%v, ffprobe says\n%v", len(got), got, want)
	}
}

func TestOpus(t *testing.T) {
	clip := avtest.Make(t, "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=1", "-ac", "2", "-c:a", "libopus")
	d, err := NewAudio(clip.AudioConfig, Options{})
	if err != nil {
		t.Fatal(err)
	}
	samples := 0
	for i, f := range decodeAll(t, d, clip.Audio) {
		samples += f.samples
		if f.pts != clip.Audio[i].PTS {
			t.Errorf("frame %d at %d, its unit at %d", i, f.pts, clip.Audio[i].PTS)
		}
	}
	if samples < 48000 || samples > 49000 {
		t.Errorf("%d samples of a second", samples)
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  media.CodecConfig
		want error
	}{
		"AV1 without a GPU": {media.CodecConfig{Codec: media.AV1}, av.ErrNoDecoder},
		"unknown codec":     {media.CodecConfig{Codec: "theora"}, av.ErrNoDecoder},
		"no SPS":            {media.CodecConfig{Codec: media.H264}, nil},
		"empty PPS":         {media.CodecConfig{Codec: media.H264, SPS: [][]byte{{0x67, 1, 2, 3}}, PPS: [][]byte{{}}}, nil},
		"no VPS":            {media.CodecConfig{Codec: media.H265}, nil},
	} {
		d, err := NewVideo(&c.cfg, Options{})
		if err == nil {
			d.Close()
			t.Errorf("%s: opened", name)
		} else if c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := NewAudio(&media.CodecConfig{Codec: media.AAC, SampleRate: 48000}, Options{}); err == nil {
		t.Error("AAC without an AudioSpecificConfig: opened")
	}
}

func TestEmptyUnitIsDamage(t *testing.T) {
	clip := avtest.Make(t, "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=0.2", "-c:v", "libx264", "-bf", "0")
	d, err := NewVideo(clip.VideoConfig, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	empty := *clip.Video[0]
	empty.Data = nil
	var damage *DamageError
	if err := d.Decode(&empty, nil); !errors.As(err, &damage) || damage.PTS != empty.PTS {
		t.Errorf("an empty unit gives %v", err)
	}
	if got := decodeAll(t, d, clip.Video); len(got) != 5 {
		t.Errorf("%d frames after an empty unit, want 5", len(got))
	}
}

// Emit's error ends the call at once, and nothing leaks.
func TestEmitErrorEndsTheCall(t *testing.T) {
	clip := avtest.Make(t, "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=0.4", "-c:v", "libx264", "-bf", "0")
	d, err := NewVideo(clip.VideoConfig, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	full := errors.New("queue is closed")
	for _, u := range clip.Video {
		if err := d.Decode(u, func(f *av.Frame) error { f.Release(); return full }); !errors.Is(err, full) {
			t.Fatalf("got %v", err)
		}
	}
}

func BenchmarkDecode1080p(b *testing.B) {
	clip := avtest.Real(b)
	units := clip.Video[:120]
	var bytes int64
	for _, u := range units {
		bytes += int64(len(u.Data))
	}
	b.SetBytes(bytes)
	b.ReportAllocs()
	for b.Loop() {
		d, err := NewVideo(clip.VideoConfig, Options{})
		if err != nil {
			b.Fatal(err)
		}
		if n := len(decodeAll(b, d, units)); n != len(units) {
			b.Fatalf("%d frames", n)
		}
	}
	b.ReportMetric(5*float64(b.N)/b.Elapsed().Seconds(), "x-real-time")
}
