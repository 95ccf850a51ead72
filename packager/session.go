package packager

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"sync"
	"time"

	"nova/internal/media"
	"nova/internal/obs"
	"nova/internal/relay"
	"nova/packager/fmp4"
	"nova/packager/present"
	"nova/packager/timeline"
)

// audioName is the folder of the audio rendition, wherever the sound comes from.
const audioName = media.SharedAudio

// tickInterval is how often a session looks at the wall clock.
const tickInterval = 100 * time.Millisecond

// session packages one broadcast. All of its state belongs to the goroutine of run.
type session struct {
	// set by newSession
	p              *Packager
	info           relay.Info
	log            *slog.Logger
	badSample      *obs.Repeated
	prefix         string
	began          time.Time
	window         *window
	items          chan feedItem
	renditionsLive chan struct{}

	// owned by run
	timeline *timeline.Timeline
	// tracks are the announced tracks of each feed, by ID, with the newest configuration seen.
	tracks [feeds]map[int]media.Track
	// inputs are the renditions that tracks feed.
	inputs       map[input]*rendition
	renditions   []*rendition // in the order of their appearance
	cutsSeen     int
	newestPoster []byte
	// refusedBefore is what the log says of the source.
	refusedBefore bool
	// renditionsEnded is when the transcoder's stream ended; zero while it runs, and once that has had its
	// effect: at the end of a session it ends a moment before the source or after it, which changes nothing.
	renditionsEnded time.Time
	sink            present.SessionSink // nil before the first segment
	kept            []present.Rendition // what the sink was told last
	show            show
}

// input names a track of a feed.
type input struct {
	feed feed
	id   int
}

func newSession(p *Packager, info relay.Info) *session {
	log := p.log.With(obs.KeyStream, info.Stream, obs.KeySession, info.Session)
	if info.Start.IsZero() {
		info.Start = time.Now()
	}
	prefix := strings.ToLower(rand.Text()[:10])
	return &session{
		p: p, info: info, log: log, prefix: prefix, began: time.Now(),
		badSample:      obs.NewRepeated(log, slog.LevelWarn, "cannot write samples"),
		window:         newWindow(p.cfg, info, prefix),
		items:          make(chan feedItem, 64),
		renditionsLive: make(chan struct{}, 1),
		timeline:       timeline.New(p.cfg.timeline()),
		inputs:         map[input]*rendition{},
	}
}

// run packages the session until its source has ended and the renditions are drained, or ctx ends.
func (s *session) run(ctx context.Context) {
	feedCtx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Add(int(feeds))
	// Owns its reader of the ingest hub.
	// Ends when the source ends or feedCtx does.
	// Waited for by run.
	go s.runSource(feedCtx, &running)
	// Owns its readers of the transcode hub.
	// Ends when feedCtx does: the transcoder may come back at any time.
	// Waited for by run.
	go s.runRenditions(feedCtx, &running)

	s.log.Info("session started")
	s.loop(ctx)
	stop()
	running.Wait()
	s.finish()
	s.log.Info("session ended", "segments", max(len(s.timeline.Cuts())-1, 0))
}

// loop handles what the feeds send. Once the source has ended, the renditions have DrainTimeout to do so too.
func (s *session) loop(ctx context.Context) {
	tick := time.NewTicker(tickInterval)
	defer tick.Stop()
	var sourceEnded, renditionsOpen bool
	var drained <-chan time.Time
	for !sourceEnded || renditionsOpen {
		select {
		case it := <-s.items:
			switch {
			case it.feed == fromRenditions:
				renditionsOpen = !it.ended
			case it.ended:
				sourceEnded = true
				drained = time.After(s.p.cfg.DrainTimeout)
			}
			s.handle(it)
		case <-tick.C:
			s.tick()
		case <-drained:
			return
		case <-ctx.Done():
			return
		}
	}
}

// handle takes one step of a feed.
func (s *session) handle(it feedItem) {
	if it.item.Lost > 0 {
		s.p.metrics.dropped.WithLabelValues(dropRelay).Add(float64(it.item.Lost))
	}
	switch {
	case it.ended:
		if it.feed == fromRenditions {
			s.renditionsEnded = time.Now()
		}
	case it.item.Unit != nil:
		s.unit(it.feed, it.item.Unit)
	default:
		if it.feed == fromRenditions {
			s.renditionsEnded = time.Time{}
		}
		s.setTracks(it.feed, it.item.Tracks)
	}
}

// setTracks takes the complete track list of a feed.
func (s *session) setTracks(f feed, tracks []media.Track) {
	s.tracks[f] = make(map[int]media.Track, len(tracks))
	for _, t := range tracks {
		s.tracks[f][t.ID] = t
	}
	s.choose()
	s.advance()
}

