package hub

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"nova/internal/media"
)

const (
	videoID = 1
	audioID = 2
)

var (
	h264   = &media.CodecConfig{Codec: media.H264, Width: 1280, Height: 720, SPS: [][]byte{{1}}}
	aac48  = aac(48000)
	aac441 = aac(44100)
)

func aac(rate int) *media.CodecConfig {
	return &media.CodecConfig{Codec: media.AAC, SampleRate: rate, Channels: 2, FrameSamples: 1024}
}

func videoTrack() media.Track {
	return media.Track{ID: videoID, Kind: media.Video, Name: media.SourceVideo, Timescale: media.VideoTimescale, Config: h264}
}

func audioTrack(config *media.CodecConfig) media.Track {
	return media.Track{ID: audioID, Kind: media.Audio, Name: media.SourceAudio, Timescale: config.SampleRate, Config: config}
}

var rtmp = Publication{Stream: "demo", Protocol: "rtmp", ClockRate: 1000, ClockBits: 32}

// TestNormaliserScripts runs the commands of testdata/normaliser:
//
//	new [rate=N] [bits=N] [audio=RATE] [samples=N]
//	write    one line per sample: v|a TIME [key] [cts=N] [at=SECONDS] [config=N] [empty]
//
// A written sample comes out as its times in milliseconds (three digits are enough to see a tick), or as the reason
// that it was dropped for.
func TestNormaliserScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/normaliser", func(t *testing.T, path string) {
		var n *normaliser
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "new":
				pub, config := rtmp, *aac48
				d.MaybeScanArgs(t, "rate", &pub.ClockRate)
				d.MaybeScanArgs(t, "bits", &pub.ClockBits)
				d.MaybeScanArgs(t, "audio", &config.SampleRate)
				d.MaybeScanArgs(t, "samples", &config.FrameSamples)
				n = newNormaliser(pub)
				n.setTracks([]media.Track{videoTrack(), audioTrack(&config)})
				return ""
			case "write":
				var out strings.Builder
				for line := range strings.Lines(d.Input) {
					out.WriteString(describe(n, parseSample(t, line)))
				}
				return out.String()
			}
			d.Fatalf(t, "unknown command %s", d.Cmd)
			return ""
		})
	})
}

func parseSample(t *testing.T, line string) Sample {
	t.Helper()
	f := strings.Fields(line)
	s := Sample{Track: map[string]int{"v": videoID, "a": audioID}[f[0]], Data: []byte{1}}
	var err error
	if s.Time, err = strconv.ParseUint(f[1], 10, 64); err != nil {
		t.Fatal(err)
	}
	for _, arg := range f[2:] {
		name, value, _ := strings.Cut(arg, "=")
		number, _ := strconv.ParseFloat(value, 64)
		switch name {
		case "key":
			s.Key = true
		case "cts":
			s.CompositionOffset = int64(number)
		case "at":
			s.Arrived = time.Unix(1700000000, 0).Add(time.Duration(number * float64(time.Second)))
		case "config":
			s.Config = &media.CodecConfig{Codec: media.H264, Width: int(number)}
		case "empty":
			s.Data = nil
		}
	}
	return s
}

func describe(n *normaliser, s Sample) string {
	u, why := n.unit(s)
	if why != kept {
		return string(why) + "\n"
	}
	scale := n.lanes[u.Track].track.Timescale
	ms := func(v int64) string {
		return strconv.FormatFloat(math.Round(float64(v)*1e6/float64(scale))/1e3, 'f', -1, 64)
	}
	out := fmt.Sprintf("%c dts %s pts %s", " va"[u.Track], ms(u.DTS), ms(u.PTS))
	if u.Track == videoID && u.Key {
		out += " key"
	}
	if u.Discontinuity {
		out += " discontinuity"
	}
	return out + "\n"
}

// aacTime is when an encoder with a clock in milliseconds sends its n-th frame.
func aacTime(n int64, rate int) uint64 { return uint64(n * 1024 * 1000 / int64(rate)) }

