package origin

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"nova/internal/blob"
	"nova/internal/devstack/devstacktest"
	"nova/packager/present"
	"nova/packager/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(devstacktest.Main(m)) }

var modified = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// window is a Live of fixed objects.
type window map[string]present.Object

func (w window) Get(_ context.Context, playbackID, path string) (present.Object, error) {
	o, ok := w[playbackID+"/"+path]
	if !ok {
		return present.Object{}, present.ErrNotFound
	}
	return o, nil
}

func (w window) Live() []present.LiveStream {
	if len(w) == 0 {
		return nil
	}
	return []present.LiveStream{{
		PlaybackID: "demo", Title: "Demo", StartedAt: modified, HLSURL: "/hls/demo/index.m3u8",
		Renditions: []present.LiveRendition{{Name: "720p", Width: 1280, Height: 720, Bitrate: 3000}},
	}}
}

const livePlaylist = "#EXTM3U\n#live\n"

func demoWindow() window {
	return window{
		"demo/index.m3u8": {
			Kind: present.MultivariantPlaylist, Body: []byte("#EXTM3U\n"), ETag: `"m1"`, Gzip: compress([]byte("#EXTM3U\n")),
		},
		"demo/720p/index.m3u8": {
			Kind: present.MediaPlaylist, Body: []byte(livePlaylist), ETag: `"p1"`, Gzip: compress([]byte(livePlaylist)), Modified: modified,
		},
		"demo/720p/p-init-0.mp4": {Kind: present.InitSection, Body: []byte("init"), ETag: `"i0"`, Modified: modified},
		"demo/720p/p-7.m4s":      {Kind: present.MediaSegment, Body: []byte("0123456789"), ETag: `"s7"`, Modified: modified},
		"demo/audio/p-7.m4s":     {Kind: present.MediaSegment, Body: []byte("aaaa"), ETag: `"a7"`, Modified: modified},
		"demo/poster.jpg":        {Kind: present.PosterImage, Body: []byte("jpeg"), ETag: `"j"`, Modified: modified},
	}
}

// shelf is an archive without S3 behind it.
type shelf struct {
	videoID string
	list    []store.Recording
	err     error
}

func (s *shelf) VideoID(string) (string, bool) { return s.videoID, s.videoID != "" }

func (s *shelf) Recordings(context.Context) ([]store.Recording, error) { return s.list, s.err }

