package hub

import (
	"fmt"
	"time"

	"nova/internal/relay"
)

// Config sets up a Hub.
type Config struct {
	CacheUnits int    `yaml:"cache_units" doc:"access units of the newest group of pictures that are kept for readers that join"`
	CacheBytes int    `yaml:"cache_bytes" doc:"bytes of the newest group of pictures that are kept for readers that join"`
	Health     Limits `yaml:"health" doc:"what counts as a healthy stream"`
}

// Limits are the thresholds of health warnings. A zero rate switches its warning off.
type Limits struct {
	MaxGOP       time.Duration `yaml:"max_gop" doc:"longest time between keyframes"`
	MaxDrift     time.Duration `yaml:"max_drift" doc:"most that sound and picture may drift apart in arrival"`
	MinBitrate   int           `yaml:"min_bitrate" doc:"bits a second, over ten seconds, below which a stream with a picture is too thin; 0 allows any"`
	MaxVariation float64       `yaml:"max_variation" doc:"standard deviation of the bit rate of single seconds over their mean, above which it is unstable; 0 allows any"`
	MinFPS       float64       `yaml:"min_fps" doc:"frames a second below which a picture stutters; 0 allows any"`
}

// DefaultConfig suits OBS, ffmpeg and hardware encoders at 0.3 to 25 Mb/s.
func DefaultConfig() Config {
	cache := relay.DefaultHubConfig("ingest")
	return Config{
		CacheUnits: cache.CacheUnits,
		CacheBytes: cache.CacheBytes,
		Health: Limits{
			MaxGOP:       4 * time.Second,
			MaxDrift:     200 * time.Millisecond,
			MinBitrate:   200_000,
			MaxVariation: 1,
			MinFPS:       12,
		},
	}
}

// Validate names the first field that cannot work.
func (c Config) Validate() error {
	if err := c.relay().Validate(); err != nil {
		return err
	}
	l := c.Health
	switch {
	case l.MaxGOP <= 0:
		return fmt.Errorf("health.max_gop: %v, must be positive", l.MaxGOP)
	case l.MaxDrift <= 0:
		return fmt.Errorf("health.max_drift: %v, must be positive", l.MaxDrift)
	case l.MinBitrate < 0:
		return fmt.Errorf("health.min_bitrate: %d, must not be negative", l.MinBitrate)
	case !(l.MaxVariation >= 0): // not a number, too
		return fmt.Errorf("health.max_variation: %g, must not be negative", l.MaxVariation)
	case !(l.MinFPS >= 0):
		return fmt.Errorf("health.min_fps: %g, must not be negative", l.MinFPS)
	}
	return nil
}

func (c Config) relay() relay.HubConfig {
	return relay.HubConfig{Name: "ingest", CacheUnits: c.CacheUnits, CacheBytes: c.CacheBytes}
}
