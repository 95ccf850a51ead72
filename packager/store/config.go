package store

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// Config bounds what waits for S3 and says how often changing objects are written.
type Config struct {
	Workers          int           `yaml:"workers" doc:"segments that this node uploads at once"`
	QueueDuration    time.Duration `yaml:"queue_duration" doc:"media of one rendition that may wait for S3; beyond it the oldest waiting segment becomes a gap"`
	QueueBytes       int64         `yaml:"queue_bytes" doc:"bytes of media of all streams that may wait for S3"`
	RetryMin         time.Duration `yaml:"retry_min" doc:"first wait after a failed upload; it doubles from failure to failure, with jitter"`
	RetryMax         time.Duration `yaml:"retry_max" doc:"longest wait after a failed upload"`
	PlaylistInterval time.Duration `yaml:"playlist_interval" doc:"longest time between two uploads of a growing playlist; a short playlist is uploaded with every segment"`
	PosterInterval   time.Duration `yaml:"poster_interval" doc:"shortest time between two uploads of a recording's poster"`
	FinishTimeout    time.Duration `yaml:"finish_timeout" doc:"how long an ended session may go on trying to be stored; after it, what is in S3 is made a recording later"`
	DrainTimeout     time.Duration `yaml:"drain_timeout" doc:"how long a stopping process goes on storing the sessions that have ended; what is left is finished by the next start"`
	Node             string        `yaml:"node" doc:"this node's name, the same after a restart; empty means the host name"`
	Lease            time.Duration `yaml:"lease" doc:"a recording whose node has been silent for so long is finished by another node"`
	RecoverInterval  time.Duration `yaml:"recover_interval" doc:"how often to look for recordings that nobody finished"`
	RecordingsLimit  int           `yaml:"recordings_limit" doc:"recordings that the list names, the newest first"`
	RecordingsTTL    time.Duration `yaml:"recordings_ttl" doc:"how long the list of recordings is kept in memory"`
}

// DefaultConfig suits one node with some tens of streams.
func DefaultConfig() Config {
	return Config{
		Workers:          4,
		QueueDuration:    time.Minute,
		QueueBytes:       512 << 20,
		RetryMin:         200 * time.Millisecond,
		RetryMax:         5 * time.Second,
		PlaylistInterval: 10 * time.Second,
		PosterInterval:   time.Minute,
		FinishTimeout:    15 * time.Minute,
		DrainTimeout:     10 * time.Second,
		Lease:            3 * time.Minute,
		RecoverInterval:  time.Minute,
		RecordingsLimit:  100,
		RecordingsTTL:    2 * time.Second,
	}
}

// Validate names the first field that cannot work, and why.
func (c *Config) Validate() error {
	switch {
	case c.Workers < 1 || c.Workers > 256:
		return fmt.Errorf("workers: %d is not within 1 to 256", c.Workers)
	case c.QueueDuration < 10*time.Second:
		return fmt.Errorf("queue_duration: %v is below 10s, less than a few segments", c.QueueDuration)
	case c.QueueBytes < 1<<20:
		return fmt.Errorf("queue_bytes: %d is below 1 MiB", c.QueueBytes)
	case c.RetryMin <= 0:
		return fmt.Errorf("retry_min: %v is not positive", c.RetryMin)
	case c.RetryMax < c.RetryMin:
		return fmt.Errorf("retry_max: %v is below retry_min", c.RetryMax)
	case c.PlaylistInterval <= 0:
		return fmt.Errorf("playlist_interval: %v is not positive", c.PlaylistInterval)
	case c.PosterInterval <= 0:
		return fmt.Errorf("poster_interval: %v is not positive", c.PosterInterval)
	}
	return c.validateRest()
}

func (c *Config) validateRest() error {
	switch {
	case c.FinishTimeout <= 0:
		return fmt.Errorf("finish_timeout: %v is not positive", c.FinishTimeout)
	case c.DrainTimeout < 0:
		return fmt.Errorf("drain_timeout: %v is negative", c.DrainTimeout)
	case c.Lease < 2*c.PlaylistInterval:
		return fmt.Errorf("lease: %v is below twice playlist_interval", c.Lease)
	case c.RecoverInterval <= 0:
		return fmt.Errorf("recover_interval: %v is not positive", c.RecoverInterval)
	case c.RecordingsLimit < 1 || c.RecordingsLimit > 1000:
		return fmt.Errorf("recordings_limit: %d is not within 1 to 1000", c.RecordingsLimit)
	case c.RecordingsTTL <= 0:
		return fmt.Errorf("recordings_ttl: %v is not positive", c.RecordingsTTL)
	}
	return nil
}

// nodeName is the configured name, or the host's.
func (c *Config) nodeName() (string, error) {
	if c.Node != "" {
		return c.Node, nil
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		return "", errors.New("node: the host has no name, and none is configured")
	}
	return host, nil
}