func newOrigin(t *testing.T, live Live, archive Archive, objects Objects) *Origin {
	t.Helper()
	o, err := New(DefaultConfig(), live, archive, objects, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// ask sends a request; headers are name, value, ….
func ask(h http.Handler, method, target string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestLiveAnswers(t *testing.T) {
	o := newOrigin(t, demoWindow(), nil, nil)
	const playlistType, forever = "application/vnd.apple.mpegurl", "public, max-age=31536000, immutable"
	for _, c := range []struct {
		name    string
		method  string
		target  string
		headers []string
		code    int
		body    string
		want    map[string]string
	}{
		{"multivariant", "GET", "/hls/demo/index.m3u8", nil, 200, "#EXTM3U\n", map[string]string{
			"Content-Type": playlistType, "Cache-Control": "public, max-age=2", "Etag": `"m1"`, "Vary": "Accept-Encoding",
			"Access-Control-Allow-Origin": "*", "Content-Encoding": "", "Last-Modified": "",
		}},
		{"media playlist", "GET", "/hls/demo/720p/index.m3u8", nil, 200, livePlaylist, map[string]string{
			"Content-Type": playlistType, "Cache-Control": "public, max-age=1", "Etag": `"p1"`, "Last-Modified": "",
		}},
		{"segment", "GET", "/hls/demo/720p/p-7.m4s", nil, 200, "0123456789", map[string]string{
			"Content-Type": "video/mp4", "Cache-Control": forever, "Etag": `"s7"`, "Content-Length": "10",
			"Accept-Ranges": "bytes", "Last-Modified": "Fri, 02 Jan 2026 03:04:05 GMT", "Vary": "",
			"X-Content-Type-Options": "nosniff",
		}},
		{"sound", "GET", "/hls/demo/audio/p-7.m4s", nil, 200, "aaaa", map[string]string{"Content-Type": "audio/mp4"}},
		{"init", "GET", "/hls/demo/720p/p-init-0.mp4", nil, 200, "init", map[string]string{
			"Content-Type": "video/mp4", "Cache-Control": forever,
		}},
		{"poster", "GET", "/hls/demo/poster.jpg", nil, 200, "jpeg", map[string]string{
			"Content-Type": "image/jpeg", "Cache-Control": "public, max-age=5",
		}},
		{"query is ignored", "GET", "/hls/demo/720p/index.m3u8?_HLS_msn=3", nil, 200, livePlaylist, nil},
		{"head", "HEAD", "/hls/demo/720p/p-7.m4s", nil, 200, "", map[string]string{"Content-Length": "10", "Etag": `"s7"`}},
		{"same tag", "GET", "/hls/demo/720p/p-7.m4s", []string{"If-None-Match", `"x", "s7"`}, 304, "", map[string]string{
			"Etag": `"s7"`, "Cache-Control": forever, "Content-Length": "",
		}},
		{"other tag", "GET", "/hls/demo/720p/index.m3u8", []string{"If-None-Match", `"p0"`}, 200, livePlaylist, nil},
		{"playlist's same tag", "GET", "/hls/demo/720p/index.m3u8", []string{"If-None-Match", `"p1"`}, 304, "", nil},
		{"range", "GET", "/hls/demo/720p/p-7.m4s", []string{"Range", "bytes=2-5"}, 206, "2345", map[string]string{
			"Content-Range": "bytes 2-5/10", "Content-Length": "4", "Cache-Control": forever,
		}},
		{"range to the end", "GET", "/hls/demo/720p/p-7.m4s", []string{"Range", "bytes=8-"}, 206, "89", nil},
		{"last bytes", "GET", "/hls/demo/720p/p-7.m4s", []string{"Range", "bytes=-3"}, 206, "789", nil},
		{"range of the same", "GET", "/hls/demo/720p/p-7.m4s", []string{"Range", "bytes=0-1", "If-Range", `"s7"`}, 206, "01", nil},
		{"range of another", "GET", "/hls/demo/720p/p-7.m4s", []string{"Range", "bytes=0-1", "If-Range", `"s6"`}, 200, "0123456789", nil},
		{"range past the end", "GET", "/hls/demo/720p/p-7.m4s", []string{"Range", "bytes=10-"}, 416, "", map[string]string{
			"Content-Range": "bytes */10", "Cache-Control": "no-store", "Etag": "",
		}},
		{"preflight", "OPTIONS", "/hls/demo/720p/p-7.m4s", []string{"Origin", "https://x", "Access-Control-Request-Method", "GET"}, 204, "", map[string]string{
			"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
			"Access-Control-Allow-Headers":  "Range, If-None-Match, If-Range, Content-Type",
			"Access-Control-Expose-Headers": "Content-Length, Content-Range, ETag, Date, Age",
			"Access-Control-Max-Age":        "86400",
		}},
		{"post", "POST", "/hls/demo/index.m3u8", nil, 405, "only GET, HEAD and OPTIONS\n", map[string]string{
			"Allow": "GET, HEAD, OPTIONS", "Cache-Control": "no-store",
		}},
		{"ended stream", "GET", "/hls/gone/index.m3u8", nil, 404, "stream is not live\n", map[string]string{
			"Cache-Control": "no-store", "Content-Type": "text/plain; charset=utf-8", "Access-Control-Allow-Origin": "*",
		}},
		{"missing segment", "GET", "/hls/demo/720p/p-99.m4s", nil, 404, "no such object\n", map[string]string{"Cache-Control": "no-store"}},
		{"no recordings here", "GET", "/vod/demo-x/index.m3u8", nil, 404, "no such object\n", nil},
		{"other path", "GET", "/etc/passwd", nil, 404, "no such object\n", map[string]string{"Cache-Control": "no-store"}},
		{"traversal", "GET", "/hls/demo/../x.m4s", nil, 400, "bad path\n", map[string]string{"Cache-Control": "no-store"}},
		{"odd spelling", "GET", "/hls/demo%2findex.m3u8", nil, 400, "bad path\n", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := ask(o, c.method, c.target, c.headers...)
			got := body(t, r)
			if r.StatusCode != c.code || (got != c.body && c.code != 416) {
				t.Errorf("%d %q, want %d %q", r.StatusCode, got, c.code, c.body)
			}
			for name, value := range c.want {
				if r.Header.Get(name) != value {
					t.Errorf("%s is %q, want %q", name, r.Header.Get(name), value)
				}
			}
		})
	}
}

func TestGzip(t *testing.T) {
	o := newOrigin(t, demoWindow(), nil, nil)
	for header, want := range map[string]bool{
		"gzip": true, "": false, "br": false, "deflate, gzip;q=0.5, br": true, "gzip;q=0": false, "*": true,
		"*;q=0": false, "gzip;q=0, *": false, "GZIP": true, "gzip; q=1.0": true, "identity": false, "gzip;x=1": false,
	} {
		if got := acceptsGzip(header); got != want {
			t.Errorf("Accept-Encoding %q: %v", header, got)
		}
	}
	r := ask(o, "GET", "/hls/demo/720p/index.m3u8", "Accept-Encoding", "gzip")
	if r.Header.Get("Content-Encoding") != "gzip" || r.Header.Get("Etag") != `"p1-gzip"` || r.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("headers %v", r.Header)
	}
	if int64(len(demoWindow()["demo/720p/index.m3u8"].Gzip)) != r.ContentLength {
		t.Errorf("length %d", r.ContentLength)
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(z); err != nil || string(plain) != livePlaylist {
		t.Errorf("%q, %v", plain, err)
	}
	again := ask(o, "GET", "/hls/demo/720p/index.m3u8", "Accept-Encoding", "gzip", "If-None-Match", `"p1-gzip"`)
	if again.StatusCode != 304 || body(t, again) != "" {
		t.Errorf("same compressed tag: %d", again.StatusCode)
	}
	if other := ask(o, "GET", "/hls/demo/720p/index.m3u8", "Accept-Encoding", "gzip", "If-None-Match", `"p1"`); other.StatusCode != 200 {
		t.Errorf("the plain form's tag is not the compressed one's: %d", other.StatusCode)
	}
	if media := ask(o, "GET", "/hls/demo/720p/p-7.m4s", "Accept-Encoding", "gzip"); media.Header.Get("Content-Encoding") != "" {
		t.Error("media is compressed")
	}
}

func TestLists(t *testing.T) {
	archive := &shelf{list: []store.Recording{{VideoID: "demo-1", PlaybackID: "demo", StartedAt: modified, DurationSeconds: 2.5, HLSURL: "/vod/demo-1/index.m3u8"}}}
	o := newOrigin(t, demoWindow(), archive, nil)
	check := func(target, want string) {
		t.Helper()
		r := ask(o, "GET", target)
		if got := body(t, r); r.StatusCode != 200 || got != want+"\n" || r.Header.Get("Content-Type") != "application/json" ||
			r.Header.Get("Cache-Control") != "public, max-age=1" {
			t.Errorf("%s: %d %v\n%s", target, r.StatusCode, r.Header, got)
		}
	}
	check("/api/v2/live", `{"streams":[{"playback_id":"demo","title":"Demo","started_at":"2026-01-02T03:04:05Z","hls_url":"/hls/demo/index.m3u8","poster_url":"","renditions":[{"name":"720p","width":1280,"height":720,"bitrate":3000}]}]}`)
	check("/api/v2/recordings", `{"recordings":[{"video_id":"demo-1","playback_id":"demo","title":"","started_at":"2026-01-02T03:04:05Z","duration_seconds":2.5,"hls_url":"/vod/demo-1/index.m3u8","poster_url":""}]}`)

	archive.err = errors.New("away")
	if r := ask(o, "GET", "/api/v2/recordings"); r.StatusCode != 503 || r.Header.Get("Retry-After") == "" || r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("S3 away: %d %v", r.StatusCode, r.Header)
	}
	empty := newOrigin(t, window{}, nil, nil)
	for target, want := range map[string]string{"/api/v2/live": `{"streams":[]}`, "/api/v2/recordings": `{"recordings":[]}`} {
		if got := body(t, ask(empty, "GET", target)); got != want+"\n" {
			t.Errorf("%s without anything: %s", target, got)
		}
	}
}

// Recordings from a real S3, with what the store wrote as headers.
func TestRecordings(t *testing.T) {
	bucket := devstacktest.Bucket(t)
	put := func(key, text, contentType, cache string) {
		t.Helper()
		if err := bucket.Put(t.Context(), key, []byte(text), blob.PutOptions{ContentType: contentType, CacheControl: cache}); err != nil {
			t.Fatal(err)
		}
	}
	const playlistType = "application/vnd.apple.mpegurl"
	put("vod/demo-1/index.m3u8", "#EXTM3U\n#index\n", playlistType, "public, max-age=3600")
	put("vod/demo-1/720p/index.m3u8", "#EXTM3U\n", playlistType, "public, max-age=2")
	put("vod/demo-1/720p/p-1.m4s", "0123456789", "video/mp4", cacheForever)
	put("vod/demo-1/poster.jpg", "jpeg", "image/jpeg", "public, max-age=60")
	server := httptest.NewServer(newOrigin(t, window{}, &shelf{videoID: "demo-1"}, bucket))
	defer server.Close()
	get := func(path string, headers ...string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		answer, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { answer.Body.Close() })
		return answer
	}
	for _, c := range []struct{ path, body, contentType, cache string }{
		{"/vod/demo-1/index.m3u8", "#EXTM3U\n#index\n", playlistType, "public, max-age=3600"},
		{"/vod/demo-1/720p/index.m3u8", "#EXTM3U\n", playlistType, "public, max-age=2"},
		{"/vod/demo-1/720p/p-1.m4s", "0123456789", "video/mp4", cacheForever},
		{"/vod/demo-1/poster.jpg", "jpeg", "image/jpeg", "public, max-age=60"},
		{"/hls/demo/720p/p-1.m4s", "0123456789", "video/mp4", cacheForever}, // left the live window
	} {
		r := get(c.path)
		if got := body(t, r); r.StatusCode != 200 || got != c.body || r.Header.Get("Content-Type") != c.contentType ||
			r.Header.Get("Cache-Control") != c.cache || len(r.Header.Get("Etag")) < 10 {
			t.Errorf("%s: %d %q %v", c.path, r.StatusCode, got, r.Header)
		}
		if same := get(c.path, "If-None-Match", r.Header.Get("Etag"), "Accept-Encoding", "identity"); same.StatusCode != 304 && !r.Uncompressed {
			t.Errorf("%s again: %d", c.path, same.StatusCode)
		}
	}
	if r := get("/vod/demo-1/720p/p-1.m4s", "Range", "bytes=3-4"); r.StatusCode != 206 || body(t, r) != "34" {
		t.Errorf("range: %d", r.StatusCode)
	}
	for _, path := range []string{"/vod/demo-2/index.m3u8", "/vod/demo-1/720p/p-2.m4s", "/hls/demo/720p/index.m3u8", "/hls/demo/720p/p-2.m4s"} {
		if r := get(path); r.StatusCode != 404 || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", path, r.StatusCode, r.Header)
		}
	}
}

