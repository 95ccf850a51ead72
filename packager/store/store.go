// Package store keeps every broadcast in S3: segments, playlists that grow with them, and a complete VOD at the
// end.
//
//	packager ──PutSegment──▶ [queue: seconds and bytes, drops the oldest] ──▶ [runWorker × n] ──PUT──▶ S3
//	                │                                                            │ stored
//	                └────────────▶ [session.runSession: owns the playlists] ◀────┘
//	                                   └─ marker → playlists → multivariant → recording ──PUT──▶ S3
//
// A playlist names an object only after S3 has it: an entry waits for its segment and for the initialization
// section, and the multivariant playlist for the media playlists. Uploads are tried until they succeed. What
// does not fit the queue meanwhile becomes a gap (EXT-X-GAP) in the recording, oldest first; the live stream
// does not notice.
//
// A marker object says that a session is under way, and whose it is. A session whose process was killed is
// finished by the next start on the same node, or by another node once the marker has grown old.
//
// Stage: 6/6 · In: present.Session, present.Segment · Out: objects in S3
package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	mrand "math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"nova/internal/blob"
	"nova/internal/obs"
	"nova/packager/present"
)

// Bucket is what the store needs of S3; *blob.Bucket is one.
type Bucket interface {
	Put(ctx context.Context, key string, body []byte, opts blob.PutOptions) error
	Head(ctx context.Context, key string) (blob.Info, error)
	ReadAll(ctx context.Context, key string, limit int64) ([]byte, blob.Info, error)
	List(ctx context.Context, prefix, delimiter string) iter.Seq2[blob.Page, error]
	Delete(ctx context.Context, keys ...string) error
	CheckReady(ctx context.Context) error
}

// Store is the present.Sink that writes to S3. Safe for concurrent use.
type Store struct {
	// set by New
	cfg      Config
	bucket   Bucket
	log      *slog.Logger
	failures *obs.Repeated
	metrics  *metrics
	queue    *queue
	owner    owner
	list     *recordingsList
	opened   chan struct{}

	mu struct {
		sync.Mutex
		waiting  []*session          // opened, not yet running
		sessions map[string]*session // by video id, until finished
		latest   map[string]latest   // by playback id
	}
}

// latest is the newest session of a stream, which outlives its end for a while.
type latest struct {
	videoID string
	until   time.Time // zero while the session lasts
}

// latestFor is how long after its end a session is found by its playback id: viewers are at most a window
// behind.
const latestFor = 5 * time.Minute

var _ present.Sink = (*Store)(nil)

// New checks the configuration. Nothing is stored before Run.
func New(cfg Config, bucket Bucket, log *slog.Logger, reg prometheus.Registerer) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("bad store configuration: %w", err)
	}
	node, err := cfg.nodeName()
	if err != nil {
		return nil, fmt.Errorf("bad store configuration: %w", err)
	}
	log = log.With(obs.KeyComp, "store")
	s := &Store{
		cfg: cfg, bucket: bucket, log: log,
		failures: obs.NewRepeated(log, slog.LevelWarn, "cannot store, will try again"),
		queue:    newQueue(cfg.QueueDuration, cfg.QueueBytes, cfg.Workers),
		owner:    newOwner(node, rand.Text()),
		list:     newRecordingsList(bucket, cfg.RecordingsLimit, cfg.RecordingsTTL),
		opened:   make(chan struct{}, 1),
	}
	s.metrics = newMetrics(reg, s.queue)
	s.mu.sessions = make(map[string]*session)
	s.mu.latest = make(map[string]latest)
	return s, nil
}

// Run stores until ctx ends, and finishes what earlier runs left behind. Sessions that were closed before ctx
// ends are finished within Config.DrainTimeout; one that is still open is left for the next start.
func (s *Store) Run(ctx context.Context) error {
	working, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	group, working := errgroup.WithContext(working)
	for range s.cfg.Workers {
		// Owns: the job it took from the queue. Ends when: working ends. Waited for by: Run.
		group.Go(func() error { return s.runWorker(working) })
	}
	// Owns: nothing. Ends when: working ends. Waited for by: Run.
	group.Go(func() error { return s.runRecovery(working) })
	// Owns: the start of sessions. Ends when: working ends. Waited for by: Run.
	group.Go(func() error { return s.runOpened(working, group) })
	<-ctx.Done()
	s.drainClosed(context.WithoutCancel(ctx))
	abort()
	return group.Wait()
}

