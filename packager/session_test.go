package packager

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nova/internal/media"
	"nova/internal/relay"
	"nova/packager/present"
)

// The order in which tracks arrive within a second changes no segment of any rendition.
func TestArrivalOrderChangesNothing(t *testing.T) {
	lanes := func(rnd *rand.Rand) []lane {
		late := func(delay time.Duration) time.Duration {
			if rnd == nil {
				return delay
			}
			return time.Duration(rnd.Int64N(int64(time.Second)))
		}
		return []lane{
			{name: "source", clip: picture(t, "320x180", "25", 75, 10, "-bf 0"), delay: late(0)},
			{name: "source-audio", clip: sound(t, 48000, 2, 10), delay: late(0)},
			{name: "120p", clip: picture(t, "212x120", "25", 75, 10, "-bf 0 -force_key_frames 0,2,3,5,6,8,9"), delay: late(lag)},
		}
	}
	want := play(t, DefaultConfig(), lanes(nil), nil)
	for seed := range uint64(4) {
		got := play(t, DefaultConfig(), lanes(rand.New(rand.NewPCG(seed, 1))), nil)
		for name, r := range want.rec.tracks {
			same(t, fmt.Sprintf("seed %d: %s", seed, name), got.rec.tracks[name], r)
		}
	}
}

func same(t *testing.T, name string, got, want *recorded) {
	t.Helper()
	if got == nil || len(got.segments) != len(want.segments) {
		t.Errorf("%s: other segments", name)
		return
	}
	for i, s := range got.segments {
		w := want.segments[i]
		if !bytes.Equal(s.Body, w.Body) || s.Duration != w.Duration || s.Gap != w.Gap || !s.Start.Equal(w.Start) {
			t.Errorf("%s: segment %d differs: %v %d bytes, want %v %d bytes",
				name, i, s.Duration, len(s.Body), w.Duration, len(w.Body))
		}
	}
}

// stage is a packager in a bubble whose source the test drives by itself.
type stage struct {
	t         *testing.T
	ingest    *relay.Hub
	transcode *relay.Hub
	p         *Packager
}

// onStage runs body in a bubble with a running packager.
func onStage(t *testing.T, cfg Config, sink present.Sink, body func(*stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		s := &stage{t: t}
		s.ingest, _ = relay.NewHub(relay.DefaultHubConfig("ingest"), log, nil)
		s.transcode, _ = relay.NewHub(relay.DefaultHubConfig("transcode"), log, nil)
		var err error
		if s.p, err = New(cfg, s.ingest, s.transcode, sink, log, nil); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = s.p.Run(ctx) })
		synctest.Wait()
		body(s)
		cancel()
		running.Wait()
	})
}

// open begins a session with the source of a clip.
func (s *stage) open(session string, lanes ...lane) *relay.Stream {
	s.t.Helper()
	stream, err := s.ingest.Open(relay.Info{Stream: "demo", Session: session, Start: time.Now()})
	if err != nil {
		s.t.Fatal(err)
	}
	stream.SetTracks(announced(lanes, 0, true))
	return stream
}

// send plays the lanes' units from one time of the clip to another.
func (s *stage) send(stream *relay.Stream, from, to time.Duration, lanes ...lane) {
	w := &world{t: s.t}
	begin := time.Now()
	for _, st := range w.steps(lanes) {
		if st.unit == nil || st.at < from || st.at >= to {
			continue
		}
		time.Sleep(time.Until(begin.Add(st.at - from))) // the bubble's clock
		stream.Write(st.unit)
	}
}

// settle waits until everything that was sent is packaged.
func (s *stage) settle() { synctest.Wait() }

func (s *stage) get(path string) (present.Object, error) { return s.p.Get(s.t.Context(), "demo", path) }

func (s *stage) must(path string) present.Object {
	s.t.Helper()
	o, err := s.get(path)
	if err != nil {
		s.t.Fatalf("%s: %v", path, err)
	}
	return o
}

// segmentOf is the first segment's path of a media playlist.
func segmentOf(o present.Object, dir string) string {
	for _, line := range strings.Split(string(o.Body), "\n") {
		if strings.HasSuffix(line, ".m4s") {
			return dir + line
		}
	}
	return ""
}

