package transcode

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"nova/transcode/ladder"
)

// Config sets up transcoding.
type Config struct {
	Encoder       string `yaml:"encoder" doc:"libx264, h264_nvenc or hevc_nvenc; the GPU's encoders are never chosen by themselves"`
	Preset        string `yaml:"preset" doc:"the encoder's preset; empty: veryfast for libx264, p4 for NVENC"`
	GPU           int    `yaml:"gpu" doc:"index of the card that NVENC encodes on"`
	Sessions      int    `yaml:"sessions" doc:"most NVENC encoders at a time, one per rendition; 0: no limit"`
	Threads       int    `yaml:"threads" doc:"threads of each video encoder; 0: one for each core that the rendition costs"`
	DecodeThreads int    `yaml:"decode_threads" doc:"threads of each video decoder; 0: one for each core that decoding costs"`

	Cores      float64 `yaml:"cores" doc:"cores that all streams together may be declared to cost; 0: GOMAXPROCS times core_factor"`
	CoreFactor float64 `yaml:"core_factor" doc:"how far the machine's cores are filled where cores is 0"`
	MaxStreams int     `yaml:"max_streams" doc:"most streams to transcode at a time; 0: no limit"`

	Ladder           ladder.Config `yaml:"ladder"`
	AudioBitrate     int           `yaml:"audio_bitrate" doc:"bits a second of the shared sound, where the source's cannot be passed"`
	KeyframeInterval time.Duration `yaml:"keyframe_interval" doc:"longest time between keyframes of a rendition"`
	PosterInterval   time.Duration `yaml:"poster_interval" doc:"time between posters"`

	StallTimeout time.Duration `yaml:"stall_timeout" doc:"a worker that is fed and gives nothing for this long is killed"`
	DrainTimeout time.Duration `yaml:"drain_timeout" doc:"how long a worker may take to finish after its input ended"`
	Backoff      Backoff       `yaml:"backoff"`
	RestoreAfter time.Duration `yaml:"restore_after" doc:"a stream that lacks renditions gets one back after so long a time without lag and with room on the node; doubled each time that it has to be given up again, up to 10m"`

	Command []string `yaml:"command" doc:"program and arguments of a worker; empty: this program with transcode-worker"`
}

// Backoff rules the wait before a worker is restarted.
type Backoff struct {
	Min     time.Duration `yaml:"min" doc:"wait before the first restart; it doubles with each further one"`
	Max     time.Duration `yaml:"max" doc:"longest wait before a restart"`
	Healthy time.Duration `yaml:"healthy" doc:"a worker that lived this long starts the wait anew"`
}

// DefaultConfig encodes on the CPU.
func DefaultConfig() Config {
	return Config{
		Encoder:          encoderX264,
		CoreFactor:       1.5,
		Ladder:           ladder.DefaultConfig(),
		AudioBitrate:     128_000,
		KeyframeInterval: 2 * time.Second,
		PosterInterval:   10 * time.Second,
		StallTimeout:     5 * time.Second,
		DrainTimeout:     10 * time.Second,
		Backoff:          Backoff{Min: 250 * time.Millisecond, Max: 10 * time.Second, Healthy: 30 * time.Second},
		RestoreAfter:     time.Minute,
	}
}

const encoderX264 = "libx264"

var encoders = []string{encoderX264, "h264_nvenc", "hevc_nvenc"}

// Validate names the first field that cannot work and why.
func (c Config) Validate() error {
	if !slices.Contains(encoders, c.Encoder) {
		return fmt.Errorf("encoder: %q is none of %s", c.Encoder, strings.Join(encoders, ", "))
	}
	for _, f := range []struct {
		name  string
		value int
		max   int
	}{
		{"gpu", c.GPU, 64},
		{"sessions", c.Sessions, 1 << 16},
		{"threads", c.Threads, 64},
		{"decode_threads", c.DecodeThreads, 64},
		{"max_streams", c.MaxStreams, 1 << 16},
	} {
		if f.value < 0 || f.value > f.max {
			return fmt.Errorf("%s: %d must be 0 to %d", f.name, f.value, f.max)
		}
	}
	if c.Cores < 0 {
		return errors.New("cores: must not be negative")
	}
	if c.Cores == 0 && c.CoreFactor <= 0 {
		return errors.New("core_factor: must be positive where cores is 0")
	}
	if c.AudioBitrate < 16_000 || c.AudioBitrate > 512_000 {
		return fmt.Errorf("audio_bitrate: %d must be 16000 to 512000", c.AudioBitrate)
	}
	if err := c.ladder().Validate(); err != nil {
		return fmt.Errorf("ladder.%w", err)
	}
	return c.validateTimes()
}

func (c Config) validateTimes() error {
	for _, f := range []struct {
		name            string
		value, min, max time.Duration
	}{
		{"keyframe_interval", c.KeyframeInterval, 500 * time.Millisecond, 10 * time.Second},
		{"poster_interval", c.PosterInterval, time.Second, time.Hour},
		{"stall_timeout", c.StallTimeout, 100 * time.Millisecond, time.Minute},
		{"drain_timeout", c.DrainTimeout, 100 * time.Millisecond, 10 * time.Minute},
		{"restore_after", c.RestoreAfter, 100 * time.Millisecond, maxRestoreWait},
		{"backoff.min", c.Backoff.Min, time.Millisecond, time.Minute},
		{"backoff.max", c.Backoff.Max, c.Backoff.Min, time.Hour},
		{"backoff.healthy", c.Backoff.Healthy, time.Millisecond, time.Hour},
	} {
		if f.value < f.min || f.value > f.max {
			return fmt.Errorf("%s: %v must be %v to %v", f.name, f.value, f.min, f.max)
		}
	}
	return nil
}

// preset is what to tell the encoder.
func (c Config) preset() string {
	switch {
	case c.Preset != "":
		return c.Preset
	case c.Encoder == encoderX264:
		return "veryfast"
	default:
		return "p4"
	}
}

// ladder is the ladder's configuration with the speed of the encoder in use.
func (c Config) ladder() ladder.Config {
	l := c.Ladder
	l.PixelsPerCore = ladder.PixelsPerCore(c.Encoder, c.preset())
	return l
}

// cores is what all streams together may cost.
func (c Config) cores() float64 {
	if c.Cores > 0 {
		return c.Cores
	}
	return float64(runtime.GOMAXPROCS(0)) * c.CoreFactor
}
