package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"nova/internal/obs"
)

// ErrBusy tells that a session of the stream is live already.
var ErrBusy = errors.New("stream is live already")

// MaxUnit bounds the payload of one access unit, so that it fits into a message of MaxMessage with room to spare.
const MaxUnit = MaxMessage - 64<<10

// HubConfig sets up a Hub.
type HubConfig struct {
	// Name is the hub's label in metrics: "ingest", "transcode".
	Name string `yaml:"-"`
	// CacheUnits and CacheBytes bound what is kept for readers that join. A group of pictures that outgrows
	// them is forgotten, and a reader that joins then waits for the next keyframe.
	CacheUnits int `yaml:"cache_units" doc:"access units of the newest group of pictures that are kept for readers that join"`
	CacheBytes int `yaml:"cache_bytes" doc:"bytes of the newest group of pictures that are kept for readers that join"`
}

// DefaultHubConfig keeps half of what a reader's ring holds by default, so that a reader that joins has the other
// half to catch up in.
func DefaultHubConfig(name string) HubConfig {
	return HubConfig{Name: name, CacheUnits: DefaultMaxUnits / 2, CacheBytes: DefaultMaxBytes / 2}
}

// Validate names the first field that cannot work.
func (c HubConfig) Validate() error {
	switch {
	case c.Name == "":
		return errors.New("name: must not be empty")
	case c.CacheUnits < 1:
		return fmt.Errorf("cache_units: %d, must be at least 1", c.CacheUnits)
	case c.CacheBytes < 1:
		return fmt.Errorf("cache_bytes: %d, must be at least 1", c.CacheBytes)
	}
	return nil
}

// Hub holds the live streams of one stage. It runs nothing by itself: publishers move the units, readers fetch
// them. Safe for concurrent use.
//
// Locks, in this order and never two of one kind: Stream.mu, then hubReader.mu. Hub.mu is never held with another.
type Hub struct {
	// set by NewHub
	cfg     HubConfig
	log     *slog.Logger
	metrics *metrics

	mu struct {
		sync.Mutex
		streams map[string]*Stream
		// changed is closed, and replaced, when streams changes.
		changed chan struct{}
	}
}

// NewHub makes a hub without streams. A nil reg means a registry of its own.
func NewHub(cfg HubConfig, log *slog.Logger, reg prometheus.Registerer) (*Hub, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("cannot make a hub: %w", err)
	}
	h := &Hub{cfg: cfg, log: log.With(obs.KeyComp, "relay", "hub", cfg.Name)}
	h.mu.streams = make(map[string]*Stream)
	h.mu.changed = make(chan struct{})
	var err error
	if h.metrics, err = newMetrics(h, reg); err != nil {
		return nil, fmt.Errorf("cannot make hub %q: %w", cfg.Name, err)
	}
	return h, nil
}

// Open begins a session. It fails with ErrBusy while another session of the stream is live.
func (h *Hub) Open(info Info) (*Stream, error) {
	if info.Stream == "" || info.Session == "" {
		return nil, errors.New("cannot open a stream without a name or a session")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.mu.streams[info.Stream]; ok {
		return nil, fmt.Errorf("cannot open stream %q: %w", info.Stream, ErrBusy)
	}
	s := newStream(h, info)
	h.mu.streams[info.Stream] = s
	h.announce()
	return s, nil
}

// Subscribe implements Source. ctx is not used beyond the call.
func (h *Hub) Subscribe(ctx context.Context, stream string, opts Options) (Reader, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	h.mu.Lock()
	s := h.mu.streams[stream]
	h.mu.Unlock()
	if s != nil {
		if r := s.join(opts); r != nil {
			return r, nil
		}
	}
	return nil, fmt.Errorf("cannot subscribe to stream %q: %w", stream, ErrNotFound)
}

// Streams are the sessions that are live, in no order.
func (h *Hub) Streams() []Info {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]Info, 0, len(h.mu.streams))
	for _, s := range h.mu.streams {
		list = append(list, s.info)
	}
	return list
}

func (h *Hub) remove(s *Stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mu.streams[s.info.Stream] == s {
		delete(h.mu.streams, s.info.Stream)
		h.announce()
	}
}

// announce wakes the watchers. h.mu is held.
func (h *Hub) announce() {
	close(h.mu.changed)
	h.mu.changed = make(chan struct{})
}
