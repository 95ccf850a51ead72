package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"nova/web"
)

const (
	segmentSeconds = 2
	windowSegments = 6
)

// fixture is a backend as the page sees it: the API, live playlists that slide over a short clip again and again,
// the clip as a recording, and the page itself. POST /fixture/{id}/{start,stop,stall,remove} moves a broadcast on.
type fixture struct {
	// set by newFixture
	mux        *http.ServeMux
	dir        string
	rungs      []rung
	renditions map[string]rendition

	// guarded by mu
	mu struct {
		sync.Mutex
		broadcasts map[string]*broadcast
	}
}

// broadcast is one live stream and its session.
type broadcast struct {
	title   string
	session int
	began   time.Time
	stalled time.Time // zero while the playlist grows
	ended   bool
}

func newFixture(tb testing.TB, clip string, rungs []rung) *fixture {
	tb.Helper()
	f := &fixture{mux: http.NewServeMux(), dir: tb.TempDir(), rungs: rungs, renditions: make(map[string]rendition)}
	f.mu.broadcasts = make(map[string]*broadcast)
	makeMedia(tb, f.dir, clip, rungs)
	for _, r := range rungs {
		f.renditions[r.name] = readRendition(tb, f.dir, r.name)
	}
	// Audio may have one short segment more; the loop is as long as the video, so that discontinuities agree.
	audio := readRendition(tb, f.dir, "audio")
	audio.segments = audio.segments[:len(f.renditions[rungs[0].name].segments)]
	f.renditions["audio"] = audio
	f.mux.HandleFunc("GET /api/v2/live", f.serveLiveList)
	f.mux.HandleFunc("GET /api/v2/recordings", f.serveRecordings)
	f.mux.HandleFunc("GET /hls/{id}/{rendition}/index.m3u8", f.serveLivePlaylist)
	f.mux.HandleFunc("GET /hls/{id}/{rendition}/{file}", f.serveLiveFile)
	f.mux.HandleFunc("GET /hls/{id}/{file}", f.serveLiveRoot)
	f.mux.HandleFunc("GET /vod/{id}/{path...}", f.serveRecording)
	f.mux.HandleFunc("POST /fixture/{id}/{change}", f.serveChange)
	f.mux.Handle("/", web.Handler())
	return f
}

func (f *fixture) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.mux.ServeHTTP(w, r) }

// start begins a session under id that has been live for age.
func (f *fixture) start(id, title string, age time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	session := 1
	if old := f.mu.broadcasts[id]; old != nil {
		session = old.session + 1
	}
	f.mu.broadcasts[id] = &broadcast{title: title, session: session, began: time.Now().Add(-age)}
}

