package relay

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/datadriven"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"nova/internal/media"
)

// hubScript runs the commands of testdata/hub:
//
//	hub [units=N] [bytes=N]       a new hub with these bounds of the cache, and a stream
//	tracks                        one line per track: ID KIND NAME [CONFIG]
//	write                         one line per unit: TRACK@SECONDS [key] [config=NAME] [size=N]
//	join NAME [units=N] [bytes=N] [tracks=A,B]
//	read NAME                     what is queued
//	end                           the publisher closes the stream
type hubScript struct {
	t       *testing.T
	stream  *Stream
	tracks  map[int]media.Track
	configs map[string]*media.CodecConfig
	readers map[string]*hubReader
}

func TestHubScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/hub", func(t *testing.T, path string) {
		s := &hubScript{t: t}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t = t
			switch d.Cmd {
			case "hub":
				return s.hub(d)
			case "tracks":
				return s.setTracks(d)
			case "write":
				return s.write(d)
			case "join":
				return s.join(d)
			case "read":
				return s.read(d)
			case "end":
				s.stream.Close()
				return ""
			}
			d.Fatalf(t, "unknown command %s", d.Cmd)
			return ""
		})
	})
}

func (s *hubScript) hub(d *datadriven.TestData) string {
	cfg := DefaultHubConfig("test")
	d.MaybeScanArgs(s.t, "units", &cfg.CacheUnits)
	d.MaybeScanArgs(s.t, "bytes", &cfg.CacheBytes)
	h, err := NewHub(cfg, discard, nil)
	if err != nil {
		return err.Error()
	}
	s.stream = openStream(s.t, h, "demo")
	s.tracks = map[int]media.Track{}
	s.configs = map[string]*media.CodecConfig{}
	s.readers = map[string]*hubReader{}
	return ""
}

func (s *hubScript) config(name string) *media.CodecConfig {
	if s.configs[name] == nil {
		s.configs[name] = &media.CodecConfig{Codec: media.Codec(name)}
	}
	return s.configs[name]
}

func (s *hubScript) setTracks(d *datadriven.TestData) string {
	clear(s.tracks)
	tracks := []media.Track{}
	for line := range strings.Lines(d.Input) {
		f := strings.Fields(line)
		id, _ := strconv.Atoi(f[0])
		t := media.Track{ID: id, Name: f[2], Timescale: media.VideoTimescale}
		switch f[1] {
		case "video":
			t.Kind = media.Video
		case "audio":
			t.Kind, t.Timescale = media.Audio, 48000
		case "image":
			t.Kind = media.Image
		}
		if len(f) > 3 {
			t.Config = s.config(f[3])
		}
		s.tracks[id] = t
		tracks = append(tracks, t)
	}
	s.stream.SetTracks(tracks)
	return ""
}

func (s *hubScript) write(d *datadriven.TestData) string {
	for line := range strings.Lines(d.Input) {
		f := strings.Fields(line)
		id, at, _ := strings.Cut(f[0], "@")
		track, _ := strconv.Atoi(id)
		seconds, err := strconv.ParseFloat(at, 64)
		if err != nil {
			d.Fatalf(s.t, "bad line %q", line)
		}
		t := s.tracks[track]
		pts := int64(seconds * float64(t.Timescale))
		u := &media.AccessUnit{Track: track, PTS: pts, DTS: pts, Config: t.Config, Key: t.Kind != media.Video}
		for _, arg := range f[1:] {
			switch name, value, _ := strings.Cut(arg, "="); name {
			case "key":
				u.Key = true
			case "config":
				u.Config = s.config(value)
			case "size":
				n, _ := strconv.Atoi(value)
				u.Data = make([]byte, n)
			}
		}
		s.stream.Write(u)
	}
	return ""
}

func (s *hubScript) join(d *datadriven.TestData) string {
	var opts Options
	var tracks string
	d.MaybeScanArgs(s.t, "units", &opts.MaxUnits)
	d.MaybeScanArgs(s.t, "bytes", &opts.MaxBytes)
	d.MaybeScanArgs(s.t, "tracks", &tracks)
	if tracks != "" {
		opts.Tracks = strings.Split(tracks, "+")
	}
	r := s.stream.join(opts)
	if r == nil {
		return "not found"
	}
	s.readers[d.CmdArgs[0].Key] = r
	return ""
}

func (s *hubScript) read(d *datadriven.TestData) string {
	var out strings.Builder
	for {
		item, ok, err := s.readers[d.CmdArgs[0].Key].take()
		if err != nil {
			fmt.Fprintf(&out, "%v\n", err)
			return out.String()
		}
		if !ok {
			return out.String()
		}
		if item.Lost > 0 {
			fmt.Fprintf(&out, "lost %d\n", item.Lost)
		}
		if u := item.Unit; u != nil {
			t := s.tracks[u.Track]
			fmt.Fprintf(&out, "%d@%.5g", u.Track, float64(u.PTS)/float64(max(t.Timescale, 1)))
			if u.Key && t.Kind == media.Video {
				out.WriteString(" key")
			}
			if u.Config != nil {
				fmt.Fprintf(&out, " config=%s", u.Config.Codec)
			}
			out.WriteByte('\n')
			continue
		}
		out.WriteString("tracks")
		for _, t := range item.Tracks {
			fmt.Fprintf(&out, " %s", t.Name)
			if t.Config != nil {
				fmt.Fprintf(&out, ":%s", t.Config.Codec)
			}
		}
		out.WriteByte('\n')
	}
}

