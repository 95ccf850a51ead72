package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"nova/internal/media"
	"nova/internal/obs"
	"nova/internal/relay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newTestHub(t testing.TB, log io.Writer) *Hub {
	t.Helper()
	h, err := New(DefaultConfig(), obs.NewLogger(log, slog.LevelInfo), nil)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func publish(t testing.TB, h *Hub) *Publisher {
	t.Helper()
	pub := rtmp
	pub.Title, pub.Remote = "A title", "192.0.2.1:5000"
	p, err := h.Publish(pub)
	if err != nil {
		t.Fatal(err)
	}
	p.SetTracks([]media.Track{videoTrack(), audioTrack(aac48)})
	return p
}

func write(t testing.TB, p *Publisher, s Sample) {
	t.Helper()
	if s.Data == nil {
		s.Data = []byte{1, 2, 3}
	}
	if err := p.Write(s); err != nil {
		t.Fatal(err)
	}
}

// camera publishes 25 pictures a second of the given size in bytes, with a keyframe every gop pictures, and sound,
// on the clock of the test's bubble.
type camera struct {
	p       *Publisher
	gop     int
	size    int
	fps     float64
	silent  bool
	offsets []int64
	// speed is by how much the sound's clock differs from the picture's.
	speed float64

	n      int
	frames int64
}

func (c *camera) film(t testing.TB, d time.Duration) {
	for range int(d.Seconds() * c.fps) {
		at := uint64(float64(c.n) * 1000 / c.fps)
		s := Sample{Track: videoID, Time: at, Key: c.n%c.gop == 0, Data: make([]byte, c.size)}
		if len(c.offsets) > 0 {
			s.CompositionOffset = c.offsets[c.n%len(c.offsets)]
		}
		write(t, c.p, s)
		for ; !c.silent && aacTime(c.frames, 48000) <= at; c.frames++ {
			sound := float64(aacTime(c.frames, 48000)) * (1 + c.speed)
			write(t, c.p, Sample{Track: audioID, Time: uint64(sound), Data: make([]byte, 300)})
		}
		c.n++
		time.Sleep(time.Duration(float64(time.Second) / c.fps)) // the bubble's clock
	}
}

func TestPublishGoesLiveWithTheFirstUnit(t *testing.T) {
	h := newTestHub(t, io.Discard)
	p := publish(t, h)
	if _, err := h.Source().Subscribe(t.Context(), "demo", relay.Options{}); !errors.Is(err, relay.ErrNotFound) {
		t.Errorf("Subscribe before the first unit: %v", err)
	}
	start := time.Unix(1700000000, 0)
	write(t, p, Sample{Track: videoID, Time: 960, Arrived: start}) // no keyframe yet
	write(t, p, Sample{Track: videoID, Time: 1000, Key: true, CompositionOffset: 80, Arrived: start})
	write(t, p, Sample{Track: audioID, Time: 1000, Arrived: start})
	r, err := h.Source().Subscribe(t.Context(), "demo", relay.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := r.Info(); got.Title != "A title" || got.Session != p.Session() || !got.Start.Equal(start.Add(-80*time.Millisecond)) {
		t.Errorf("info %+v, want a start such that PTS 80 ms is at %v", got, start)
	}
	p.Close(nil)
	p.Close(errors.New("twice"))
	var got []relay.Item
	for {
		item, err := r.Next(t.Context())
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			break
		}
		got = append(got, item)
	}
	if len(got) != 3 || len(got[0].Tracks) != 2 || got[1].Unit.Config != h264 || got[1].Unit.PTS != 7200 ||
		got[2].Unit.PTS != 0 {
		t.Errorf("items %+v", got)
	}
	<-p.Done()
	if err := p.Write(Sample{Track: videoID, Time: 1040}); !errors.Is(err, ErrEnded) {
		t.Errorf("Write after Close: %v, want ErrEnded", err)
	}
}

func TestPublishIsExclusive(t *testing.T) {
	h := newTestHub(t, io.Discard)
	first := publish(t, h)
	if _, err := h.Publish(rtmp); !errors.Is(err, ErrBusy) {
		t.Errorf("a second publisher: %v, want ErrBusy", err)
	}
	first.Close(nil)
	second := publish(t, h)
	if second.Session() == first.Session() {
		t.Error("two publications with one session")
	}
	first.Close(nil) // must not end the second one
	if got := h.Streams(); len(got) != 1 || got[0].Session != second.Session() {
		t.Errorf("streams %+v", got)
	}
}

