package store

import (
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"nova/internal/blob"
	"nova/internal/media"
	"nova/internal/obs"
	"nova/packager/present"
)

// session is the recording of one broadcast. The packager's goroutine hands media in, workers report what is
// stored, and runSession writes the playlists.
//
// Locks: Store.mu before mu. The queue's lock is never held together with either.
type session struct {
	// set by newSession
	store *Store
	info  present.Session
	log   *slog.Logger
	drops *obs.Repeated
	wake  chan struct{}
	done  chan struct{}

	mu struct {
		sync.Mutex
		renditions map[string]*rendition
		order      []*rendition
		held       map[string][]present.Init // of renditions whose first segment has not come
		listed     []present.Rendition
		poster     []byte
		posters    uint64
		strays     []string // keys that may be in S3 though no playlist will name them
		closedAt   time.Time
	}

	// owned by runSession
	desk desk
}

var _ present.SessionSink = (*session)(nil)

// rendition is one media playlist in the making.
type rendition struct {
	// set by session.rendition
	name     string
	audio    bool
	lane     *lane
	playlist document

	// guarded by session.mu
	desc    present.Rendition
	pending []*entry
	inits   map[string]*initState

	// owned by runSession
	grown grown
}

// entry is a segment on its way into the playlist. Its body is with the queue.
type entry struct {
	segment present.Segment
	settled bool // stored, or turned into a gap
}

type initState struct {
	key    string
	stored bool
	named  bool
}

func newSession(s *Store, info present.Session) *session {
	log := s.log.With(obs.KeyStream, info.PlaybackID, obs.KeySession, info.VideoID)
	x := &session{
		store: s, info: info, log: log,
		drops: obs.NewRepeated(log, slog.LevelError, "segment dropped from the recording"),
		wake:  make(chan struct{}, 1),
		done:  make(chan struct{}),
	}
	x.mu.renditions = make(map[string]*rendition)
	x.mu.held = make(map[string][]present.Init)
	x.desk = newDesk(info.VideoID)
	return x
}

// SetRenditions states the list for the multivariant playlist.
func (x *session) SetRenditions(list []present.Rendition) {
	x.mu.Lock()
	x.mu.listed = slices.Clone(list)
	x.mu.Unlock()
	x.signal()
}

// PutInit takes an initialization section. It waits for the rendition's first segment, which tells sound from
// picture, and with that the content type.
func (x *session) PutInit(name string, init present.Init) {
	x.mu.Lock()
	r := x.mu.renditions[name]
	if r == nil {
		x.mu.held[name] = append(x.mu.held[name], init)
		x.mu.Unlock()
		return
	}
	j := x.initJob(r, init)
	x.mu.Unlock()
	x.push(j)
}

// PutSegment takes a segment, and drops older ones where too much waits.
func (x *session) PutSegment(desc present.Rendition, seg present.Segment) {
	x.mu.Lock()
	r, jobs := x.rendition(desc)
	body := seg.Body
	seg.Body, seg.Parts = nil, nil
	r.desc = desc
	e := &entry{segment: seg}
	switch {
	case seg.Gap:
		e.toGap()
	case r.inits[seg.InitName] == nil:
		x.log.Error("segment without initialization section left out", obs.KeyRendition, desc.Name, "init", seg.InitName)
		e.toGap()
	default:
		jobs = append(jobs, x.segmentJob(r, e, body))
	}
	r.pending = append(r.pending, e)
	x.mu.Unlock()
	for _, j := range jobs {
		x.push(j)
	}
	x.signal()
}

// toGap leaves a hole of the same length. It names no section: nothing is loaded for a gap.
func (e *entry) toGap() {
	e.segment.Gap, e.segment.InitName, e.settled = true, "", true
}

// rendition finds the rendition, or begins it with the sections that were held for it. mu is held.
func (x *session) rendition(desc present.Rendition) (*rendition, []*job) {
	if r := x.mu.renditions[desc.Name]; r != nil {
		return r, nil
	}
	r := &rendition{
		name: desc.Name, audio: desc.Kind == media.Audio,
		lane:     &lane{},
		playlist: document{kind: "playlist", key: renditionKey(x.info.VideoID, desc.Name, "index.m3u8")},
		inits:    make(map[string]*initState),
	}
	x.mu.renditions[desc.Name] = r
	x.mu.order = append(x.mu.order, r)
	var jobs []*job
	for _, init := range x.mu.held[desc.Name] {
		jobs = append(jobs, x.initJob(r, init))
	}
	delete(x.mu.held, desc.Name)
	return r, jobs
}

// initJob is called with mu held.
func (x *session) initJob(r *rendition, init present.Init) *job {
	state := &initState{key: renditionKey(x.info.VideoID, r.name, init.Name)}
	r.inits[init.Name] = state
	return &job{
		key: state.key, kind: "init", body: init.Body, opts: mediaOptions(r.audio), lane: r.lane, session: x,
		stored: func() { x.settle(func() { state.stored = true }) },
		lost:   func() {},
	}
}

func (x *session) segmentJob(r *rendition, e *entry, body []byte) *job {
	j := &job{
		key: renditionKey(x.info.VideoID, r.name, e.segment.Name), kind: "segment", body: body,
		opts: segmentOptions(r.audio, &e.segment), lane: r.lane, length: e.segment.Duration, session: x,
		stored: func() { x.settle(func() { e.settled = true }) },
	}
	j.lost = func() {
		x.settle(func() {
			e.toGap()
			if j.tries > 0 { // a try that timed out may have been stored all the same
				x.mu.strays = append(x.mu.strays, j.key)
			}
		})
	}
	return j
}

// settle changes the state under the lock and tells runSession.
func (x *session) settle(change func()) {
	x.mu.Lock()
	change()
	x.mu.Unlock()
	x.signal()
}

func (x *session) push(j *job) {
	for _, dropped := range x.store.queue.push(j) {
		dropped.session.drop(dropped, "overflow")
	}
}

func (x *session) drop(j *job, reason string) {
	x.store.metrics.dropped.WithLabelValues(reason).Inc()
	x.drops.Add(errDropped(reason))
	j.lost()
}

type errDropped string

func (e errDropped) Error() string { return "the queue to S3: " + string(e) }

// PutPoster keeps the newest poster for the next upload.
func (x *session) PutPoster(jpeg []byte) {
	x.mu.Lock()
	x.mu.poster = jpeg
	x.mu.posters++
	x.mu.Unlock()
	x.signal()
}

// Close ends the session. What waits is stored first.
func (x *session) Close() {
	x.mu.Lock()
	if x.mu.closedAt.IsZero() {
		x.mu.closedAt = time.Now()
	}
	x.mu.Unlock()
	x.signal()
}

func (x *session) isClosed() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return !x.mu.closedAt.IsZero()
}

func (x *session) signal() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// segmentMeta is kept beside a segment, so that one which no playlist names yet when the process is killed can
// be named by the next.
type segmentMeta struct {
	Duration      time.Duration `json:"d"`
	Start         time.Time     `json:"t"`
	Init          string        `json:"i"`
	Discontinuity bool          `json:"x,omitempty"`
}

const metaName = "nova-segment"

func segmentOptions(audio bool, seg *present.Segment) blob.PutOptions {
	opts := mediaOptions(audio)
	meta, err := json.Marshal(segmentMeta{seg.Duration, seg.Start.UTC(), seg.InitName, seg.Discontinuity})
	if err == nil { // a time beyond the year 9999 cannot be written; the segment can
		opts.Metadata = map[string]string{metaName: string(meta)}
	}
	return opts
}
