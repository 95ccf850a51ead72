// Package transcode makes renditions of every live stream. Each stream is transcoded by a child process of its
// own, so that a crash in libav costs one stream a moment and no other stream anything.
//
//	source hub ──Watch──▶ [Supervisor] ──one per live session──▶ [stream] ──▶ [attempt: one child] ──▶ renditions hub
//
// A stream's child is fed from a replay that reaches back to the keyframe before the last published picture, and
// its output goes out when all rungs have come as far. A child that dies is replaced, and its successor goes on
// with the very next picture: players see nothing but, at times, a moment's delay. A rung that was given up comes back
// in the same way, after a time of health.
//
// Stage: 3/6 · In: *media.AccessUnit · Out: *media.AccessUnit
package transcode

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"nova/internal/obs"
	"nova/internal/relay"
	"nova/transcode/av"
	"nova/transcode/job"
	"nova/transcode/ladder"
)

// WorkerCommand is the argument that makes this program a worker.
const WorkerCommand = "transcode-worker"

// Supervisor runs a worker for each live stream.
type Supervisor struct {
	// set by New
	cfg       Config
	source    relay.Source
	hub       *relay.Hub
	log       *slog.Logger
	metrics   *metrics
	admission *admission
	spawner   *spawner
	command   []string
	level     slog.Level

	// owned by Run: the last session of each stream that is not done yet
	sessions map[string]*session
}

// session is a stream that is being transcoded.
type session struct {
	info relay.Info
	done chan struct{}
}

// New checks cfg, and that the encoder is there, and allocates. source is where live streams come from: ingest's
// hub. A nil reg means a registry of its own.
func New(cfg Config, source relay.Source, log *slog.Logger, reg prometheus.Registerer) (*Supervisor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("cannot set up transcoding: %w", err)
	}
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	if err := tryEncoder(cfg); err != nil {
		return nil, fmt.Errorf("cannot set up transcoding: %w", err)
	}
	s := &Supervisor{
		cfg: cfg, source: source, log: log.With(obs.KeyComp, "transcode"), admission: newAdmission(cfg),
		spawner: newSpawner(), command: cfg.Command, sessions: map[string]*session{}, level: level(log),
	}
	if len(s.command) == 0 {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("cannot set up transcoding: cannot find this program: %w", err)
		}
		s.command = []string{self, WorkerCommand}
	}
	var err error
	if s.metrics, err = newMetrics(reg, s.admission); err != nil {
		return nil, fmt.Errorf("cannot set up transcoding: %w", err)
	}
	if s.hub, err = relay.NewHub(relay.DefaultHubConfig("transcode"), log, reg); err != nil {
		return nil, fmt.Errorf("cannot set up transcoding: %w", err)
	}
	return s, nil
}

// tryEncoder refuses a GPU encoder that is not there: at the start, not when the first stream comes.
func tryEncoder(cfg Config) error {
	if cfg.Encoder == encoderX264 {
		return nil
	}
	gpu, err := av.OpenGPU(cfg.GPU)
	if err != nil {
		return fmt.Errorf("encoder: %s was asked for, and nothing else is taken instead: %w", cfg.Encoder, err)
	}
	gpu.Close()
	return nil
}

// level is the level that log is enabled for; workers log at the same.
func level(log *slog.Logger) slog.Level {
	for _, l := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn} {
		if log.Enabled(context.Background(), l) {
			return l
		}
	}
	return slog.LevelError
}

// Source is where the renditions are: under the stream's id and session, tracks named after their rungs,
// media.SharedAudio where the source's sound cannot be passed, and media.Poster.
func (s *Supervisor) Source() relay.Source { return s.hub }

// Run transcodes until ctx ends. Then it closes the workers' inputs, and waits up to the drain timeout for what
// they still give.
func (s *Supervisor) Run(ctx context.Context) error {
	var group sync.WaitGroup
	spawning, stopSpawner := context.WithCancel(context.WithoutCancel(ctx))
	spawned := make(chan struct{})
	// Owns: the thread that is the parent of all workers.
	// Ends when: all workers have ended. Waited for by: Run.
	go s.spawner.runSpawner(spawning, spawned)
	defer func() { group.Wait(); stopSpawner(); <-spawned }()

	for event := range s.source.Watch(ctx) {
		if event.Live {
			s.begin(ctx, &group, event.Info)
		}
	}
	return nil
}

// begin starts a session's stream. Its end is seen by the stream itself, from its source.
func (s *Supervisor) begin(ctx context.Context, group *sync.WaitGroup, info relay.Info) {
	before := s.sessions[info.Stream]
	if before != nil && before.info.Session == info.Session && !before.over() {
		return
	}
	now := &session{info: info, done: make(chan struct{})}
	s.sessions[info.Stream] = now
	s.forget()
	// Owns: the session's stream. Ends when: the session or ctx ends. Waited for by: Run.
	group.Go(func() { s.runSession(ctx, before, now) })
}

func (s *Supervisor) runSession(ctx context.Context, before, now *session) {
	defer close(now.done)
	if before != nil {
		<-before.done // it drains, and holds the stream's place in the hub
	}
	s.metrics.streams.Inc()
	defer s.metrics.streams.Dec()
	newStream(s, now.info).run(ctx)
}

func (s *session) over() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// forget drops sessions that are done.
func (s *Supervisor) forget() {
	for id, session := range s.sessions {
		if session.over() {
			delete(s.sessions, id)
		}
	}
}

// spec is a worker's job without the ladder.
func (s *Supervisor) spec(stream string, src ladder.Source) job.Spec {
	return job.Spec{
		Stream: stream, LogLevel: s.level,
		Encoder: s.cfg.Encoder, Preset: s.cfg.preset(), GPU: s.cfg.GPU,
		Threads: s.cfg.Threads, DecodeThreads: s.cfg.DecodeThreads,
		KeyframeInterval: s.cfg.KeyframeInterval, PosterInterval: s.cfg.PosterInterval,
		AudioBitrate: s.cfg.AudioBitrate, Source: src, Ladder: s.cfg.ladder(),
	}
}
