package hub

import (
	"slices"
	"testing"
	"time"
)

// healthy is a snapshot that nothing is wrong with.
func healthy() StreamStats {
	return StreamStats{
		UptimeSeconds: 60,
		Bitrate10s:    4_000_000,
		Video:         &VideoStats{FPS: 30, GOPLastSeconds: 2, GOPMaxSeconds: 2, GOPOpenSeconds: 1},
		Audio:         &AudioStats{},
	}
}

func TestHealthRules(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*StreamStats)
		want   []Code
	}{
		{"healthy", func(*StreamStats) {}, nil},
		{"at the limits", func(s *StreamStats) {
			s.Video.GOPLastSeconds, s.AVDriftMS, s.Bitrate10s, s.Video.FPS = 4, -200, 200_000, 12
		}, nil},
		{"long GOP", func(s *StreamStats) { s.Video.GOPLastSeconds = 4.1 }, []Code{GOPTooLong}},
		{"GOP without an end", func(s *StreamStats) { s.Video.GOPOpenSeconds = 30 }, []Code{GOPTooLong}},
		{"long GOP in the past", func(s *StreamStats) { s.Video.GOPMaxSeconds = 10 }, nil},
		{"B-frames", func(s *StreamStats) { s.Video.BFrames = true }, []Code{BFrames}},
		{"HDR", func(s *StreamStats) { s.Video.HDR = true }, []Code{HDR}},
		{"thin", func(s *StreamStats) { s.Bitrate10s = 150_000 }, []Code{LowBitrate}},
		{"thin at the start", func(s *StreamStats) { s.Bitrate10s, s.Video.FPS, s.UptimeSeconds = 0, 0, 9 }, nil},
		{"thin sound alone", func(s *StreamStats) { s.Bitrate10s, s.Video = 64_000, nil }, []Code{NoVideo}},
		{"bursts", func(s *StreamStats) { s.BitrateVariation = 1.5 }, []Code{UnstableBitrate}},
		{"stutter", func(s *StreamStats) { s.Video.FPS = 5 }, []Code{LowFPS}},
		{"drift ahead", func(s *StreamStats) { s.AVDriftMS = 201 }, []Code{AVDrift}},
		{"drift behind", func(s *StreamStats) { s.AVDriftMS = -500 }, []Code{AVDrift}},
		{"drops", func(s *StreamStats) { s.DroppedLately = toleratedDrops + 1 }, []Code{Drops}},
		{"a few drops", func(s *StreamStats) { s.DroppedLately = toleratedDrops }, nil},
		{"no sound", func(s *StreamStats) { s.Audio = nil }, []Code{NoAudio}},
		{"sound died", func(s *StreamStats) { s.Audio.SilentSeconds = 5 }, []Code{NoAudio}},
		{"picture died", func(s *StreamStats) { s.Video.SilentSeconds, s.Video.FPS, s.Bitrate10s = 6, 0, 90_000 }, []Code{NoVideo}},
		{"nothing yet", func(s *StreamStats) { s.UptimeSeconds, s.Video, s.Audio = 4, nil, nil }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := healthy()
			c.change(&s)
			var got []Code
			for _, w := range check(s, DefaultConfig().Health) {
				got = append(got, w.Code)
				if w.Text == "" || (w.Level != LevelInfo && w.Level != LevelWarning) || !slices.Contains(codes, w.Code) {
					t.Errorf("warning %+v", w)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("warnings %v, want %v", got, c.want)
			}
		})
	}
}

func TestZeroLimitsAllowAnything(t *testing.T) {
	s := healthy()
	s.Bitrate10s, s.BitrateVariation, s.Video.FPS = 1, 9, 0.1
	if got := check(s, Limits{MaxGOP: time.Minute, MaxDrift: time.Second}); len(got) != 0 {
		t.Errorf("warnings %+v", got)
	}
}