func (f *fixture) serveChange(w http.ResponseWriter, r *http.Request) {
	id, change := r.PathValue("id"), r.PathValue("change")
	if change == "start" {
		f.start(id, "Returned", windowSegments*segmentSeconds*time.Second)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.mu.broadcasts[id]
	if b == nil {
		http.NotFound(w, r)
		return
	}
	switch change {
	case "stop":
		b.ended, b.stalled = true, time.Now()
	case "stall":
		b.stalled = time.Now()
	case "resume":
		b.began, b.stalled = b.began.Add(time.Since(b.stalled)), time.Time{}
	case "remove":
		delete(f.mu.broadcasts, id)
	default:
		http.NotFound(w, r)
	}
}

func (f *fixture) broadcast(id string) (broadcast, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.mu.broadcasts[id]
	if b == nil {
		return broadcast{}, false
	}
	return *b, true
}

// segmentCount says how many segments are finished.
func (b broadcast) segmentCount() int {
	until := time.Now()
	if !b.stalled.IsZero() {
		until = b.stalled
	}
	return int(until.Sub(b.began).Seconds()) / segmentSeconds
}

func (f *fixture) serveLiveList(w http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	streams := []map[string]any{}
	for id, b := range f.mu.broadcasts {
		if b.ended {
			continue
		}
		renditions := []map[string]any{}
		for _, r := range f.rungs {
			renditions = append(renditions, map[string]any{"name": r.name, "width": r.width, "height": r.height, "bitrate": r.kbps * 1000})
		}
		streams = append(streams, map[string]any{
			"playback_id": id, "title": b.title, "started_at": b.began, "hls_url": "/hls/" + id + "/index.m3u8",
			"poster_url": "/hls/" + id + "/poster.jpg", "renditions": renditions,
		})
	}
	writeJSON(w, map[string]any{"streams": streams})
}

func (f *fixture) serveRecordings(w http.ResponseWriter, _ *http.Request) {
	recordings := []map[string]any{}
	for i, title := range []string{"Evening session", "A walk in the woods", "Test of the new camera"} {
		id := fmt.Sprintf("demo-%d", i+1)
		recordings = append(recordings, map[string]any{
			"video_id": id, "playback_id": "demo", "title": title,
			"started_at":       time.Now().Add(-time.Duration(1+i*i*9) * time.Hour),
			"duration_seconds": float64(len(f.renditions["audio"].segments) * segmentSeconds),
			"hls_url":          "/vod/" + id + "/index.m3u8", "poster_url": "/vod/" + id + "/poster.jpg",
		})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, b := range f.mu.broadcasts {
		if b.ended {
			recordings = append(recordings, map[string]any{"video_id": "demo-of-" + id, "playback_id": id, "title": b.title})
		}
	}
	writeJSON(w, map[string]any{"recordings": recordings})
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

func (f *fixture) serveLiveRoot(w http.ResponseWriter, r *http.Request) {
	if _, live := f.broadcast(r.PathValue("id")); !live {
		http.NotFound(w, r)
		return
	}
	f.serveFile(w, r, r.PathValue("file"))
}

func (f *fixture) serveRecording(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.PathValue("id"), "demo-") {
		http.NotFound(w, r)
		return
	}
	f.serveFile(w, r, r.PathValue("path"))
}

// serveLivePlaylist writes the window of segments that are there now.
func (f *fixture) serveLivePlaylist(w http.ResponseWriter, r *http.Request) {
	b, live := f.broadcast(r.PathValue("id"))
	found, exists := f.renditions[r.PathValue("rendition")]
	segments := found.segments
	if !live || !exists {
		http.NotFound(w, r)
		return
	}
	count := b.segmentCount()
	first := max(count-windowSegments, 0)
	var text strings.Builder
	fmt.Fprintf(&text, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:%d\n", segmentSeconds+1, first)
	fmt.Fprintf(&text, "#EXT-X-DISCONTINUITY-SEQUENCE:%d\n#EXT-X-MAP:URI=%q\n", max(first-1, 0)/len(segments), found.init)
	for n := first; n < count; n++ {
		if n > 0 && n%len(segments) == 0 {
			text.WriteString("#EXT-X-DISCONTINUITY\n")
		}
		at := b.began.Add(time.Duration(n) * segmentSeconds * time.Second)
		fmt.Fprintf(&text, "#EXT-X-PROGRAM-DATE-TIME:%s\n", at.UTC().Format("2006-01-02T15:04:05.000Z"))
		fmt.Fprintf(&text, "#EXTINF:%.5f,\ns%d-%d.m4s\n", segments[n%len(segments)].seconds, b.session, n)
	}
	if b.ended {
		text.WriteString("#EXT-X-ENDLIST\n")
	}
	w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte(text.String()))
}

// serveLiveFile answers the init segment and s<session>-<number>.m4s.
func (f *fixture) serveLiveFile(w http.ResponseWriter, r *http.Request) {
	b, live := f.broadcast(r.PathValue("id"))
	name, file := r.PathValue("rendition"), r.PathValue("file")
	found, exists := f.renditions[name]
	if !live || !exists {
		http.NotFound(w, r)
		return
	}
	if file != found.init {
		number := strings.TrimSuffix(strings.TrimPrefix(file, fmt.Sprintf("s%d-", b.session)), ".m4s")
		n, err := strconv.ParseUint(number, 10, 31)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		file = found.segments[int(n)%len(found.segments)].file
	}
	f.serveFile(w, r, name+"/"+file)
}

func (f *fixture) serveFile(w http.ResponseWriter, r *http.Request, name string) {
	clean := filepath.Join(f.dir, filepath.Clean("/"+name))
	if info, err := os.Stat(clean); err != nil || info.IsDir() {
		http.NotFound(w, r)
		return
	}
	if strings.HasSuffix(name, ".m3u8") {
		w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
	}
	http.ServeFile(w, r, clean)
}