// A publisher that comes back makes a new session: old media stay readable for a while, and the old playlist
// until the new one can be played. Names never repeat.
func TestSecondSession(t *testing.T) {
	lanes := []lane{
		{name: "source", clip: picture(t, "320x180", "25", 50, 9, "-bf 0")},
		{name: "source-audio", clip: sound(t, 48000, 2, 9)},
	}
	onStage(t, DefaultConfig(), nil, func(s *stage) {
		first := s.open("s1", lanes...)
		s.send(first, 0, 9*time.Second, lanes...)
		s.settle()
		first.Close()
		synctest.Wait()
		old := s.must("source/index.m3u8")
		if !old.Ended || !bytes.Contains(old.Body, []byte("#EXT-X-ENDLIST")) {
			t.Errorf("the first session's playlist has no end:\n%s", old.Body)
		}
		oldSegment := segmentOf(old, "source/")

		second := s.open("s2", lanes...)
		s.send(second, 0, time.Second, lanes...)
		s.settle()
		if o := s.must("source/index.m3u8"); !bytes.Equal(o.Body, old.Body) {
			t.Error("the old playlist left before there was a new one")
		}
		s.send(second, time.Second, 9*time.Second, lanes...)
		s.settle()
		o := s.must("source/index.m3u8")
		if o.Ended || segmentOf(o, "source/") == oldSegment {
			t.Errorf("the playlist is still the old session's:\n%s", o.Body)
		}
		s.must(oldSegment)
		if live := s.p.Live(); len(live) != 1 {
			t.Errorf("live: %+v", live)
		}
		time.Sleep(31 * time.Second)
		if _, err := s.get(oldSegment); !errors.Is(err, present.ErrNotFound) {
			t.Errorf("the old session's media are still there: %v", err)
		}
		second.Close()
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if _, err := s.get("index.m3u8"); !errors.Is(err, present.ErrNotFound) {
			t.Errorf("an ended stream is still there: %v", err)
		}
		if len(s.p.mu.streams)+len(s.p.mu.sessions) != 0 {
			t.Errorf("%d streams and %d sessions are left", len(s.p.mu.streams), len(s.p.mu.sessions))
		}
	})
}

// Renditions of another session of the stream are not this one's.
func TestRenditionsOfAnotherSession(t *testing.T) {
	source := lane{name: "source", clip: picture(t, "320x180", "25", 50, 9, "-bf 0")}
	rung := lane{name: "120p", clip: picture(t, "212x120", "25", 50, 9, "-bf 0")}
	onStage(t, DefaultConfig(), nil, func(s *stage) {
		stale, err := s.transcode.Open(relay.Info{Stream: "demo", Session: "s0"})
		if err != nil {
			t.Fatal(err)
		}
		stale.SetTracks(announced([]lane{rung}, 0, false))
		first := s.open("s1", source)
		var sending sync.WaitGroup
		sending.Go(func() { s.send(stale, 0, 5*time.Second, rung) })
		s.send(first, 0, 5*time.Second, source)
		sending.Wait()
		s.settle()
		if o := s.must("index.m3u8"); bytes.Contains(o.Body, []byte("120p")) {
			t.Errorf("a stale session's rung is in the playlist:\n%s", o.Body)
		}
		stale.Close()
		fresh, err := s.transcode.Open(relay.Info{Stream: "demo", Session: "s1"})
		if err != nil {
			t.Fatal(err)
		}
		fresh.SetTracks(announced([]lane{rung}, 0, false))
		sending.Go(func() { s.send(fresh, 4*time.Second, 9*time.Second, rung) })
		s.send(first, 5*time.Second, 9*time.Second, source)
		sending.Wait()
		s.settle()
		if o := s.must("index.m3u8"); !bytes.Contains(o.Body, []byte("120p")) {
			t.Errorf("the session's own rung is not in the playlist:\n%s", o.Body)
		}
		first.Close()
		fresh.Close()
	})
}

// What a stop of the packager leaves is a complete recording of what was there.
func TestStopClosesTheRecording(t *testing.T) {
	source := lane{name: "source", clip: picture(t, "320x180", "25", 50, 9, "-bf 0")}
	rec := &recorder{t: t}
	onStage(t, DefaultConfig(), rec, func(s *stage) {
		s.send(s.open("s1", source), 0, 5*time.Second, source)
		s.settle()
	})
	if !rec.closed || rec.sum() != "source: 2.00 2.00 1.00\n" {
		t.Errorf("closed %v with\n%s", rec.closed, rec.sum())
	}
	if rec.list == nil {
		t.Error("the recording lists no renditions")
	}
}