// Ten hours of RTMP (one at 48 kHz): 29.97 frames a second and AAC, both rounded to milliseconds. Picture and sound stay within a
// millisecond of where they belong, and the sound has no gap.
func TestTenHoursDoNotDrift(t *testing.T) {
	for rate, seconds := range map[int]int64{44100: 10 * 3600, 48000: 3600} {
		n := newNormaliser(rtmp)
		n.setTracks([]media.Track{videoTrack(), audioTrack(aac(rate))})
		const origin = math.MaxUint32 - 1800_000 // wraps after half an hour
		frames, picture := int64(0), int64(0)
		for picture*1001 < seconds*30000 {
			at := uint64(picture * 1001 * 1000 / 30000)
			for ; aacTime(frames, rate) <= at; frames++ {
				u := mustUnit(t, n, Sample{Track: audioID, Time: origin + aacTime(frames, rate)})
				if u.DTS != frames*1024 || u.Discontinuity {
					t.Fatalf("%d Hz: frame %d at %d, want %d: %+v", rate, frames, u.DTS, frames*1024, u)
				}
			}
			u := mustUnit(t, n, Sample{Track: videoID, Time: origin + at, Key: picture%60 == 0})
			if off := float64(u.DTS)/90000 - float64(picture)*1001/30000; math.Abs(off) >= 0.001 {
				t.Fatalf("%d Hz: picture %d is off by %f s", rate, picture, off)
			}
			picture++
		}
		if want := seconds * int64(rate) / 1024; frames < want-1 {
			t.Fatalf("only %d frames of sound, want %d", frames, want)
		}
	}
}

func mustUnit(t *testing.T, n *normaliser, s Sample) *media.AccessUnit {
	t.Helper()
	s.Data = []byte{1}
	u, why := n.unit(s)
	if why != kept {
		t.Fatalf("sample %+v dropped: %s", s, why)
	}
	return u
}

// session is a minute of B-frames and AAC in the order that ffmpeg sends them, with a jump of the clock in it.
func session() []Sample {
	var list []Sample
	offsets := []int64{80, 160, 40, 0} // I P B b
	frames := int64(0)
	for i := range uint64(60 * 25) {
		at := i * 40
		for ; aacTime(frames, 48000) <= at; frames++ {
			list = append(list, Sample{Track: audioID, Time: aacTime(frames, 48000)})
		}
		list = append(list, Sample{
			Track: videoID, Time: at, Key: i%52 == 0, CompositionOffset: offsets[i%4],
		})
	}
	for i := range list {
		list[i].Data = []byte{byte(i), byte(i >> 8)}
		list[i].Arrived = time.Unix(1700000000, 0).Add(time.Duration(list[i].Time) * time.Millisecond)
		if i > len(list)/2 {
			list[i].Time += 3600_000
		}
	}
	return list
}

func run(pub Publication, samples []Sample) []*media.AccessUnit {
	n := newNormaliser(pub)
	n.setTracks([]media.Track{videoTrack(), audioTrack(aac48)})
	var units []*media.AccessUnit
	for _, s := range samples {
		if u, why := n.unit(s); why == kept {
			units = append(units, u)
		}
	}
	return units
}

// Where the publisher's clock begins does not matter, nor does its wrapping, nor how fine it is.
func TestNormaliserDependsOnDifferencesAlone(t *testing.T) {
	want := run(rtmp, session())
	if len(want) != len(session()) {
		t.Fatalf("%d of %d samples came through", len(want), len(session()))
	}
	for _, c := range []struct {
		name   string
		pub    Publication
		change func(*Sample)
	}{
		{"later", rtmp, func(s *Sample) { s.Time += 123456789 }},
		{"wraps at 32 bits", rtmp, func(s *Sample) { s.Time = (s.Time + math.MaxUint32 - 20_000) & math.MaxUint32 }},
		{"upper bits are noise", rtmp, func(s *Sample) { s.Time |= 0xabcd << 40 }},
		{"90 kHz, 33 bits", Publication{ClockRate: 90000, ClockBits: 33}, func(s *Sample) {
			s.Time = (s.Time*90 + 1<<33 - 900_000) & (1<<33 - 1)
			s.CompositionOffset *= 90
		}},
		{"nanoseconds, 64 bits", Publication{ClockRate: 1e9}, func(s *Sample) {
			s.Time = s.Time*1e6 - 1e10
			s.CompositionOffset *= 1e6
		}},
	} {
		samples := session()
		for i := range samples {
			c.change(&samples[i])
		}
		got := run(c.pub, samples)
		if len(got) != len(want) {
			t.Errorf("%s: %d units, want %d", c.name, len(got), len(want))
			continue
		}
		for i := range got {
			if math.Abs(float64(got[i].DTS-want[i].DTS)) > 90 || got[i].Discontinuity != want[i].Discontinuity {
				t.Errorf("%s: unit %d is %+v, want %+v", c.name, i, got[i], want[i])
				break
			}
		}
		if c.pub.ClockRate == 1000 && !reflect.DeepEqual(got, want) {
			t.Errorf("%s: not the same units", c.name)
		}
	}
}

