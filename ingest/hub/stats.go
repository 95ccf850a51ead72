package hub

import (
	"time"

	"nova/internal/media"
)

// StreamStats is how a publication stands.
type StreamStats struct {
	Stream   string `json:"stream"`
	Session  string `json:"session"`
	Title    string `json:"title,omitempty"`
	Protocol string `json:"protocol"`
	Remote   string `json:"remote"`

	Since         time.Time `json:"since"`
	UptimeSeconds float64   `json:"uptime_seconds"`
	// Bytes are all payload bytes that went on to the later stages.
	Bytes int64 `json:"bytes"`
	// Bitrate1s and Bitrate10s are bits a second over the last one and ten seconds.
	Bitrate1s  float64 `json:"bitrate_1s"`
	Bitrate10s float64 `json:"bitrate_10s"`
	// BitrateVariation is the standard deviation of single seconds over their mean.
	BitrateVariation float64 `json:"bitrate_variation"`

	// Video and Audio are nil where the publisher has announced no such track.
	Video *VideoStats `json:"video,omitempty"`
	Audio *AudioStats `json:"audio,omitempty"`

	// AVDriftMS is how far the sound has moved ahead of the picture since the start or the last jump, as they
	// arrive; 0 where there is only one of them.
	AVDriftMS float64 `json:"av_drift_ms"`
	// Discontinuities counts jumps of the publisher's clock.
	Discontinuities int `json:"discontinuities"`
	// Dropped counts units that could not be used, by reason.
	Dropped map[string]int64 `json:"dropped"`
	// DroppedLately counts those of the last ten seconds, without the ones before the first keyframe.
	DroppedLately int64 `json:"dropped_lately"`
	// Warnings are those that were found within the last minute.
	Warnings []Warning `json:"warnings"`
}

// VideoStats describe the picture.
type VideoStats struct {
	Codec  media.Codec `json:"codec"`
	Width  int         `json:"width"`
	Height int         `json:"height"`
	HDR    bool        `json:"hdr"`
	// FPS is measured over five seconds, FPSDeclared is what the parameter sets state, 0 where nothing.
	FPS         float64 `json:"fps"`
	FPSDeclared float64 `json:"fps_declared"`
	// BFrames tells that pictures came out of presentation order.
	BFrames bool `json:"b_frames"`
	// GOPLastSeconds and GOPMaxSeconds are the time between keyframes, GOPOpenSeconds the time since the last one.
	GOPLastSeconds float64 `json:"gop_last_seconds"`
	GOPMaxSeconds  float64 `json:"gop_max_seconds"`
	GOPOpenSeconds float64 `json:"gop_open_seconds"`
	// WallDriftMS is how far the picture's clock has moved ahead of the wall clock.
	WallDriftMS float64 `json:"wall_drift_ms"`
	// SilentSeconds is the time since the last unit, or since the start.
	SilentSeconds float64 `json:"silent_seconds"`
}

// AudioStats describe the sound.
type AudioStats struct {
	Codec         media.Codec `json:"codec"`
	SampleRate    int         `json:"sample_rate"`
	Channels      int         `json:"channels"`
	WallDriftMS   float64     `json:"wall_drift_ms"`
	SilentSeconds float64     `json:"silent_seconds"`
}

// fpsSpan is what the frame rate is measured over.
const fpsSpan = 5 * time.Second

// stats count one publication. Guarded by Publisher.mu.
type stats struct {
	since    time.Time
	bytes    int64
	bitrate  window
	dropped  map[reason]int64
	recently window // drops
	jumps    int

	tracks       map[int]media.Track
	video, audio *trackStats
	gop          gopStats
	frames       window
}

// trackStats count one kind of track.
type trackStats struct {
	config *media.CodecConfig
	last   time.Time
	drift  drift
}

// gopStats follow the picture's structure on the timeline.
type gopStats struct {
	began         bool
	key           time.Duration // time of the last keyframe
	newest        time.Duration // newest presentation time
	last, longest time.Duration
	reordered     bool
}

func newStats(now time.Time) *stats {
	return &stats{
		since:    now,
		bitrate:  newWindow(now),
		recently: newWindow(now),
		frames:   newWindow(now),
		dropped:  make(map[reason]int64),
		tracks:   make(map[int]media.Track),
	}
}