// A packager that begins in the middle of a session, after a restart, does not record over what is there.
func TestRestartKeepsTheRecording(t *testing.T) {
	source := lane{name: "source", clip: picture(t, "320x180", "25", 50, 9, "-bf 0"), shift: time.Hour}
	rec := &recorder{t: t}
	onStage(t, DefaultConfig(), rec, func(s *stage) {
		s.send(s.open("s1", source), time.Hour, time.Hour+5*time.Second, source)
		s.settle()
	})
	if !strings.HasPrefix(rec.session.VideoID, "demo-s1-") || len(rec.session.VideoID) < len("demo-s1-")+8 {
		t.Errorf("recording %q", rec.session.VideoID)
	}
	if at := rec.tracks["source"].segments[0].Start.Sub(start); at != time.Hour {
		t.Errorf("it begins at %v", at)
	}
}

// The same goes for a restart soon after the beginning.
func TestEarlyRestartKeepsTheRecording(t *testing.T) {
	source := lane{name: "source", clip: picture(t, "320x180", "25", 50, 9, "-bf 0"), shift: 20 * time.Second}
	rec := &recorder{t: t}
	onStage(t, DefaultConfig(), rec, func(s *stage) {
		s.send(s.open("s1", source), 20*time.Second, 25*time.Second, source)
		s.settle()
	})
	if !strings.HasPrefix(rec.session.VideoID, "demo-s1-") {
		t.Errorf("recording %q", rec.session.VideoID)
	}
}

// One large segment does not make all later ones take as much memory.
func TestMemoryFollowsTheSegments(t *testing.T) {
	source := lane{name: "source", clip: picture(t, "160x90", "10", 20, 13, "-bf 0"), change: func(u *media.AccessUnit) *media.AccessUnit {
		if u.PTS < 2*media.VideoTimescale {
			u.Data = append(u.Data[:len(u.Data):len(u.Data)], make([]byte, 100_000)...)
		}
		return u
	}}
	onStage(t, DefaultConfig(), nil, func(s *stage) {
		stream := s.open("s1", source)
		s.send(stream, 0, 13*time.Second, source)
		s.settle()
		s.p.mu.RLock()
		prefix := s.p.mu.streams["demo"][0].prefix
		s.p.mu.RUnlock()
		if o := s.must("source/" + prefix + "-4.m4s"); cap(o.Body) > 2*len(o.Body)+4096 {
			t.Errorf("a segment of %d bytes holds %d", len(o.Body), cap(o.Body))
		}
		stream.Close()
	})
}

// A session that brings nothing leaves nothing: no recording, no playlist.
func TestEmptySession(t *testing.T) {
	source := lane{name: "source", clip: picture(t, "320x180", "25", 50, 9, "-bf 0")}
	rec := &recorder{t: t}
	onStage(t, DefaultConfig(), rec, func(s *stage) {
		s.open("s1", source).Close()
		synctest.Wait()
		if _, err := s.get("index.m3u8"); !errors.Is(err, present.ErrNotFound) {
			t.Errorf("index.m3u8: %v", err)
		}
	})
	if rec.session.VideoID != "" {
		t.Errorf("a recording of %+v", rec.session)
	}
}