// An encoder that lost its connection is back before the hub knows: the silent publication gives way.
func TestSilentPublicationGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHub(t, io.Discard)
		first := publish(t, h)
		time.Sleep(patience - 1)
		write(t, first, Sample{Track: videoID, Key: true})
		time.Sleep(patience - 1)
		if _, err := h.Publish(rtmp); !errors.Is(err, ErrBusy) {
			t.Errorf("a second publisher while the first one is alive: %v, want ErrBusy", err)
		}
		time.Sleep(time.Nanosecond)
		second := publish(t, h)
		<-first.Done()
		if err := first.Write(Sample{Track: videoID}); !errors.Is(err, ErrEnded) {
			t.Errorf("Write of the one that gave way: %v, want ErrEnded", err)
		}
		first.Close(nil) // must not end the second one
		write(t, second, Sample{Track: videoID, Key: true})
		if got := h.Source().Streams(); len(got) != 1 || got[0].Session != second.Session() {
			t.Errorf("streams %+v", got)
		}
		second.Close(nil)
	})
}

func TestStop(t *testing.T) {
	var log bytes.Buffer
	h := newTestHub(t, &log)
	p := publish(t, h)
	write(t, p, Sample{Track: audioID})
	if h.Stop("other") || !h.Stop("demo") || h.Stop("demo") {
		t.Error("Stop must tell whether there was a publication")
	}
	<-p.Done()
	if err := p.Write(Sample{}); !errors.Is(err, ErrEnded) {
		t.Errorf("Write: %v, want ErrEnded", err)
	}
	if len(h.Streams()) != 0 || len(h.Source().Streams()) != 0 {
		t.Error("the stream must be gone")
	}
	if !strings.Contains(log.String(), "stopped by the hub") {
		t.Errorf("the log does not say why:\n%s", log.String())
	}
}

func TestPublishNamesTheBadField(t *testing.T) {
	h := newTestHub(t, io.Discard)
	for field, pub := range map[string]Publication{
		"stream":     {ClockRate: 1000},
		"clock rate": {Stream: "x"},
		"clock bits": {Stream: "x", ClockRate: 1000, ClockBits: 65},
	} {
		if _, err := h.Publish(pub); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestUnusableTracksAreLeftOut(t *testing.T) {
	h := newTestHub(t, io.Discard)
	p := publish(t, h)
	p.SetTracks([]media.Track{videoTrack(), {ID: 9, Kind: media.Audio}, {ID: 8, Timescale: 1000}})
	write(t, p, Sample{Track: 9})
	write(t, p, Sample{Track: 8})
	write(t, p, Sample{Track: videoID, Key: true})
	if got := p.Snapshot(); got.Dropped[string(unknownTrack)] != 2 || got.Audio != nil {
		t.Errorf("stats %+v", got)
	}
	if got := testutil.ToFloat64(h.metrics.dropped.WithLabelValues(string(unknownTrack))); got != 2 {
		t.Errorf("metric says %v drops", got)
	}
}

// The sound changes from 48 to 44.1 kHz: the track list changes first, and the time goes on.
func TestSampleRateChange(t *testing.T) {
	h := newTestHub(t, io.Discard)
	p := publish(t, h)
	for i := range int64(10) {
		write(t, p, Sample{Track: audioID, Time: aacTime(i, 48000)})
	}
	r, err := h.Source().Subscribe(t.Context(), "demo", relay.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	write(t, p, Sample{Track: audioID, Time: 213, Config: aac441})
	write(t, p, Sample{Track: audioID, Time: 236})
	p.Close(nil)
	rate := 0
	var after []*media.AccessUnit
	for {
		item, err := r.Next(t.Context())
		if err != nil {
			break
		}
		if item.Unit == nil {
			rate = item.Tracks[1].Timescale
		} else if rate == 44100 {
			after = append(after, item.Unit)
		}
	}
	if len(after) != 2 || after[0].Config != aac441 || !after[0].Discontinuity || after[1].Discontinuity {
		t.Fatalf("units after the change %+v", after)
	}
	if at := media.Duration(after[0].DTS, 44100); at < 213*time.Millisecond || at > 214*time.Millisecond {
		t.Errorf("the new rate begins at %v, want 213.3 ms", at)
	}
	if after[1].DTS-after[0].DTS != 1024 {
		t.Errorf("frames are %d samples apart", after[1].DTS-after[0].DTS)
	}
}

func TestSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHub(t, io.Discard)
		p := publish(t, h)
		c := camera{p: p, gop: 50, size: 10_000, fps: 25, offsets: []int64{80, 160, 40, 40}}
		c.film(t, 20*time.Second)
		s := p.Snapshot()
		near := func(name string, got, want, tolerance float64) {
			t.Helper()
			if got < want-tolerance || got > want+tolerance {
				t.Errorf("%s is %g, want %g", name, got, want)
			}
		}
		near("bitrate over 10 s", s.Bitrate10s, 8*(250_000+47*300), 20_000)
		near("bitrate over 1 s", s.Bitrate1s, 8*(250_000+47*300), 100_000)
		near("variation", s.BitrateVariation, 0, 0.1)
		near("frame rate", s.Video.FPS, 25, 0.5)
		near("last GOP", s.Video.GOPLastSeconds, 2, 0.05)
		near("longest GOP", s.Video.GOPMaxSeconds, 2, 0.05)
		near("drift", s.AVDriftMS, 0, 20)
		near("video drift", s.Video.WallDriftMS, 0, 20)
		near("audio drift", s.Audio.WallDriftMS, 0, 25)
		near("uptime", s.UptimeSeconds, 20, 0.1)
		if !s.Video.BFrames || s.Video.Width != 1280 || s.Audio.SampleRate != 48000 || s.Bytes < 5_000_000 {
			t.Errorf("stats %+v, video %+v, audio %+v", s, s.Video, s.Audio)
		}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{`"stream":"demo"`, `"bitrate_10s":`, `"gop_max_seconds":`, `"dropped":{}`, `"warnings":[`} {
			if !bytes.Contains(text, []byte(key)) {
				t.Errorf("%s is missing in %s", key, text)
			}
		}
		p.Close(nil)
	})
}