// unit takes the next access unit of a track.
func (s *session) unit(f feed, u *media.AccessUnit) {
	t, ok := s.tracks[f][u.Track]
	if !ok {
		return
	}
	if t.Kind == media.Image {
		s.poster(u)
		return
	}
	if u.Config != nil && u.Config != t.Config {
		changed := !u.Config.Equal(t.Config)
		t.Config = u.Config
		s.tracks[f][u.Track] = t
		if changed {
			s.choose()
		}
	}
	if r := s.inputs[input{f, u.Track}]; r != nil && r.take(&t, u) {
		s.advance()
	}
}

// advance places everything that the timeline has decided about.
func (s *session) advance() {
	cuts := s.timeline.Cuts()
	for ; s.cutsSeen < len(cuts); s.cutsSeen++ {
		s.p.metrics.cuts.WithLabelValues(cutBy(cuts[s.cutsSeen].By)).Inc()
	}
	for _, r := range s.renditions {
		r.advance()
	}
}

// cutBy is the label of a cut.
func cutBy(role timeline.Role) string {
	switch role {
	case timeline.Source:
		return "source"
	case timeline.Rung:
		return "rung"
	case timeline.Audio:
		return "audio"
	default:
		return "forced"
	}
}

// tick does what depends on the wall clock.
func (s *session) tick() {
	now := time.Now()
	if !s.renditionsEnded.IsZero() && now.Sub(s.renditionsEnded) > s.p.cfg.TrackWait {
		s.renditionsEnded = time.Time{}
		s.setTracks(fromRenditions, nil)
	}
	if refused := s.timeline.Refused(); refused != s.refusedBefore {
		s.refusedBefore = refused
		s.log.Info("source passed through or not by the distance of its keyframes",
			"passed", !refused, "max_gop", s.p.cfg.MaxGOP)
	}
	for _, r := range s.renditions {
		r.closeSilent(now)
	}
	s.present(now)
}

// poster takes a new still picture.
func (s *session) poster(u *media.AccessUnit) {
	if len(u.Data) == 0 {
		return
	}
	s.window.setPoster(u.Data)
	s.newestPoster = u.Data
	if s.sink != nil {
		s.sink.PutPoster(u.Data)
	}
}

// joinedLate is how far into a session its first segment may lie for the recording to be the session's own. One
// that begins later goes on after a restart or an outage: it must not replace what was recorded before. A first
// segment of its own begins later only where even the sound had to wait for a picture, and has a longer name then.
const joinedLate = 10 * time.Second

// open begins the recording, with the first segment: a session without any leaves nothing.
func (s *session) open() {
	if s.sink != nil {
		return
	}
	id := s.info.Stream + "-" + s.info.Session
	if cuts := s.timeline.Cuts(); len(cuts) > 0 && span(cuts[0].PTS) > joinedLate {
		id += "-" + s.prefix
	}
	s.sink = s.p.sink.OpenSession(present.Session{
		VideoID: id, PlaybackID: s.info.Stream, Title: s.info.Title, Start: s.info.Start,
		TargetDuration: s.p.cfg.targetDuration(),
	})
	if s.newestPoster != nil {
		s.sink.PutPoster(s.newestPoster)
	}
}

// finish ends the session: the last segments are closed and nothing more will come.
func (s *session) finish() {
	end := int64(0)
	for _, r := range s.renditions {
		end = max(end, r.end)
	}
	s.timeline.Finish(end)
	s.cutsSeen = len(s.timeline.Cuts()) // the end is not a cut
	s.advance()
	for _, r := range s.renditions {
		r.finish()
	}
	s.present(time.Now().Add(time.Hour)) // no more waiting
	s.window.end()
	if s.sink != nil {
		s.keep(true)
		s.sink.Close()
	}
}

// passable tells whether players decode the video as it is: H.264 of 8 bits and 4:2:0.
func passable(cfg *media.CodecConfig) bool {
	if cfg == nil || cfg.Codec != media.H264 || len(cfg.SPS) == 0 || len(cfg.PPS) == 0 {
		return false
	}
	for _, sps := range cfg.SPS {
		if f, err := fmp4.ParseFormat(sps); err != nil || f.BitDepth != 8 || f.ChromaFormat > 1 {
			return false
		}
	}
	return true
}

// passableAudio tells whether the sound is passed on as it is: AAC-LC, mono or stereo.
func passableAudio(cfg *media.CodecConfig) bool {
	if cfg == nil || cfg.Codec != media.AAC {
		return false
	}
	o, err := fmp4.ParseAudioObject(cfg.AudioSpecificConfig)
	return err == nil && o.LC() && (o.ChannelConfig == 1 || o.ChannelConfig == 2)
}
