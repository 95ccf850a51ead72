package encode

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"
	"time"

	"nova/internal/media"
	"nova/transcode/av"
	"nova/transcode/av/avtest"
	"nova/transcode/decode"
)

// sound decodes a clip's sound; the caller owns the frames.
func sound(t testing.TB, clip *avtest.File) []*av.Frame {
	t.Helper()
	d, err := decode.NewAudio(clip.AudioConfig, decode.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var out []*av.Frame
	keep := func(f *av.Frame) error { out = append(out, f); return nil }
	for _, u := range clip.Audio {
		if err := d.Decode(u, keep); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Flush(keep); err != nil {
		t.Fatal(err)
	}
	return out
}

// tone is sound whose only event begins at 1.000 s: a second of 440 Hz after silence.
func tone(t testing.TB, rate, channels string) *avtest.File {
	t.Helper()
	return avtest.Make(t, "-f", "lavfi", "-i", "sine=frequency=440:sample_rate="+rate+":duration=1", "-af",
		"volume=4,adelay=1000:all=1,apad=whole_dur=3", "-ac", channels, "-c:a", "aac", "-b:a", "192k")
}

// encodeSound encodes references to the frames, which stay the caller's.
func encodeSound(t testing.TB, a *Audio, in []*av.Frame) []*media.AccessUnit {
	t.Helper()
	var out []*media.AccessUnit
	keep := func(u *media.AccessUnit) error { out = append(out, u); return nil }
	for _, f := range in {
		if err := a.Encode(f.Ref(), keep); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Flush(keep); err != nil {
		t.Fatal(err)
	}
	return out
}

// onset is the time in seconds at which sound that was decoded begins to be loud.
func onset(t testing.TB, cfg *media.CodecConfig, units []*media.AccessUnit) float64 {
	t.Helper()
	d, err := decode.NewAudio(cfg, decode.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	at := math.NaN()
	for _, u := range units {
		if err := d.Decode(u, func(f *av.Frame) error {
			defer f.Release()
			for i, x := range f.Left() {
				if math.IsNaN(at) && math.Abs(float64(x)) > 0.1 {
					at = float64(f.PTS()+int64(i)) / float64(f.Timescale)
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return at
}

// checkGrid wants units that are 1024 samples long and as far apart, at multiples of 1024.
func checkGrid(t *testing.T, units []*media.AccessUnit) {
	t.Helper()
	for i, u := range units {
		if u.PTS%1024 != 0 || u.DTS != u.PTS || u.Duration != 1024 || !u.Key || (i > 0 && u.PTS != units[i-1].PTS+1024) {
			t.Fatalf("unit %d: PTS %d DTS %d duration %d", i, u.PTS, u.DTS, u.Duration)
		}
	}
}

// A tone stays where it was, whatever the source's rate and channels.
func TestSoundKeepsItsPosition(t *testing.T) {
	for _, c := range []struct {
		rate, channels string
		want           int
	}{{"48000", "2", 48000}, {"44100", "2", 44100}, {"48000", "6", 48000}, {"32000", "1", 48000}} {
		t.Run(c.rate+" Hz, "+c.channels+" channels", func(t *testing.T) {
			in := sound(t, tone(t, c.rate, c.channels))
			defer release(in)
			a, err := NewAudio(AudioConfig{}, in[0].SampleRate())
			if err != nil {
				t.Fatal(err)
			}
			units := encodeSound(t, a, in)
			cfg := a.Config()
			a.Close()
			if a.Timescale() != c.want || cfg.SampleRate != c.want || cfg.Channels != 2 {
				t.Errorf("timescale %d, %+v", a.Timescale(), cfg)
			}
			checkGrid(t, units)
			if at := onset(t, cfg, units); math.Abs(at-1) > 0.005 {
				t.Errorf("the tone begins at %.4f s, want 1.0000", at)
			}
			if first := media.Rescale(in[0].PTS(), in[0].Timescale, c.want); units[0].Arrived.IsZero() || units[0].PTS < first-1023 {
				t.Errorf("the first unit is %+v", units[0])
			}
			avtest.FFmpeg(t, avtest.ADTS(units), "-f", "aac", "-i", "pipe:0", "-f", "null", "-")
		})
	}
}

// shift moves frames in time.
func shift(in []*av.Frame, by time.Duration) {
	for _, f := range in {
		f.SetPTS(f.PTS() + media.Ticks(by, f.Timescale))
	}
}

// An encoder that starts in the middle of a session puts its units where the first one would have.
func TestRestartKeepsTheGrid(t *testing.T) {
	in := sound(t, tone(t, "48000", "2"))
	defer release(in)
	shift(in, 17*time.Millisecond)
	var first []*media.AccessUnit
	for _, from := range []int{0, 20} {
		a, err := NewAudio(AudioConfig{}, 48000)
		if err != nil {
			t.Fatal(err)
		}
		units := encodeSound(t, a, in[from:])
		cfg := a.Config()
		a.Close()
		checkGrid(t, units)
		if at := onset(t, cfg, units); math.Abs(at-1.017) > 0.005 {
			t.Errorf("from frame %d: the tone begins at %.4f s", from, at)
		}
		if from == 0 {
			first = units
		} else if last := units[len(units)-1]; last.PTS != first[len(first)-1].PTS {
			t.Errorf("the last unit is at %d, was at %d", last.PTS, first[len(first)-1].PTS)
		}
	}
}

// What the source's clock does, and what becomes of the tone that follows.
func TestTimeline(t *testing.T) {
	for name, c := range map[string]struct {
		jump  time.Duration // of everything from 0.5 s on
		drop  int           // frames before that
		check func(AudioStats) bool
		onset float64
		holes int
	}{
		"jitter":       {jump: 20 * time.Millisecond, onset: 1, check: func(s AudioStats) bool { return s == AudioStats{} }},
		"lost frames":  {drop: 5, onset: 1, check: func(s AudioStats) bool { return s.Filled == 5*1024 && s.Cut == 0 }},
		"gap":          {jump: 300 * time.Millisecond, onset: 1.3, check: func(s AudioStats) bool { return s.Filled == 14400 }},
		"overlap":      {jump: -100 * time.Millisecond, onset: 0.9, check: func(s AudioStats) bool { return s.Cut >= 4700 && s.Cut <= 4900 }},
		"new timeline": {jump: 10 * time.Second, onset: 11, check: func(s AudioStats) bool { return s.Restarts == 1 && s.Filled == 0 }, holes: 1},
	} {
		t.Run(name, func(t *testing.T) {
			in := sound(t, tone(t, "48000", "2"))
			defer release(in)
			half := slices.IndexFunc(in, func(f *av.Frame) bool { return f.PTS() >= 24000 })
			shift(in[half:], c.jump)
			a, err := NewAudio(AudioConfig{}, 48000)
			if err != nil {
				t.Fatal(err)
			}
			units := encodeSound(t, a, append(slices.Clone(in[:half-c.drop]), in[half:]...))
			stats, cfg := a.Stats(), a.Config()
			a.Close()
			if !c.check(stats) {
				t.Errorf("%+v", stats)
			}
			holes := 0
			for i := 1; i < len(units); i++ {
				if step := units[i].PTS - units[i-1].PTS; step%1024 != 0 || step <= 0 {
					t.Fatalf("unit %d at %d follows %d", i, units[i].PTS, units[i-1].PTS)
				} else if step != 1024 {
					holes++
				}
			}
			if holes != c.holes {
				t.Errorf("%d holes, want %d", holes, c.holes)
			}
			slack := 0.005
			if name == "jitter" {
				slack = 0.030
			}
			if at := onset(t, cfg, units); math.Abs(at-c.onset) > slack {
				t.Errorf("the tone begins at %.4f s, want %.3f", at, c.onset)
			}
		})
	}
}

// A clock that runs 1 % fast for a minute: sound never leaves the source's time by more than the tolerance.
func TestDriftIsBounded(t *testing.T) {
	in := sound(t, tone(t, "48000", "2"))
	defer release(in)
	a, err := NewAudio(AudioConfig{}, 48000)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	var last int64
	for i := range 60 * 48000 / 1024 {
		f := in[i%len(in)].Ref()
		f.SetPTS(int64(float64(i) * 1024 * 1.01))
		pts := f.PTS()
		if err := a.Encode(f, func(u *media.AccessUnit) error { last = u.PTS; return nil }); err != nil {
			t.Fatal(err)
		}
		if late := pts - last; i > 10 && (late < -4*1024 || late > 4*1024+1440) {
			t.Fatalf("at %d the last unit is at %d", pts, last)
		}
	}
	if s := a.Stats(); s.Filled < 20000 || s.Cut != 0 {
		t.Errorf("%+v", s)
	}
}

func TestChangeOfRateMidStream(t *testing.T) {
	in := sound(t, tone(t, "48000", "2"))
	defer release(in)
	other := sound(t, tone(t, "44100", "1"))
	defer release(other)
	shift(other, 4*time.Second)
	other[0].Discontinuity = true
	a, err := NewAudio(AudioConfig{}, 48000)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	units := encodeSound(t, a, append(slices.Clone(in), other...))
	checkGrid(t, units)
	if at := onset(t, a.Config(), units[4*48000/1024:]); math.Abs(at-5) > 0.005 {
		t.Errorf("the second tone begins at %.4f s, want 5.0000", at)
	}
	broke := 0
	for _, u := range units {
		if u.Discontinuity {
			broke++
		}
	}
	if broke != 1 {
		t.Errorf("%d discontinuities, want 1", broke)
	}
}

func TestAudioSpecificConfigIsLC(t *testing.T) {
	a, err := NewAudio(AudioConfig{}, 44100)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	asc := binary.BigEndian.Uint16(a.Config().AudioSpecificConfig)
	if object, index, channels := asc>>11, asc>>7&15, asc>>3&15; object != 2 || index != 4 || channels != 2 {
		t.Errorf("object type %d, rate index %d, %d channels", object, index, channels)
	}
	if _, err := NewAudio(AudioConfig{Bitrate: 100}, 48000); err == nil {
		t.Error("100 bits a second were accepted")
	}
}

func BenchmarkEncodeAAC(b *testing.B) {
	clip := avtest.Real(b)
	clip.Audio = clip.Audio[:470] // 10 s
	in := sound(b, clip)
	defer release(in)
	b.ReportAllocs()
	for b.Loop() {
		a, err := NewAudio(AudioConfig{}, 48000)
		if err != nil {
			b.Fatal(err)
		}
		encodeSound(b, a, in)
		a.Close()
	}
	b.ReportMetric(10*float64(b.N)/b.Elapsed().Seconds(), "x-real-time")
}
