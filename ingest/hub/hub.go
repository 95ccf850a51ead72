// Package hub is what every ingest protocol publishes into: it puts the publisher's timestamps on one clean
// timeline, watches over the stream's health, and offers the result to the later stages.
//
//	rtmp, whip, rtsp ──Sample──▶ [Publisher: normaliser, stats] ──▶ relay.Hub ──▶ transcode, packager
//	                                       ▲ once a second
//	                              [Hub.Run: health]
//
// A publisher's goroutine does the work of its stream in Write and never waits for readers. A stream goes live with
// its first unit, so that Info.Start is the wall clock at PTS 0.
//
// Stage: 2/6 · In: Sample · Out: *media.AccessUnit
package hub

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nova/internal/obs"
	"nova/internal/relay"
)

// ErrBusy tells that somebody publishes the stream already.
var ErrBusy = relay.ErrBusy

// ErrEnded tells that the publication is over: the hub stopped it or the publisher closed it.
var ErrEnded = errors.New("publication has ended")

// healthInterval is how often Run looks at each stream.
const healthInterval = time.Second

// patience is how long a publication may be silent before it gives way to a new one of its stream. An encoder whose
// connection broke is back long before the old one is known to be dead.
const patience = 2 * time.Second

// Hub holds the publications of one ingest service. Safe for concurrent use.
//
// Locks, in this order: Publisher.mu, then those of relay. Hub.mu is never held with another.
type Hub struct {
	// set by New
	cfg     Config
	log     *slog.Logger
	relay   *relay.Hub
	metrics *metrics

	mu struct {
		sync.Mutex
		publishers map[string]*Publisher // by stream
	}
}

// New makes a hub without publications. A nil reg means a registry of its own.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Hub, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("cannot make the ingest hub: %w", err)
	}
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	out, err := relay.NewHub(cfg.relay(), log, reg)
	if err != nil {
		return nil, fmt.Errorf("cannot make the ingest hub: %w", err)
	}
	h := &Hub{cfg: cfg, log: log.With(obs.KeyComp, "ingest.hub"), relay: out}
	h.mu.publishers = make(map[string]*Publisher)
	if h.metrics, err = newMetrics(reg); err != nil {
		return nil, fmt.Errorf("cannot make the ingest hub: %w", err)
	}
	return h, nil
}

// Source offers the live streams to the later stages: a relay.Source, which relay.NewServer takes as well.
func (h *Hub) Source() *relay.Hub { return h.relay }

// Run watches over the health of the streams until ctx ends.
func (h *Hub) Run(ctx context.Context) error {
	tick := time.NewTicker(healthInterval)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			h.checkHealth(now)
		case <-ctx.Done():
			return nil
		}
	}
}

// checkHealth has each stream report what changed, and counts the warnings in force.
func (h *Hub) checkHealth(now time.Time) {
	count := make(map[Code]int)
	for _, p := range h.publishers() {
		for _, w := range p.checkHealth(now) {
			count[w.Code]++
		}
	}
	for _, code := range codes {
		h.metrics.warnings.WithLabelValues(string(code)).Set(float64(count[code]))
	}
}

// Publish begins a publication. It fails with ErrBusy while the stream has one that is not silent.
func (h *Hub) Publish(pub Publication) (*Publisher, error) {
	if err := pub.validate(); err != nil {
		return nil, fmt.Errorf("cannot publish: %w", err)
	}
	h.endSilent(pub.Stream)
	p := newPublisher(h, pub, newSession())
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.mu.publishers[pub.Stream]; ok {
		return nil, fmt.Errorf("cannot publish stream %q: %w", pub.Stream, ErrBusy)
	}
	h.mu.publishers[pub.Stream] = p
	h.metrics.publications.WithLabelValues(pub.Protocol).Inc()
	p.log.Info("publication began", "protocol", pub.Protocol, obs.KeyRemote, pub.Remote)
	return p, nil
}

// endSilent makes room for a new publication of the stream, where the present one has gone silent.
func (h *Hub) endSilent(stream string) {
	if p := h.publisher(stream); p != nil && p.silence() >= patience {
		p.end(errors.New("went silent, and another publisher came"))
	}
}

// newSession is a random word that fits into URLs: 80 bits.
func newSession() string { return strings.ToLower(rand.Text()[:16]) }

// Stop ends the publication of a stream: its readers get what is queued, its publisher sees Done closed and
// ErrEnded. It tells whether there was one.
func (h *Hub) Stop(stream string) bool {
	p := h.publisher(stream)
	return p != nil && p.end(errors.New("stopped by the hub"))
}

// publisher is the publication of a stream; nil where there is none.
func (h *Hub) publisher(stream string) *Publisher {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mu.publishers[stream]
}

// Streams are the statistics of all publications, ordered by stream.
func (h *Hub) Streams() []StreamStats {
	list := make([]StreamStats, 0, 16)
	for _, p := range h.publishers() {
		list = append(list, p.Snapshot())
	}
	slices.SortFunc(list, func(a, b StreamStats) int { return cmp.Compare(a.Stream, b.Stream) })
	return list
}

func (h *Hub) publishers() []*Publisher {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]*Publisher, 0, len(h.mu.publishers))
	for _, p := range h.mu.publishers {
		list = append(list, p)
	}
	return list
}

func (h *Hub) remove(p *Publisher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mu.publishers[p.pub.Stream] == p {
		delete(h.mu.publishers, p.pub.Stream)
		h.metrics.publications.WithLabelValues(p.pub.Protocol).Dec()
	}
}