// counted is an Objects that waits for a sign, and counts.
type counted struct {
	reads   atomic.Int64
	release chan struct{}
	err     error
}

func (c *counted) ReadAll(ctx context.Context, key string, _ int64) ([]byte, blob.Info, error) {
	c.reads.Add(1)
	select {
	case <-c.release:
	case <-ctx.Done():
		return nil, blob.Info{}, ctx.Err()
	}
	if c.err != nil {
		return nil, blob.Info{}, c.err
	}
	return []byte(key), blob.Info{ETag: `"e"`, CacheControl: "public, max-age=2"}, nil
}

func TestConcurrentGetsAreOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		objects := &counted{release: make(chan struct{})}
		o := newOrigin(t, window{}, nil, objects)
		gone, leave := context.WithCancel(t.Context())
		var viewers sync.WaitGroup
		for i := range 50 {
			viewers.Go(func() {
				r := httptest.NewRequest("GET", "/vod/demo-1/720p/p-1.m4s", nil)
				if i%2 == 1 {
					r = r.WithContext(gone)
				}
				w := httptest.NewRecorder()
				o.ServeHTTP(w, r)
				if w.Code != 200 && i%2 == 0 {
					t.Errorf("viewer %d: %d", i, w.Code)
				}
			})
		}
		synctest.Wait()
		leave() // half of them leave, the one that fetches maybe among them
		synctest.Wait()
		close(objects.release)
		viewers.Wait()
		if n := objects.reads.Load(); n != 1 {
			t.Errorf("%d reads for 50 viewers", n)
		}
		ask(o, "GET", "/vod/demo-1/720p/p-1.m4s")
		if n := objects.reads.Load(); n != 1 {
			t.Errorf("a segment is in memory, yet read %d times", n)
		}
		for _, after := range []time.Duration{0, time.Second, 1500 * time.Millisecond} {
			time.Sleep(after) // the bubble's clock
			ask(o, "GET", "/vod/demo-1/720p/index.m3u8")
		}
		if n := objects.reads.Load(); n != 3 {
			t.Errorf("a playlist that lives for 2 s was read %d times in 2.5 s, want twice", n-1)
		}
	})
}

func TestStorageAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		objects := &counted{release: make(chan struct{})}
		o := newOrigin(t, window{}, nil, objects)
		r := ask(o, "GET", "/vod/demo-1/index.m3u8") // never answers
		if r.StatusCode != 503 || r.Header.Get("Retry-After") != "2" || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("timeout: %d %v", r.StatusCode, r.Header)
		}
		objects.err = errors.New("refused")
		close(objects.release)
		if r := ask(o, "GET", "/vod/demo-1/index.m3u8"); r.StatusCode != 503 {
			t.Errorf("refused: %d", r.StatusCode)
		}
		objects.err = nil
		if r := ask(o, "GET", "/vod/demo-1/index.m3u8"); r.StatusCode != 200 {
			t.Errorf("back again: %d", r.StatusCode)
		}
	})
}

func TestCacheIsBounded(t *testing.T) {
	objects := &counted{release: make(chan struct{})}
	close(objects.release)
	o := newOrigin(t, window{}, nil, objects)
	o.cache.limit = 10 * (&item{body: []byte("vod/demo-1/720p/p-000.m4s")}).size()
	for i := range 100 {
		ask(o, "GET", "/vod/demo-1/720p/p-000.m4s") // used all the time: it stays
		ask(o, "GET", fmt.Sprintf("/vod/demo-1/720p/p-%03d.m4s", i))
	}
	if n := objects.reads.Load(); n != 100 {
		t.Errorf("%d reads, want one for each object", n)
	}
	if o.cache.mu.bytes > o.cache.limit || o.cache.mu.recent.Len() != 10 || len(o.cache.mu.entries) != 10 {
		t.Errorf("%d bytes in %d entries", o.cache.mu.bytes, o.cache.mu.recent.Len())
	}
}

