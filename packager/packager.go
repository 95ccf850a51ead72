// Package packager turns live streams into HLS: it follows each stream's source and its transcoded renditions,
// cuts all of them at the same keyframes, and keeps the newest segments and the playlists in memory for HTTP.
//
//	ingest hub ────Reader──▶ [runSource] ────┐                   ┌──▶ window: objects for Get (packager/origin)
//	transcode hub ─Reader──▶ [runRenditions] ┴─chan(64)─▶ [run]──┤
//	                                        one session: owns    └──▶ present.SessionSink (packager/store: S3)
//	                                        timeline, renditions
//
// The source's own picture is the top rendition while a player can decode it and its keyframes are near enough;
// its sound is passed on where it is AAC-LC in mono or stereo. Everything else comes from the transcoder. A
// rendition that has nothing to show for a stretch of the timeline has a gap there, so that players change to
// another one.
//
// The goroutine of a session owns all of its state. What HTTP reads are finished objects behind one lock:
// playlists are rendered and compressed once per change.
//
// Stage: 5/6 · In: *media.AccessUnit · Out: present.Object, present.Segment
package packager

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nova/internal/obs"
	"nova/internal/relay"
	"nova/packager/present"
)

// Packager packages every stream that its source offers.
type Packager struct {
	// set by New
	cfg        Config
	ingest     relay.Source
	renditions relay.Source
	sink       present.Sink
	log        *slog.Logger
	metrics    *metrics

	// running counts the goroutines that Run waits for.
	running sync.WaitGroup

	mu struct {
		sync.RWMutex
		// streams has the windows of each stream, the newest last.
		streams map[string][]*window
		// sessions has the running session of each stream.
		sessions map[string]*session
	}
}

// New checks the configuration. ingest offers the sources, renditions the transcoded tracks. sink may be nil:
// nothing is recorded then. A nil reg keeps the metrics private.
func New(cfg Config, ingest, renditions relay.Source, sink present.Sink,
	log *slog.Logger, reg prometheus.Registerer,
) (*Packager, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("cannot make a packager: %w", err)
	}
	m, err := newMetrics(reg)
	if err != nil {
		return nil, fmt.Errorf("cannot make a packager: %w", err)
	}
	if sink == nil {
		sink = noSink{}
	}
	p := &Packager{
		cfg: cfg, ingest: ingest, renditions: renditions, sink: sink, metrics: m,
		log: log.With(obs.KeyComp, "packager"),
	}
	p.mu.streams = map[string][]*window{}
	p.mu.sessions = map[string]*session{}
	return p, nil
}

// Run packages streams until ctx ends. Then the sessions are closed as if their sources had ended: what is
// recorded so far is complete.
func (p *Packager) Run(ctx context.Context) error {
	sources, renditions := p.ingest.Watch(ctx), p.renditions.Watch(ctx)
	for sources != nil || renditions != nil {
		select {
		case e, ok := <-sources:
			if !ok {
				sources = nil
			} else if e.Live {
				p.start(ctx, e.Info)
			}
		case e, ok := <-renditions:
			if !ok {
				renditions = nil
			} else if e.Live {
				p.wake(e.Info)
			}
		}
	}
	p.running.Wait()
	return nil
}

// start begins a session unless it runs already.
func (p *Packager) start(ctx context.Context, info relay.Info) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.mu.sessions[info.Stream]; s != nil && s.info.Session == info.Session {
		return
	}
	s := newSession(p, info)
	p.mu.sessions[info.Stream] = s
	p.mu.streams[info.Stream] = append(p.mu.streams[info.Stream], s.window)
	p.running.Add(1)
	// Owns the session: its timeline and its renditions.
	// Ends when the source has ended and the renditions are drained, or with ctx; the window lingers after that.
	// Waited for by Run.
	go p.runSession(ctx, s)
}

// wake tells the running session of a stream that its renditions are there.
func (p *Packager) wake(info relay.Info) {
	p.mu.RLock()
	s := p.mu.sessions[info.Stream]
	p.mu.RUnlock()
	if s == nil {
		return
	}
	select {
	case s.renditionsLive <- struct{}{}:
	default: // it is told already
	}
}

// runSession runs a session, keeps what it made readable for a while, and forgets it.
func (p *Packager) runSession(ctx context.Context, s *session) {
	defer p.running.Done()
	p.metrics.sessions.Inc()
	s.run(ctx)
	p.metrics.sessions.Dec()

	p.mu.Lock()
	if p.mu.sessions[s.info.Stream] == s {
		delete(p.mu.sessions, s.info.Stream)
	}
	p.mu.Unlock()

	linger := time.NewTimer(p.cfg.EndLinger)
	defer linger.Stop()
	select {
	case <-ctx.Done():
	case <-linger.C:
	}
	p.forget(s.info.Stream, s.window)
}

// forget drops the window of an ended session.
func (p *Packager) forget(stream string, w *window) {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := p.mu.streams[stream][:0:0]
	for _, other := range p.mu.streams[stream] {
		if other != w {
			left = append(left, other)
		}
	}
	if len(left) == 0 {
		delete(p.mu.streams, stream)
	} else {
		p.mu.streams[stream] = left
	}
}

// noSink records nothing.
type noSink struct{}

func (noSink) OpenSession(present.Session) present.SessionSink { return noSession{} }

type noSession struct{}

func (noSession) SetRenditions([]present.Rendition)             {}
func (noSession) PutInit(string, present.Init)                  {}
func (noSession) PutSegment(present.Rendition, present.Segment) {}
func (noSession) PutPoster([]byte)                              {}
func (noSession) Close()                                        {}