func TestOpenRefusesASecondSession(t *testing.T) {
	h := newTestHub(t)
	s := openStream(t, h, "demo")
	if _, err := h.Open(Info{Stream: "demo", Session: "other"}); !errors.Is(err, ErrBusy) {
		t.Errorf("Open: %v, want ErrBusy", err)
	}
	s.Close()
	s.Close()
	again := openStream(t, h, "demo")
	s.Close() // the old session's end must not end the new one
	if got := h.Streams(); len(got) != 1 || got[0] != again.Info() {
		t.Errorf("live: %+v, want the second session", got)
	}
	if _, err := h.Open(Info{Stream: "x"}); err == nil {
		t.Error("a session needs a word")
	}
}

// What ends right behind the list is told as well, though a watcher that only looks later never saw it live.
func TestFollowMissesNoChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHub(t)
		stays, ends := openStream(t, h, "stays"), openStream(t, h, "ends")
		ctx, cancel := context.WithCancel(t.Context())
		live, changes := h.Follow(ctx)
		ends.Close()
		synctest.Wait()
		if len(live) != 2 {
			t.Errorf("list %+v", live)
		}
		select {
		case e := <-changes:
			if e.Live || e.Info != ends.Info() {
				t.Errorf("event %+v", e)
			}
		default:
			t.Error("nobody was told of the end")
		}
		synctest.Wait()
		select {
		case e := <-changes:
			t.Errorf("one more event: %+v", e)
		default:
		}
		cancel()
		for range changes { // closed at last
		}
		stays.Close()
	})
}

func TestHubConfigNamesTheField(t *testing.T) {
	for _, c := range []struct {
		field  string
		change func(*HubConfig)
	}{
		{"name", func(c *HubConfig) { c.Name = "" }},
		{"cache_units", func(c *HubConfig) { c.CacheUnits = 0 }},
		{"cache_bytes", func(c *HubConfig) { c.CacheBytes = -1 }},
	} {
		cfg := DefaultHubConfig("test")
		c.change(&cfg)
		if _, err := NewHub(cfg, discard, nil); err == nil || !strings.Contains(err.Error(), c.field) {
			t.Errorf("%s: %v", c.field, err)
		}
	}
}

func TestSubscribeWithAnEndedContext(t *testing.T) {
	h := newTestHub(t)
	openStream(t, h, "demo")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Subscribe(ctx, "demo", Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Subscribe: %v, want the context's error", err)
	}
}

// Two hubs of one process share a registry.
func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	cfg := DefaultHubConfig("ingest")
	h, err := NewHub(cfg, discard, reg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewHub(DefaultHubConfig("transcode"), discard, reg); err != nil {
		t.Fatal(err)
	}
	if _, err := NewHub(cfg, discard, reg); err == nil {
		t.Error("two hubs of one name must not share a registry")
	}
	s := openStream(t, h, "demo")
	s.SetTracks(avTracks)
	r := s.join(Options{MaxUnits: 8})
	w := writer{stream: s, gop: 5}
	w.write(30)
	s.Write(&media.AccessUnit{Track: 99})
	s.Write(&media.AccessUnit{Track: 1, Data: make([]byte, MaxUnit+1)})
	queued, _ := r.depth()
	want := fmt.Sprintf(`
# HELP nova_relay_dropped_units_total Access units that a reader (overflow, awaiting_keyframe) or the hub itself (unknown_track, too_large) dropped.
# TYPE nova_relay_dropped_units_total counter
nova_relay_dropped_units_total{hub="ingest",reason="awaiting_keyframe"} %d
nova_relay_dropped_units_total{hub="ingest",reason="overflow"} %d
nova_relay_dropped_units_total{hub="ingest",reason="too_large"} 1
nova_relay_dropped_units_total{hub="ingest",reason="unknown_track"} 1
nova_relay_dropped_units_total{hub="transcode",reason="awaiting_keyframe"} 0
nova_relay_dropped_units_total{hub="transcode",reason="overflow"} 0
nova_relay_dropped_units_total{hub="transcode",reason="too_large"} 0
nova_relay_dropped_units_total{hub="transcode",reason="unknown_track"} 0
# HELP nova_relay_queue_units Items queued for all readers.
# TYPE nova_relay_queue_units gauge
nova_relay_queue_units{hub="ingest"} %d
nova_relay_queue_units{hub="transcode"} 0
# HELP nova_relay_readers Readers of all sessions.
# TYPE nova_relay_readers gauge
nova_relay_readers{hub="ingest"} 1
nova_relay_readers{hub="transcode"} 0
# HELP nova_relay_units_total Access units that publishers wrote.
# TYPE nova_relay_units_total counter
nova_relay_units_total{hub="ingest"} 30
nova_relay_units_total{hub="transcode"} 0
`, 6, 24, queued)
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "nova_relay_dropped_units_total",
		"nova_relay_queue_units", "nova_relay_readers", "nova_relay_units_total"); err != nil {
		t.Error(err)
	}
	if got := testutil.ToFloat64(h.metrics.overflow) + testutil.ToFloat64(h.metrics.awaitingKey); int(got)+queued-1 != 30 {
		t.Errorf("%v dropped and %d queued, want 30 in all", got, queued-1)
	}
}