func TestKeepFor(t *testing.T) {
	playlist := &address{kind: present.MediaPlaylist}
	for header, want := range map[string]time.Duration{
		"public, max-age=2": 2 * time.Second, "public, max-age=3600": time.Minute, "no-cache": 0, "": 0,
		"max-age=-1": 0, "max-age=x": 0, "max-age=99999999999": time.Minute,
	} {
		if got := keepFor(playlist, header); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	o, err := New(DefaultConfig(), demoWindow(), nil, nil, slog.New(slog.DiscardHandler), reg)
	if err != nil {
		t.Fatal(err)
	}
	ask(o, "GET", "/hls/demo/720p/p-7.m4s")
	ask(o, "GET", "/hls/demo/720p/p-8.m4s")
	ask(o, "GET", "/hls/secret-looking-path")
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if m.GetCounter() == nil {
				continue
			}
			fmt.Fprintf(&text, "%s", f.GetName())
			for _, l := range m.GetLabel() {
				fmt.Fprintf(&text, " %s=%s", l.GetName(), l.GetValue())
			}
			fmt.Fprintf(&text, " %v\n", m.GetCounter().GetValue())
		}
	}
	for _, want := range []string{
		"nova_packager_origin_requests_total code=200 kind=segment 1\n",
		"nova_packager_origin_requests_total code=404 kind=segment 1\n",
		"nova_packager_origin_requests_total code=404 kind=other 1\n",
		"nova_packager_origin_bytes_total kind=segment 25\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
}

func TestConfigValidate(t *testing.T) {
	for field, change := range map[string]func(*Config){
		"allow_origin":  func(c *Config) { c.AllowOrigin = "" },
		"cache_bytes":   func(c *Config) { c.CacheBytes = -1 },
		"max_object":    func(c *Config) { c.MaxObject = 1 },
		"max_fetches":   func(c *Config) { c.MaxFetches = 0 },
		"fetch_timeout": func(c *Config) { c.FetchTimeout = 0 },
	} {
		cfg := DefaultConfig()
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), field+":") {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// The JSON is what the page reads; a field that is renamed breaks it.
func TestListShapes(t *testing.T) {
	out, err := json.Marshal(store.Recording{})
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"video_id", "playback_id", "title", "started_at", "duration_seconds", "hls_url", "poster_url"} {
		if !bytes.Contains(out, []byte(`"`+field+`"`)) {
			t.Errorf("no %s in %s", field, out)
		}
	}
}