func (s *stats) setTracks(tracks []media.Track) {
	clear(s.tracks)
	video, audio := s.video, s.audio
	s.video, s.audio = nil, nil
	for _, t := range tracks {
		s.tracks[t.ID] = t
		switch t.Kind {
		case media.Video:
			s.video = orNew(video, t.Config, s.since)
		case media.Audio:
			s.audio = orNew(audio, t.Config, s.since)
		case media.Image:
		}
	}
}

func orNew(t *trackStats, config *media.CodecConfig, since time.Time) *trackStats {
	if t == nil {
		t = &trackStats{config: config, last: since}
	}
	return t
}

// time is v ticks of a track as a duration.
func (s *stats) time(track int, v int64) time.Duration {
	return media.Duration(v, s.tracks[track].Timescale)
}

// unit counts a unit of an announced track, and tells its kind.
func (s *stats) unit(u *media.AccessUnit) media.Kind {
	s.bytes += int64(len(u.Data))
	s.bitrate.add(u.Arrived, int64(len(u.Data)))
	kind := s.tracks[u.Track].Kind
	t := s.audio
	switch kind {
	case media.Video:
		t = s.video
		s.frames.add(u.Arrived, 1)
		s.gop.add(u.Key, s.time(u.Track, u.PTS))
	case media.Audio:
	case media.Image:
		return kind
	}
	t.config, t.last = u.Config, u.Arrived
	t.drift.add(s.time(u.Track, u.DTS), u.Arrived)
	return kind
}

func (g *gopStats) add(key bool, pts time.Duration) {
	if g.began && pts < g.newest {
		g.reordered = true
	}
	g.newest = max(g.newest, pts)
	if !key {
		return
	}
	if g.began {
		g.last = pts - g.key
		g.longest = max(g.longest, g.last)
	}
	g.began, g.key = true, pts
}

func (s *stats) drop(why reason, sample Sample) {
	s.dropped[why]++
	if why != beforeKeyframe && why != beforeStart { // how every stream may begin
		s.recently.add(sample.Arrived, 1)
	}
}

// jump has the drift measured anew: the timeline does not follow the publisher's clock across it.
func (s *stats) jump() {
	s.jumps++
	for _, t := range []*trackStats{s.video, s.audio} {
		if t != nil {
			t.drift = drift{}
		}
	}
}

func (s *stats) snapshot(now time.Time) StreamStats {
	out := StreamStats{
		Since:            s.since,
		UptimeSeconds:    now.Sub(s.since).Seconds(),
		Bytes:            s.bytes,
		Bitrate1s:        8 * s.bitrate.rate(now, time.Second),
		Bitrate10s:       8 * s.bitrate.rate(now, windowSpan),
		BitrateVariation: s.bitrate.variation(now),
		Discontinuities:  s.jumps,
		Dropped:          make(map[string]int64, len(s.dropped)),
		DroppedLately:    s.recently.total(now),
		Warnings:         []Warning{},
	}
	for why, n := range s.dropped {
		out.Dropped[string(why)] = n
	}
	if s.video != nil {
		out.Video = s.videoSnapshot(now)
	}
	if s.audio != nil {
		out.Audio = s.audioSnapshot(now)
	}
	if s.video != nil && s.audio != nil && s.video.drift.known() && s.audio.drift.known() {
		out.AVDriftMS = s.audio.drift.milliseconds() - s.video.drift.milliseconds()
	}
	return out
}

func (s *stats) videoSnapshot(now time.Time) *VideoStats {
	v := &VideoStats{
		FPS:            s.frames.rate(now, fpsSpan),
		BFrames:        s.gop.reordered,
		GOPLastSeconds: s.gop.last.Seconds(),
		GOPMaxSeconds:  s.gop.longest.Seconds(),
		GOPOpenSeconds: (s.gop.newest - s.gop.key).Seconds(),
		WallDriftMS:    s.video.drift.milliseconds(),
		SilentSeconds:  now.Sub(s.video.last).Seconds(),
	}
	if c := s.video.config; c != nil {
		v.Codec, v.Width, v.Height, v.HDR, v.FPSDeclared = c.Codec, c.Width, c.Height, c.HDR, c.FrameRate.Float()
	}
	return v
}

func (s *stats) audioSnapshot(now time.Time) *AudioStats {
	a := &AudioStats{
		WallDriftMS:   s.audio.drift.milliseconds(),
		SilentSeconds: now.Sub(s.audio.last).Seconds(),
	}
	if c := s.audio.config; c != nil {
		a.Codec, a.SampleRate, a.Channels = c.Codec, c.SampleRate, c.Channels
	}
	return a
}
