package store

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"nova/internal/blob"
	"nova/internal/devstack/devstacktest"
	"nova/internal/media"
	"nova/internal/obs"
	"nova/packager/present"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(devstacktest.Main(m)) }

// testConfig retries fast enough for a test.
func testConfig() Config {
	cfg := DefaultConfig()
	cfg.Node = "test"
	cfg.RetryMin, cfg.RetryMax = 10*time.Millisecond, 200*time.Millisecond
	cfg.PosterInterval = 50 * time.Millisecond
	return cfg
}

type running struct {
	*Store
	reg  *prometheus.Registry
	kill func() // ends Run with nothing drained, as a killed process would
}

func runStore(t *testing.T, cfg Config, bucket Bucket) *running {
	t.Helper()
	reg := prometheus.NewRegistry()
	s, err := New(cfg, bucket, slog.New(slog.DiscardHandler), reg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stopped := false
	kill := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run ended with %v", err)
		}
	}
	t.Cleanup(kill)
	return &running{s, reg, kill}
}

func (r *running) drain(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := r.Drain(ctx); err != nil {
		t.Fatal(err)
	}
}

// counter reads one metric; labels in the order of their names.
func (r *running) counter(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			var values []string
			for _, label := range metric.GetLabel() {
				values = append(values, label.GetValue())
			}
			if family.GetName() == name && slices.Equal(values, labels) {
				return metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
			}
		}
	}
	return 0
}

var (
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	video = present.Rendition{Name: "720p", Kind: media.Video, Codecs: "avc1.64001f", Width: 1280, Height: 720, Bandwidth: 3e6, AverageBandwidth: 25e5}
	small = present.Rendition{Name: "360p", Kind: media.Video, Codecs: "avc1.64001e", Width: 640, Height: 360, Bandwidth: 1e6, AverageBandwidth: 8e5}
	sound = present.Rendition{Name: "audio", Kind: media.Audio, Codecs: "mp4a.40.2", Channels: 2, Bandwidth: 13e4, AverageBandwidth: 128e3}
	all   = []present.Rendition{video, small, sound}
)

const segmentLength = 2 * time.Second

func sessionInfo(id string) present.Session {
	return present.Session{
		VideoID: "demo-" + id, PlaybackID: "demo", Title: "A title", Start: start, TargetDuration: segmentLength,
	}
}

// broadcast plays the packager's part.
type broadcast struct {
	sink present.SessionSink
	next int64
}

func newBroadcast(s *Store, id string) *broadcast {
	b := &broadcast{sink: s.OpenSession(sessionInfo(id))}
	for _, r := range all {
		b.sink.PutInit(r.Name, present.Init{Name: "p-init-0.mp4", Body: []byte("init of " + r.Name)})
	}
	return b
}

func segment(r present.Rendition, seq int64) present.Segment {
	return present.Segment{
		Seq: seq, Name: fmt.Sprintf("p-%d.m4s", seq), InitName: "p-init-0.mp4", Duration: segmentLength,
		Start: start.Add(time.Duration(seq) * segmentLength), Body: bytes.Repeat([]byte(r.Name), 1000),
	}
}

func (b *broadcast) segments(n int) {
	for range n {
		for _, r := range all {
			b.sink.PutSegment(r, segment(r, b.next))
		}
		b.next++
		b.sink.SetRenditions(all)
	}
}

// named reads what a playlist names: the URIs of lines and of attributes.
func named(text string) (uris []string) {
	gap := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "#EXT-X-GAP" {
			gap = true
		}
		if _, rest, ok := strings.Cut(line, `URI="`); ok {
			uris = append(uris, strings.TrimSuffix(rest, `"`))
		}
		if line != "" && line[0] != '#' {
			if !gap {
				uris = append(uris, line)
			}
			gap = false
		}
	}
	return uris
}

// closure walks the playlists of a session from the multivariant one down: every key that is named. read fails
// the walk where something that is named cannot be read.
func closure(read func(key string) (string, error), videoID string) ([]string, error) {
	index := sessionKey(videoID) + "index.m3u8"
	text, err := read(index)
	if err != nil {
		return nil, err
	}
	keys := map[string]bool{index: true}
	for _, uri := range named(text) {
		playlistKey := path.Join(path.Dir(index), uri)
		keys[playlistKey] = true
		text, err := read(playlistKey)
		if err != nil {
			return nil, err
		}
		for _, uri := range named(text) {
			keys[path.Join(path.Dir(playlistKey), uri)] = true
		}
	}
	return slices.Sorted(maps.Keys(keys)), nil
}

func listKeys(ctx context.Context, bucket Bucket, prefix string) ([]string, error) {
	var keys []string
	for page, err := range bucket.List(ctx, prefix, "") {
		if err != nil {
			return nil, err
		}
		for _, object := range page.Objects {
			keys = append(keys, object.Key)
		}
	}
	return keys, nil
}