// A sound whose clock is 2 % fast moves 20 ms a second away from the picture.
func TestDriftIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHub(t, io.Discard)
		c := camera{p: publish(t, h), gop: 50, size: 10_000, fps: 25, speed: 0.02}
		c.film(t, 30*time.Second)
		s := c.p.Snapshot()
		if s.AVDriftMS < 400 || s.AVDriftMS > 600 || s.Audio.WallDriftMS < 400 || s.Video.WallDriftMS > 20 {
			t.Errorf("drift %g ms, sound %g, picture %g", s.AVDriftMS, s.Audio.WallDriftMS, s.Video.WallDriftMS)
		}
		if !slices.ContainsFunc(s.Warnings, func(w Warning) bool { return w.Code == AVDrift }) {
			t.Errorf("warnings %+v", s.Warnings)
		}
		c.p.Close(nil)
	})
}

// A warning is logged once when it comes and once when it has been absent for a minute, and counted while it is in
// force, however often its reason comes and goes in between.
func TestHealthIsReportedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		h := newTestHub(t, &log)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- h.Run(ctx) }()
		c := camera{p: publish(t, h), size: 20_000, fps: 25}
		expect := func(inForce, over int) {
			t.Helper()
			synctest.Wait()
			if got := testutil.ToFloat64(h.metrics.warnings.WithLabelValues(string(GOPTooLong))); got != float64(inForce) {
				t.Errorf("%v streams with long GOPs, want %d", got, inForce)
			}
			if got := c.p.Snapshot().Warnings; len(got) != inForce || inForce > 0 && got[0].Code != GOPTooLong {
				t.Errorf("warnings %+v, want %d of long GOPs", got, inForce)
			}
			for line, want := range map[string]int{`"level":"WARN","msg":"health warning","comp"`: 1, `"level":"INFO","msg":"health warning is over"`: over} {
				if n := strings.Count(log.String(), line); n != want {
					t.Errorf("%d lines with %q, want %d:\n%s", n, line, want, log.String())
				}
			}
		}
		for range 8 { // ten seconds without a keyframe, then five with one each second
			c.gop = 250
			c.film(t, 10*time.Second)
			c.gop = 25
			c.film(t, 5*time.Second)
			expect(1, 0)
		}
		c.film(t, calmTime-7*time.Second)
		expect(1, 0)
		c.film(t, 5*time.Second)
		expect(0, 1)
		c.p.Close(nil)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestConfigNamesTheField(t *testing.T) {
	for field, change := range map[string]func(*Config){
		"cache_units":          func(c *Config) { c.CacheUnits = 0 },
		"cache_bytes":          func(c *Config) { c.CacheBytes = 0 },
		"health.max_gop":       func(c *Config) { c.Health.MaxGOP = 0 },
		"health.max_drift":     func(c *Config) { c.Health.MaxDrift = -1 },
		"health.min_bitrate":   func(c *Config) { c.Health.MinBitrate = -1 },
		"health.max_variation": func(c *Config) { c.Health.MaxVariation = -1 },
		"health.min_fps":       func(c *Config) { c.Health.MinFPS = -1 },
	} {
		cfg := DefaultConfig()
		change(&cfg)
		if _, err := New(cfg, slog.New(slog.DiscardHandler), nil); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	p := publish(b, newTestHub(b, io.Discard))
	defer p.Close(nil)
	data := make([]byte, 10<<10)
	now := time.Now()
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	i := uint64(0)
	for b.Loop() {
		if err := p.Write(Sample{Track: videoID, Time: i * 40, Key: i%50 == 0, Data: data, Arrived: now}); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
