package packager

import (
	"fmt"
	"time"

	"nova/internal/media"
	"nova/packager/timeline"
)

// Config says how live streams are cut and how much of them stays in memory.
type Config struct {
	SegmentTarget    time.Duration `yaml:"segment_target" doc:"a segment ends at the first keyframe after this time"`
	SegmentMax       time.Duration `yaml:"segment_max" doc:"the longest segment; rounded up to whole seconds it is every playlist's EXT-X-TARGETDURATION"`
	PartTarget       time.Duration `yaml:"part_target" doc:"the longest partial segment"`
	LiveWindow       int           `yaml:"live_window" doc:"segments in a live playlist; more where they are shorter than three target durations together"`
	MaxGOP           time.Duration `yaml:"max_gop" doc:"the source is passed through as the top rendition only while its keyframes are no further apart"`
	KeyframeInterval time.Duration `yaml:"keyframe_interval" doc:"the largest distance of keyframes in transcoded renditions, as the transcoder is set"`
	TrackWait        time.Duration `yaml:"track_wait" doc:"how long one track of a stream waits for another before it goes on alone"`
	RungWait         time.Duration `yaml:"rung_wait" doc:"a rendition that is silent for so long has gaps"`
	StartWait        time.Duration `yaml:"start_wait" doc:"how long sound waits at the start for video that was announced"`
	ShowWait         time.Duration `yaml:"show_wait" doc:"how long the first playlist waits for further renditions once one can be played; until 2.8 s after the start in any case"`
	DrainTimeout     time.Duration `yaml:"drain_timeout" doc:"how long the renditions may take to end after the source has ended"`
	EndLinger        time.Duration `yaml:"end_linger" doc:"how long the playlists of an ended stream stay readable"`
	MaxHeldBytes     int           `yaml:"max_held_bytes" doc:"bytes of one rendition that may wait for a decision about the next cut"`
}

// DefaultConfig is segments of 2 s in parts of half a second, six of them in a live playlist.
func DefaultConfig() Config {
	return Config{
		SegmentTarget:    2 * time.Second,
		SegmentMax:       4 * time.Second,
		PartTarget:       500 * time.Millisecond,
		LiveWindow:       6,
		MaxGOP:           4 * time.Second,
		KeyframeInterval: 2 * time.Second,
		TrackWait:        1500 * time.Millisecond,
		RungWait:         4 * time.Second,
		StartWait:        8 * time.Second,
		ShowWait:         500 * time.Millisecond,
		DrainTimeout:     10 * time.Second,
		EndLinger:        30 * time.Second,
		MaxHeldBytes:     48 << 20,
	}
}

// Validate names the first field that cannot work, and why.
func (c *Config) Validate() error {
	switch {
	case c.SegmentTarget < 500*time.Millisecond || c.SegmentTarget > 10*time.Second:
		return fmt.Errorf("segment_target: %v is not within 500ms to 10s", c.SegmentTarget)
	case c.SegmentMax < c.SegmentTarget || c.SegmentMax < time.Second || c.SegmentMax > 30*time.Second:
		return fmt.Errorf("segment_max: %v is not within segment_target (and 1s) to 30s", c.SegmentMax)
	case c.PartTarget < 100*time.Millisecond || c.PartTarget > c.SegmentTarget:
		return fmt.Errorf("part_target: %v is not within 100ms to segment_target", c.PartTarget)
	case c.LiveWindow < 3 || c.LiveWindow > 1000:
		return fmt.Errorf("live_window: %d is not within 3 to 1000", c.LiveWindow)
	case c.MaxGOP <= 0 || c.MaxGOP > c.SegmentMax:
		return fmt.Errorf("max_gop: %v is not within 0 to segment_max", c.MaxGOP)
	case c.KeyframeInterval <= 0 || c.KeyframeInterval > c.SegmentMax:
		return fmt.Errorf("keyframe_interval: %v is not within 0 to segment_max", c.KeyframeInterval)
	case c.MaxHeldBytes < 1<<20:
		return fmt.Errorf("max_held_bytes: %d is below 1 MiB", c.MaxHeldBytes)
	}
	for name, d := range map[string]time.Duration{
		"track_wait": c.TrackWait, "rung_wait": c.RungWait, "start_wait": c.StartWait,
		"drain_timeout": c.DrainTimeout, "end_linger": c.EndLinger,
	} {
		if d <= 0 {
			return fmt.Errorf("%s: %v is not positive", name, d)
		}
	}
	if c.ShowWait < 0 {
		return fmt.Errorf("show_wait: %v is negative", c.ShowWait)
	}
	return nil
}

// timeline is the part of the configuration that rules the cuts.
func (c *Config) timeline() timeline.Config {
	return timeline.Config{
		Target: ticks(c.SegmentTarget), Max: ticks(c.SegmentMax), MaxGOP: ticks(c.MaxGOP),
		KeyframeInterval: ticks(c.KeyframeInterval),
		Wait:             ticks(c.TrackWait), RungWait: ticks(c.RungWait), StartWait: ticks(c.StartWait),
	}
}

// targetDuration is the EXT-X-TARGETDURATION.
func (c *Config) targetDuration() time.Duration {
	return (c.SegmentMax + time.Second - 1).Truncate(time.Second)
}

// ticks is d on the timeline's clock.
func ticks(d time.Duration) int64 { return media.Ticks(d, timeline.Clock) }

// span is v ticks of the timeline's clock.
func span(v int64) time.Duration { return media.Duration(v, timeline.Clock) }
