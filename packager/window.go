package packager

import (
	"strings"
	"sync"
	"time"

	"nova/internal/media"
	"nova/internal/relay"
	"nova/packager/playlist"
	"nova/packager/present"
)

// posterName is the path of the newest still picture.
const posterName = "poster.jpg"

// window is what HTTP reads of one session: finished objects. One goroutine changes it, any number read it.
type window struct {
	// set by newWindow
	cfg    Config
	info   relay.Info
	prefix string

	// owned by the session's run
	shelves map[string]*shelf
	pack    packer

	mu struct {
		sync.RWMutex
		objects map[string]present.Object // by path
		listed  []present.Rendition
		visible bool
		ended   bool
	}
}

// shelf is one rendition's share of the window.
type shelf struct {
	name string
	// segments are those in memory; the playlist begins at first.
	segments []present.Segment
	first    int
	// inits are the paths of the initialization sections by their names.
	inits []string
	ended bool
	// skipped counts the discontinuities that left the playlist.
	skipped int64
}

func newWindow(cfg Config, info relay.Info, prefix string) *window {
	w := &window{cfg: cfg, info: info, prefix: prefix, shelves: map[string]*shelf{}}
	w.mu.objects = map[string]present.Object{}
	return w
}

// get finds an object by its path. visible tells whether the session shows playlists.
func (w *window) get(path string) (o present.Object, visible, ok bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	o, ok = w.mu.objects[path]
	if !w.mu.visible && isIndex(path) {
		return present.Object{}, false, false
	}
	return o, w.mu.visible, ok
}

// live is the session's line in the live list.
func (w *window) live() (present.LiveStream, bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if !w.mu.visible || w.mu.ended {
		return present.LiveStream{}, false
	}
	base := "/hls/" + w.info.Stream + "/"
	s := present.LiveStream{
		PlaybackID: w.info.Stream, Title: w.info.Title, StartedAt: w.info.Start,
		HLSURL: base + playlist.IndexName, Renditions: []present.LiveRendition{},
	}
	if _, ok := w.mu.objects[posterName]; ok {
		s.PosterURL = base + posterName
	}
	for _, r := range w.mu.listed {
		if r.Kind == media.Video {
			s.Renditions = append(s.Renditions, present.LiveRendition{
				Name: r.Name, Width: r.Width, Height: r.Height, Bitrate: r.AverageBandwidth,
			})
		}
	}
	return s, true
}

// put stores an object and removes others, in one step.
func (w *window) put(path string, o present.Object, remove ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.objects[path] = o
	for _, path := range remove {
		delete(w.mu.objects, path)
	}
}

// shelf finds or makes a rendition's share.
func (w *window) shelf(name string) *shelf {
	s := w.shelves[name]
	if s == nil {
		s = &shelf{name: name}
		w.shelves[name] = s
	}
	return s
}

func (w *window) setPoster(jpeg []byte) {
	w.put(posterName, present.Object{
		Kind: present.PosterImage, Body: jpeg, ETag: etag(jpeg), Modified: time.Now(),
	})
}

func (w *window) putInit(rendition string, init present.Init) {
	s := w.shelf(rendition)
	s.inits = append(s.inits, init.Name)
	w.put(rendition+"/"+init.Name, present.Object{
		Kind: present.InitSection, Body: init.Body, ETag: etag(init.Body), Modified: time.Now(),
	})
}

// putSegment adds a segment, renders the playlist anew and forgets what no player can ask for any more.
// discontinuities counts those before a segment.
func (w *window) putSegment(rendition string, seg present.Segment, discontinuities func(seq int64) int64) {
	s := w.shelf(rendition)
	if !seg.Gap {
		w.put(rendition+"/"+seg.Name, present.Object{
			Kind: present.MediaSegment, Body: seg.Body, Modified: time.Now(),
			ETag: `"` + strings.TrimSuffix(seg.Name, ".m4s") + "-" + rendition + `"`,
		})
	}
	seg.Body = nil // the object holds it
	s.segments = append(s.segments, seg)
	old := s.slide(w.cfg)
	s.skipped = discontinuities(s.segments[s.first].Seq)
	w.put(rendition+"/"+playlist.IndexName, w.render(s), old...)
}

// slide moves the playlist's start on: it keeps LiveWindow segments, and always three target durations (RFC
// 8216bis §6.2.2). A segment that has left stays in memory for as long again, since players may have it from
// the playlist before (§6.2.2). slide returns the paths to remove.
func (s *shelf) slide(cfg Config) (remove []string) {
	var listed time.Duration
	for _, seg := range s.segments[s.first:] {
		listed += seg.Duration
	}
	for len(s.segments)-s.first > cfg.LiveWindow &&
		listed-s.segments[s.first].Duration >= 3*cfg.targetDuration() {
		listed -= s.segments[s.first].Duration
		s.first++
	}
	for s.first > len(s.segments)-s.first {
		remove = append(remove, s.name+"/"+s.segments[0].Name)
		s.segments = append(s.segments[:0], s.segments[1:]...)
		s.first--
	}
	for len(s.inits) > 1 && s.segments[0].InitName != "" && s.inits[0] != s.segments[0].InitName {
		remove = append(remove, s.name+"/"+s.inits[0])
		s.inits = s.inits[1:]
	}
	return remove
}

// render makes the media playlist of a shelf.
func (w *window) render(s *shelf) present.Object {
	listed := s.segments[s.first:]
	text := playlist.Media(playlist.Header{
		TargetDuration: w.cfg.targetDuration(), Sequence: listed[0].Seq, DiscontinuitySequence: s.skipped,
	}, listed, s.ended)
	return w.pack.text(present.MediaPlaylist, text, s.ended)
}

// show makes the multivariant playlist of the renditions and the session visible.
func (w *window) show(list []present.Rendition) {
	o := w.pack.text(present.MultivariantPlaylist, playlist.Multivariant(list), false)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.objects[playlist.IndexName] = o
	w.mu.listed, w.mu.visible = list, true
}

// end adds EXT-X-ENDLIST to every playlist.
func (w *window) end() {
	ended := map[string]present.Object{}
	for name, s := range w.shelves {
		if len(s.segments) > 0 {
			s.ended = true
			ended[name+"/"+playlist.IndexName] = w.render(s)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for path, o := range ended {
		w.mu.objects[path] = o
	}
	if o, ok := w.mu.objects[playlist.IndexName]; ok {
		o.Ended = true
		w.mu.objects[playlist.IndexName] = o
	}
	w.mu.ended = true
}