// Objects carry what an origin needs, and memory does not grow with the stream.
func TestObjectsAndMemory(t *testing.T) {
	c := picture(t, "160x90", "10", 20, 60, "-bf 0")
	source := lane{name: "source", clip: c}
	onStage(t, DefaultConfig(), nil, func(s *stage) {
		stream := s.open("s1", source)
		counts := map[int]bool{}
		for from := 30 * time.Second; from < 60*time.Second; from += 10 * time.Second {
			if from == 30*time.Second {
				s.send(stream, 0, from, source)
			}
			s.send(stream, from, from+10*time.Second, source)
			s.settle()
			w := s.p.mu.streams["demo"][0]
			w.mu.RLock()
			counts[len(w.mu.objects)] = true
			w.mu.RUnlock()
		}
		if len(counts) != 1 {
			t.Errorf("the number of objects changes: %v", counts)
		}
		o := s.must("source/index.m3u8")
		if got := strings.Count(string(o.Body), "#EXTINF"); got != DefaultConfig().LiveWindow {
			t.Errorf("%d segments in the playlist", got)
		}
		r, err := gzip.NewReader(bytes.NewReader(o.Gzip))
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(r); err != nil || !bytes.Equal(text, o.Body) {
			t.Errorf("the compressed playlist differs: %v", err)
		}
		seg := s.must(segmentOf(o, "source/"))
		if seg.Kind != present.MediaSegment || seg.Gzip != nil || seg.ETag == o.ETag || !strings.HasPrefix(seg.ETag, `"`) {
			t.Errorf("segment %v %q", seg.Kind, seg.ETag)
		}
		if o.Kind != present.MediaPlaylist || o.Modified.IsZero() {
			t.Errorf("playlist %v %v", o.Kind, o.Modified)
		}
		for _, path := range []string{"", "source", "source/", "../index.m3u8", "nothing/index.m3u8", "source/x.m4s"} {
			if _, err := s.get(path); !errors.Is(err, present.ErrNotFound) {
				t.Errorf("%q: %v", path, err)
			}
		}
		if _, err := s.p.Get(t.Context(), "other", "index.m3u8"); !errors.Is(err, present.ErrNotFound) {
			t.Errorf("another stream: %v", err)
		}
		stream.Close()
	})
}

// A source whose keyframe never comes again holds no more than its bound.
func TestHeldBytesAreBounded(t *testing.T) {
	cfg := DefaultConfig()
	cfg.MaxHeldBytes = 1 << 20
	big := *picture(t, "160x90", "25", 1000, 5, "-bf 0")
	source := lane{name: "source", clip: &big, change: func(u *media.AccessUnit) *media.AccessUnit {
		u.Data = append(u.Data[:len(u.Data):len(u.Data)], make([]byte, 200_000)...)
		return u
	}}
	onStage(t, cfg, nil, func(s *stage) {
		stream := s.open("s1", source)
		s.send(stream, 0, 3*time.Second, source)
		s.p.mu.RLock()
		session := s.p.mu.sessions["demo"]
		s.p.mu.RUnlock()
		synctest.Wait()
		if n := session.renditions[0].queuedBytes; n > cfg.MaxHeldBytes || n == 0 {
			t.Errorf("%d bytes are held", n)
		}
		stream.Close()
	})
}

func TestConfigValidate(t *testing.T) {
	good := DefaultConfig()
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for field, change := range map[string]func(*Config){
		"segment_target":    func(c *Config) { c.SegmentTarget = 0 },
		"segment_max":       func(c *Config) { c.SegmentMax = time.Second },
		"part_target":       func(c *Config) { c.PartTarget = time.Minute },
		"live_window":       func(c *Config) { c.LiveWindow = 2 },
		"max_gop":           func(c *Config) { c.MaxGOP = time.Minute },
		"keyframe_interval": func(c *Config) { c.KeyframeInterval = 0 },
		"track_wait":        func(c *Config) { c.TrackWait = 0 },
		"show_wait":         func(c *Config) { c.ShowWait = -1 },
		"max_held_bytes":    func(c *Config) { c.MaxHeldBytes = 1 },
		"end_linger":        func(c *Config) { c.EndLinger = -1 },
	} {
		c := DefaultConfig()
		change(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), field+":") {
			t.Errorf("%s: %v", field, err)
		}
		if _, err := New(c, nil, nil, nil, slog.Default(), nil); err == nil {
			t.Errorf("%s: New takes it", field)
		}
	}
}

func TestRates(t *testing.T) {
	r := rates{target: 4 * time.Second}
	r.add(4_000_000, 2*time.Second)
	r.add(8_000_000, 2*time.Second)
	r.add(1_000_000, 100*time.Millisecond) // a short segment alone is no peak
	if want := 9_000_000 * 10 / 21; r.peak != want {
		t.Errorf("peak %d, want %d", r.peak, want)
	}
	if want := 13_000_000 * 10 / 41; r.average() != want {
		t.Errorf("average %d, want %d", r.average(), want)
	}
}
