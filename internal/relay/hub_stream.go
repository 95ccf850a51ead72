package relay

import (
	"slices"
	"sync"

	"nova/internal/media"
)

// Stream is the publisher's end of one live session. Safe for concurrent use, though the units of a track have to
// come from one goroutine to stay in order.
type Stream struct {
	// set by Hub.Open
	hub  *Hub
	info Info

	mu struct {
		sync.Mutex
		closed bool
		// announced tells that SetTracks was called: readers begin with the track list.
		announced bool
		// lanes hold one entry per track ID ever announced. They stay when the track goes, so that readers
		// may index their own state by lane.slot.
		lanes   []*lane
		cache   gopCache
		readers []*hubReader
	}
}

// lane is what a stream knows about one of its tracks.
type lane struct {
	// set by SetTracks, guarded by Stream.mu
	slot    int
	present bool
	track   media.Track // Config is the newest that was seen

	// guarded by Stream.mu, kept by gopCache
	started bool              // a video keyframe has been seen since the track was announced
	key     *media.AccessUnit // the keyframe that the cache begins with; nil where it holds none
}

func newStream(h *Hub, info Info) *Stream {
	s := &Stream{hub: h, info: info}
	s.mu.cache = gopCache{maxUnits: h.cfg.CacheUnits, maxBytes: h.cfg.CacheBytes}
	return s
}

// Info describes the session.
func (s *Stream) Info() Info { return s.info }

// SetTracks announces the complete list of tracks from here on. Units of other tracks are dropped. Nobody may
// change the list afterwards.
func (s *Stream) SetTracks(tracks []media.Track) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return
	}
	s.mu.announced = true
	for _, l := range s.mu.lanes {
		l.present = false
	}
	for _, t := range tracks {
		s.announce(t)
	}
	s.mu.cache.purge(s.mu.lanes)
	for _, r := range s.mu.readers {
		r.pushTracks(tracks, s.mu.lanes)
	}
}

// announce gives the track a lane. A track that changes its kind or its clock begins anew.
func (s *Stream) announce(t media.Track) {
	for _, l := range s.mu.lanes {
		if l.track.ID != t.ID {
			continue
		}
		if l.track.Kind != t.Kind || l.track.Timescale != t.Timescale {
			l.started, l.key = false, nil
			s.mu.cache.forget(l)
		}
		l.track, l.present = t, true
		return
	}
	s.mu.lanes = append(s.mu.lanes, &lane{slot: len(s.mu.lanes), present: true, track: t})
}

// Write hands a unit to all readers. It never waits for them.
func (s *Stream) Write(u *media.AccessUnit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return
	}
	l := s.lane(u.Track)
	if l == nil {
		s.hub.metrics.unknownTrack.Inc()
		return
	}
	if len(u.Data) > MaxUnit {
		s.hub.metrics.tooLarge.Inc()
		return
	}
	s.hub.metrics.units.Inc()
	if u.Config != nil {
		l.track.Config = u.Config
	}
	s.mu.cache.add(u, l, s.mu.lanes)
	for _, r := range s.mu.readers {
		r.push(u, l)
	}
}

func (s *Stream) lane(track int) *lane {
	for _, l := range s.mu.lanes {
		if l.track.ID == track && l.present {
			return l
		}
	}
	return nil
}

// Close ends the session: readers get what is queued, then io.EOF. Idempotent.
func (s *Stream) Close() {
	s.hub.remove(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return
	}
	s.mu.closed = true
	for _, r := range s.mu.readers {
		r.end()
	}
	s.mu.readers = nil
	s.mu.cache = gopCache{}
}

// join makes a reader that begins with the track list and the cache; nil where the session has ended.
func (s *Stream) join(opts Options) *hubReader {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return nil
	}
	r := newHubReader(s, opts)
	if s.mu.announced {
		r.begin(s.tracksForJoin(), s.mu.lanes, s.mu.cache.units)
	}
	s.mu.readers = append(s.mu.readers, r)
	return r
}

// tracksForJoin is the track list with the configurations that the cached units begin with, or the newest ones
// where a track has nothing cached.
func (s *Stream) tracksForJoin() []media.Track {
	var tracks []media.Track
	for _, l := range s.mu.lanes {
		if !l.present {
			continue
		}
		t := l.track
		if first := s.mu.cache.first(l); first != nil && first.Config != nil {
			t.Config = first.Config
		}
		tracks = append(tracks, t)
	}
	return tracks
}

func (s *Stream) leave(r *hubReader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.mu.readers, r); i >= 0 {
		s.mu.readers = slices.Delete(s.mu.readers, i, i+1)
	}
}