func reader(ctx context.Context, bucket Bucket) func(string) (string, error) {
	return func(key string) (string, error) {
		text, _, err := bucket.ReadAll(ctx, key, 1<<20)
		return string(text), err
	}
}

// checkExact asserts that S3 holds exactly what the session's playlists name, and the poster.
func checkExact(t *testing.T, bucket Bucket, videoID string, extra ...string) {
	t.Helper()
	want, err := closure(reader(t.Context(), bucket), videoID)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range extra {
		want = append(want, sessionKey(videoID)+name)
	}
	slices.Sort(want)
	have, err := listKeys(t.Context(), bucket, sessionKey(videoID))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(have, want) {
		t.Errorf("S3 holds\n  %s\nthe playlists name\n  %s", strings.Join(have, "\n  "), strings.Join(want, "\n  "))
	}
	if left, err := listKeys(t.Context(), bucket, markerPrefix); err != nil || len(left) != 0 {
		t.Errorf("markers left: %q, %v", left, err)
	}
}

func read(t *testing.T, bucket Bucket, key string) string {
	t.Helper()
	text, err := reader(t.Context(), bucket)(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestSessionBecomesVOD(t *testing.T) {
	bucket := devstacktest.Bucket(t)
	s := runStore(t, testConfig(), bucket)
	b := newBroadcast(s.Store, "one")
	b.sink.PutPoster([]byte("jpeg"))
	b.segments(3)
	// the packager's own gap, and a discontinuity after it
	for _, r := range all {
		gap := segment(r, 3)
		gap.Gap, gap.Body = true, nil
		b.sink.PutSegment(r, gap)
	}
	b.next = 4
	for _, r := range all {
		broken := segment(r, 4)
		broken.Discontinuity = true
		b.sink.PutSegment(r, broken)
	}
	b.sink.Close()
	s.drain(t)

	checkExact(t, bucket, "demo-one", "poster.jpg")
	want := `#EXTM3U
#EXT-X-VERSION:9
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-MAP:URI="p-init-0.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:05.000Z
#EXTINF:2.000000,
p-0.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:07.000Z
#EXTINF:2.000000,
p-1.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:09.000Z
#EXTINF:2.000000,
p-2.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:11.000Z
#EXT-X-GAP
#EXTINF:2.000000,
p-3.m4s
#EXT-X-DISCONTINUITY
#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:13.000Z
#EXTINF:2.000000,
p-4.m4s
#EXT-X-ENDLIST
`
	if got := read(t, bucket, "vod/demo-one/720p/index.m3u8"); got != want {
		t.Errorf("playlist is\n%s\nwant\n%s", got, want)
	}
	if body := read(t, bucket, "vod/demo-one/audio/p-1.m4s"); body != string(segment(sound, 1).Body) {
		t.Errorf("a segment of %d bytes came back as %d", len(segment(sound, 1).Body), len(body))
	}
	list, err := s.Recordings(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("recordings %+v, %v", list, err)
	}
	if want := (Recording{
		VideoID: "demo-one", PlaybackID: "demo", Title: "A title", StartedAt: start, DurationSeconds: 10,
		HLSURL: "/vod/demo-one/index.m3u8", PosterURL: "/vod/demo-one/poster.jpg",
	}); list[0] != want {
		t.Errorf("recording %+v, want %+v", list[0], want)
	}
}

func TestHeaders(t *testing.T) {
	bucket := devstacktest.Bucket(t)
	s := runStore(t, testConfig(), bucket)
	b := newBroadcast(s.Store, "one")
	b.sink.PutPoster([]byte("jpeg"))
	b.segments(2)
	await(t, "the growing playlists", func() bool {
		keys, err := listKeys(t.Context(), bucket, "vod/demo-one/")
		return err == nil && count(keys, "index.m3u8") == 4
	})
	check := func(name, contentType, cache string) {
		t.Helper()
		info, err := bucket.Head(t.Context(), "vod/demo-one/"+name)
		if err != nil || info.ContentType != contentType || info.CacheControl != cache {
			t.Errorf("%s: %q, %q, %v", name, info.ContentType, info.CacheControl, err)
		}
	}
	check("index.m3u8", "application/vnd.apple.mpegurl", "public, max-age=2")
	check("720p/index.m3u8", "application/vnd.apple.mpegurl", "public, max-age=2")
	b.sink.Close()
	s.drain(t)
	check("index.m3u8", "application/vnd.apple.mpegurl", "public, max-age=3600")
	check("720p/index.m3u8", "application/vnd.apple.mpegurl", "public, max-age=3600")
	check("720p/p-init-0.mp4", "video/mp4", "public, max-age=31536000, immutable")
	check("720p/p-1.m4s", "video/mp4", "public, max-age=31536000, immutable")
	check("audio/p-init-0.mp4", "audio/mp4", "public, max-age=31536000, immutable")
	check("audio/p-1.m4s", "audio/mp4", "public, max-age=31536000, immutable")
	check("poster.jpg", "image/jpeg", "public, max-age=60")
}

// await polls until a condition that real I/O brings about holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(15 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestEmptySessionLeavesNothing(t *testing.T) {
	bucket := devstacktest.Bucket(t)
	s := runStore(t, testConfig(), bucket)
	s.OpenSession(sessionInfo("none")).Close()
	gaps := s.OpenSession(sessionInfo("gaps"))
	gaps.PutInit("720p", present.Init{Name: "p-init-0.mp4", Body: []byte("init")})
	gaps.PutPoster([]byte("jpeg"))
	gaps.PutSegment(video, present.Segment{Gap: true, Name: "p-0.m4s", Duration: segmentLength, Start: start})
	gaps.Close()
	s.drain(t)
	if keys, err := listKeys(t.Context(), bucket, ""); err != nil || len(keys) != 0 {
		t.Errorf("left %q, %v", keys, err)
	}
	if n := s.counter(t, "nova_packager_store_finished_sessions_total", "empty"); n != 2 {
		t.Errorf("%v sessions were empty", n)
	}
}

// A rendition that is listed late, never listed, or has no media at all.
func TestRenditionsComeAndGo(t *testing.T) {
	bucket := devstacktest.Bucket(t)
	s := runStore(t, testConfig(), bucket)
	sink := s.OpenSession(sessionInfo("one"))
	put := func(r present.Rendition, seq int64, gap bool) {
		seg := segment(r, seq)
		if gap {
			seg.Gap, seg.Body, seg.InitName = true, nil, ""
		}
		sink.PutSegment(r, seg)
	}
	sink.PutInit("720p", present.Init{Name: "p-init-0.mp4", Body: []byte("a")})
	sink.PutInit("360p", present.Init{Name: "p-init-0.mp4", Body: []byte("b")})
	put(video, 0, false)
	put(sound, 0, true)
	put(small, 0, true)
	sink.SetRenditions([]present.Rendition{video})
	put(video, 1, false)
	put(sound, 1, true)
	put(small, 1, false)
	sink.PutSegment(sound, present.Segment{Seq: 2, Name: "p-2.m4s", InitName: "never-sent.mp4", Duration: segmentLength, Body: []byte("x")})
	sink.Close()
	s.drain(t)
	checkExact(t, bucket, "demo-one")
	index := read(t, bucket, "vod/demo-one/index.m3u8")
	if !strings.Contains(index, "720p/") || !strings.Contains(index, "360p/") || strings.Contains(index, "audio/") {
		t.Errorf("multivariant playlist\n%s", index)
	}
	if text := read(t, bucket, "vod/demo-one/360p/index.m3u8"); !strings.Contains(text, "#EXT-X-GAP\n#EXTINF:2.000000,\np-0.m4s\n#EXT-X-MAP") {
		t.Errorf("a gap names no section:\n%s", text)
	}
}

func TestVideoID(t *testing.T) {
	bucket := devstacktest.Bucket(t)
	s := runStore(t, testConfig(), bucket)
	if id, ok := s.VideoID("demo"); ok {
		t.Errorf("found %q before any session", id)
	}
	first := newBroadcast(s.Store, "one")
	first.segments(1)
	if id, ok := s.VideoID("demo"); id != "demo-one" || !ok {
		t.Errorf("%q, %v", id, ok)
	}
	second := s.OpenSession(sessionInfo("two"))
	first.sink.Close()
	second.Close()
	s.drain(t)
	if id, ok := s.VideoID("demo"); id != "demo-two" || !ok {
		t.Errorf("%q, %v", id, ok)
	}
}

func TestCheck(t *testing.T) {
	server := devstacktest.OwnS3(t)
	cfg := server.Config()
	cfg.Attempts = 1
	s := runStore(t, testConfig(), devstacktest.Open(t, cfg))
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("S3 is there: %v", err)
	}
	server.Stop()
	if err := s.Check(t.Context()); err == nil {
		t.Error("ready without S3")
	}
}

func TestLogsNameNoSecrets(t *testing.T) {
	var out bytes.Buffer
	server := devstacktest.OwnS3(t)
	cfg := server.Config()
	cfg.Attempts = 1
	bucket := devstacktest.Open(t, cfg)
	server.Stop()
	s, err := New(testConfig(), bucket, obs.NewLogger(&out, slog.LevelDebug), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.put(t.Context(), "segment", "vod/x", []byte("x"), blob.PutOptions{})
	if text := out.String(); !strings.Contains(text, "cannot store") || strings.Contains(text, "Signature") {
		t.Errorf("log: %s", text)
	}
}
