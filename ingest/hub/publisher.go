package hub

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"nova/internal/media"
	"nova/internal/obs"
	"nova/internal/relay"
)

// Publisher is the publisher's end of one publication. Safe for concurrent use, though the samples of a track have
// to come from one goroutine to stay in order.
type Publisher struct {
	// set by Hub.Publish
	hub     *Hub
	pub     Publication
	session string
	log     *slog.Logger
	done    chan struct{}

	mu struct {
		sync.Mutex
		ended bool
		norm  *normaliser
		stats *stats
		// stream is nil until the first unit has come through.
		stream *relay.Stream
		tracks []media.Track
		// heard is when the last sample came, or the publication began.
		heard    time.Time
		warnings standing
	}
}

func newPublisher(h *Hub, pub Publication, session string) *Publisher {
	p := &Publisher{
		hub:     h,
		pub:     pub,
		session: session,
		log:     h.log.With(obs.KeyStream, pub.Stream, obs.KeySession, session),
		done:    make(chan struct{}),
	}
	p.mu.norm = newNormaliser(pub)
	p.mu.heard = time.Now()
	p.mu.stats = newStats(p.mu.heard)
	p.mu.warnings = make(standing)
	return p
}

// Session is the random word that tells this publication from the stream's others.
func (p *Publisher) Session() string { return p.session }

// Done is closed when the publication is over, by Close or by the hub.
func (p *Publisher) Done() <-chan struct{} { return p.done }

// SetTracks announces the complete list of tracks from here on. The caller chooses the IDs, and keeps them. A track
// without a timescale or of an unknown kind is left out. Nobody may change the list afterwards.
func (p *Publisher) SetTracks(tracks []media.Track) {
	p.mu.Lock()
	defer p.mu.Unlock()
	usable := make([]media.Track, 0, len(tracks))
	for _, t := range tracks {
		if t.Timescale <= 0 || t.Kind < media.Video || t.Kind > media.Image {
			p.log.Warn("track cannot be used", obs.KeyTrack, t.Name, "kind", t.Kind, "timescale", t.Timescale)
			continue
		}
		usable = append(usable, t)
	}
	p.setTracks(usable)
}

// setTracks hands the list on. p.mu is held.
func (p *Publisher) setTracks(tracks []media.Track) {
	p.mu.tracks = tracks
	p.mu.norm.setTracks(tracks)
	p.mu.stats.setTracks(tracks)
	if p.mu.stream != nil {
		p.mu.stream.SetTracks(tracks)
	}
}

// Write takes one sample in. A sample that cannot be used is dropped and counted; ErrEnded tells that
// the publication is over.
func (p *Publisher) Write(s Sample) error {
	if s.Arrived.IsZero() {
		s.Arrived = time.Now()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.ended {
		return ErrEnded
	}
	p.hub.metrics.bytes.WithLabelValues(p.pub.Protocol).Add(float64(len(s.Data)))
	p.mu.heard = time.Now()
	p.followRate(s)
	jumps := p.mu.norm.jumps
	u, why := p.mu.norm.unit(s)
	if p.mu.norm.jumps != jumps {
		p.hub.metrics.jumps.Inc()
		p.mu.stats.jump()
	}
	if why != kept {
		p.hub.metrics.dropped.WithLabelValues(string(why)).Inc()
		p.mu.stats.drop(why, s)
		return nil
	}
	kind := p.mu.stats.unit(u)
	p.hub.metrics.units.WithLabelValues(kind.String()).Inc()
	return p.forward(u)
}

// followRate announces the tracks again when the sound changes its sample rate, which is its timescale.
func (p *Publisher) followRate(s Sample) {
	if s.Config == nil || s.Config.SampleRate <= 0 {
		return
	}
	i := slices.IndexFunc(p.mu.tracks, func(t media.Track) bool { return t.ID == s.Track })
	if i < 0 || p.mu.tracks[i].Kind != media.Audio || p.mu.tracks[i].Timescale == s.Config.SampleRate {
		return
	}
	tracks := slices.Clone(p.mu.tracks)
	tracks[i].Timescale, tracks[i].Config = s.Config.SampleRate, s.Config
	p.setTracks(tracks)
}

// forward hands a unit on; the first one makes the stream live. p.mu is held.
func (p *Publisher) forward(u *media.AccessUnit) error {
	if p.mu.stream == nil {
		stream, err := p.hub.relay.Open(relay.Info{
			Stream:  p.pub.Stream,
			Session: p.session,
			Title:   p.pub.Title,
			Start:   u.Arrived.Add(-p.mu.stats.time(u.Track, u.PTS)),
		})
		if err != nil {
			return err
		}
		p.mu.stream = stream
		stream.SetTracks(p.mu.tracks)
	}
	p.mu.stream.Write(u)
	return nil
}

// Close ends the publication: readers get what is queued, then io.EOF. A nil reason means that the publisher left
// as it should. Idempotent.
func (p *Publisher) Close(reason error) { p.end(reason) }

// end tells whether this call ended the publication.
func (p *Publisher) end(reason error) bool {
	p.mu.Lock()
	if p.mu.ended {
		p.mu.Unlock()
		return false
	}
	p.mu.ended = true
	if p.mu.stream != nil {
		p.mu.stream.Close()
	}
	p.mu.Unlock()
	p.hub.remove(p)
	close(p.done)
	text := "publisher left"
	if reason != nil {
		text = reason.Error()
	}
	s := p.Snapshot()
	p.log.Info("publication ended", obs.KeyReason, text, "uptime_seconds", s.UptimeSeconds, "bytes", s.Bytes,
		"discontinuities", s.Discontinuities)
	return true
}

// Snapshot is how the publication stands now.
func (p *Publisher) Snapshot() StreamStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.snapshot(time.Now())
	s.Warnings = p.mu.warnings.with(check(s, p.hub.cfg.Health))
	return s
}

// snapshot leaves the warnings out. p.mu is held.
func (p *Publisher) snapshot(now time.Time) StreamStats {
	s := p.mu.stats.snapshot(now)
	s.Stream, s.Session, s.Title = p.pub.Stream, p.session, p.pub.Title
	s.Protocol, s.Remote = p.pub.Protocol, p.pub.Remote
	return s
}

// checkHealth logs the warnings that came and went since the last call, and returns those in force.
func (p *Publisher) checkHealth(now time.Time) []Warning {
	came, over, warnings := p.updateHealth(now)
	for _, w := range came {
		level := slog.LevelWarn
		if w.Level == LevelInfo {
			level = slog.LevelInfo
		}
		p.log.Log(context.Background(), level, "health warning", "code", w.Code, "text", w.Text)
	}
	for _, w := range over {
		p.log.Info("health warning is over", "code", w.Code)
	}
	return warnings
}

func (p *Publisher) updateHealth(now time.Time) (came, over, inForce []Warning) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.ended {
		return nil, nil, nil
	}
	found := check(p.snapshot(now), p.hub.cfg.Health)
	came, over = p.mu.warnings.update(found, now)
	return came, over, p.mu.warnings.with(found)
}

// silence is how long nothing has come.
func (p *Publisher) silence() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.mu.heard)
}