func TestUnwrap(t *testing.T) {
	for _, c := range []struct {
		bits int
		raw  []uint64
		want []int64
	}{
		{32, []uint64{math.MaxUint32 - 9, math.MaxUint32, 20, 10, math.MaxUint32}, []int64{0, 9, 30, 20, 9}},
		{24, []uint64{0xfffff0, 0x10, 0x1000010}, []int64{0, 0x20, 0x20}},
		{64, []uint64{math.MaxUint64, 1, math.MaxUint64 - 1}, []int64{0, 2, -1}},
		{0, []uint64{5, 3}, []int64{0, -2}},
		{1, []uint64{0, 1, 0}, []int64{0, -1, -2}}, // half a turn counts as backwards
	} {
		clock := newClock(c.bits)
		first := clock.unwrap(c.raw[0])
		for i, want := range c.want[1:] {
			if got := clock.unwrap(c.raw[i+1]) - first; got != want {
				t.Errorf("%d bits: %#x is %d after the first, want %d", c.bits, c.raw[i+1], got, want)
			}
		}
	}
}

// An unchanged configuration stays the same pointer, one that only tells more is taken over quietly, and one that a
// decoder needs to know of breaks the track, and that alone.
func TestConfigChanges(t *testing.T) {
	n := newNormaliser(rtmp)
	n.setTracks([]media.Track{videoTrack(), audioTrack(aac48)})
	again, reordered := *h264, *h264
	reordered.Reordered = true
	changed := *h264
	changed.SPS = [][]byte{{2}}
	for i, c := range []struct {
		config, want *media.CodecConfig
		broken       bool
	}{
		{nil, h264, false},
		{&again, h264, false},
		{&reordered, &reordered, false},
		{&changed, &changed, true},
		{nil, &changed, false},
	} {
		u := mustUnit(t, n, Sample{Track: videoID, Time: uint64(i * 40), Key: true, Config: c.config})
		if u.Config != c.want || u.Discontinuity != c.broken {
			t.Errorf("unit %d: configuration %+v, discontinuity %v", i, u.Config, u.Discontinuity)
		}
		if u := mustUnit(t, n, Sample{Track: audioID, Time: uint64(i * 40)}); u.Discontinuity {
			t.Errorf("unit %d: the sound has not changed", i)
		}
	}
}

// Any samples make units whose decoding times increase within a track and lie neither before zero nor behind their
// presentation times. The input is cut into samples of 12 bytes.
func FuzzNormaliser(f *testing.F) {
	var seed []byte
	for _, s := range session()[:200] {
		var b [12]byte
		b[0] = byte(s.Track)
		if s.Key {
			b[0] |= 4
		}
		binary.BigEndian.PutUint64(b[1:], s.Time)
		b[9], b[10], b[11] = byte(s.CompositionOffset>>8), byte(s.CompositionOffset), 4
		seed = append(seed, b[:]...)
	}
	f.Add(seed, uint32(1000), uint8(32), uint32(48000))
	f.Add(seed[:600], uint32(1), uint8(1), uint32(1))
	f.Add(seed, uint32(90000), uint8(33), uint32(8000))
	f.Add([]byte(strings.Repeat("\x05\xff\x00\xff\x00\xff\x00\xff\x00\x80\x00\x01\x02", 20)), uint32(1e9), uint8(64), uint32(192000))
	f.Fuzz(func(t *testing.T, data []byte, rate uint32, bits uint8, scale uint32) {
		pub := Publication{Stream: "x", ClockRate: int(rate), ClockBits: int(bits)}
		if pub.validate() != nil || scale == 0 || scale > 1e6 {
			return
		}
		n := newNormaliser(pub)
		config := aac(int(scale))
		config.FrameSamples = int(scale) / 40
		n.setTracks([]media.Track{videoTrack(), audioTrack(config)})
		last := map[int]int64{}
		now := time.Unix(1700000000, 0)
		for len(data) >= 12 {
			now = now.Add(time.Duration(data[11]) * 20 * time.Millisecond)
			u, why := n.unit(Sample{
				Track:             int(data[0] & 3),
				Key:               data[0]&4 != 0,
				Time:              binary.BigEndian.Uint64(data[1:]),
				CompositionOffset: int64(int8(data[9]))<<(data[10]%60) + int64(data[10]),
				Data:              data[:1],
				Arrived:           now,
			})
			data = data[12:]
			if why != kept {
				continue
			}
			before, ok := last[u.Track]
			if (ok && u.DTS <= before) || u.DTS < 0 || u.PTS < u.DTS || u.Duration < 0 {
				t.Fatalf("unit %+v after %d", u, before)
			}
			last[u.Track] = u.DTS
		}
	})
}