func (s *Store) runOpened(ctx context.Context, group *errgroup.Group) error {
	for {
		for _, session := range s.takeWaiting() {
			// Owns: the session's playlists. Ends when: the session is finished, or ctx ends. Waited for by: Run.
			group.Go(func() error { return session.runSession(ctx) })
		}
		select {
		case <-s.opened:
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *Store) takeWaiting() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting := s.mu.waiting
	s.mu.waiting = nil
	return waiting
}

// OpenSession begins the recording of a session. It does not wait.
func (s *Store) OpenSession(info present.Session) present.SessionSink {
	session := newSession(s, info)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.waiting = append(s.mu.waiting, session)
	s.mu.sessions[info.VideoID] = session
	for id, l := range s.mu.latest {
		if !l.until.IsZero() && time.Now().After(l.until) {
			delete(s.mu.latest, id)
		}
	}
	s.mu.latest[info.PlaybackID] = latest{videoID: info.VideoID}
	s.metrics.sessions.Inc()
	select {
	case s.opened <- struct{}{}:
	default:
	}
	return session
}

// forget is called by a session that is finished or given up.
func (s *Store) forget(session *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.sessions[session.info.VideoID] == session {
		delete(s.mu.sessions, session.info.VideoID)
	}
	if l := s.mu.latest[session.info.PlaybackID]; l.videoID == session.info.VideoID {
		l.until = time.Now().Add(latestFor)
		s.mu.latest[session.info.PlaybackID] = l
	}
	s.metrics.sessions.Dec()
}

func (s *Store) isOpen(videoID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.sessions[videoID] != nil
}

// VideoID is the recording of a stream's newest session, for as long as a viewer of the live stream may still
// ask for its segments.
func (s *Store) VideoID(playbackID string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.mu.latest[playbackID]
	if !ok || (!l.until.IsZero() && time.Now().After(l.until)) {
		return "", false
	}
	return l.videoID, true
}

// Drain waits until every session is finished. It needs Run to be running, and fails where ctx ends before;
// sessions that are still open keep it waiting.
func (s *Store) Drain(ctx context.Context) error {
	return s.drain(ctx, func(*session) bool { return true })
}

// drainClosed is the end of Run: the sessions that have ended get their time.
func (s *Store) drainClosed(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.DrainTimeout)
	defer cancel()
	if err := s.drain(ctx, (*session).isClosed); err != nil {
		s.log.Warn("recordings are left to the next start", obs.Err(err))
	}
}

func (s *Store) drain(ctx context.Context, which func(*session) bool) error {
	for {
		session, left := s.pick(which)
		if session == nil {
			return nil
		}
		select {
		case <-session.done:
		case <-ctx.Done():
			return fmt.Errorf("cannot drain: %d sessions are not finished in S3: %w", left, ctx.Err())
		}
	}
}

// pick gives one of the unfinished sessions, and how many there are.
func (s *Store) pick(which func(*session) bool) (one *session, left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, session := range s.mu.sessions {
		if which(session) {
			one = session
			left++
		}
	}
	return one, left
}

// errBehind tells that S3 answers, yet media waits for it dangerously long.
var errBehind = errors.New("recordings are behind")

// Check is the store's part of readiness: S3 answers, and the queue is not about to drop media.
func (s *Store) Check(ctx context.Context) error {
	if err := s.bucket.CheckReady(ctx); err != nil {
		return err
	}
	if longest, _, _ := s.queue.depth(); longest > s.cfg.QueueDuration/2 {
		return fmt.Errorf("%w: %v of media waits for S3", errBehind, longest.Round(time.Second))
	}
	return nil
}

// backoff is the wait after the given number of failures in a row: exponential, with jitter, so that the
// sessions of a node do not come back in step.
func (s *Store) backoff(tries int) time.Duration {
	full := float64(s.cfg.RetryMin) * math.Pow(2, float64(min(tries, 30)-1))
	limit := min(full, float64(s.cfg.RetryMax))
	return time.Duration(limit/2 + limit/2*mrand.Float64()) //nolint:gosec // jitter, no secret
}
