package origin

import (
	"fmt"
	"time"
)

// Config bounds what the origin keeps and how long it waits for S3.
type Config struct {
	AllowOrigin  string        `yaml:"allow_origin" doc:"Access-Control-Allow-Origin of every answer"`
	CacheBytes   int64         `yaml:"cache_bytes" doc:"memory for objects that were read from S3"`
	MaxObject    int64         `yaml:"max_object" doc:"largest object in bytes that is read from S3"`
	MaxFetches   int           `yaml:"max_fetches" doc:"objects read from S3 at once; further ones wait"`
	FetchTimeout time.Duration `yaml:"fetch_timeout" doc:"longest wait for an object of S3, its turn included"`
}

// DefaultConfig lets every page play the streams.
func DefaultConfig() Config {
	return Config{
		AllowOrigin:  "*",
		CacheBytes:   128 << 20,
		MaxObject:    64 << 20,
		MaxFetches:   16,
		FetchTimeout: 10 * time.Second,
	}
}

// Validate names the first field that cannot work, and why.
func (c *Config) Validate() error {
	switch {
	case c.AllowOrigin == "":
		return fmt.Errorf("allow_origin: must not be empty; %q lets every page play", "*")
	case c.CacheBytes < 0:
		return fmt.Errorf("cache_bytes: %d is negative", c.CacheBytes)
	case c.MaxObject < 1<<20:
		return fmt.Errorf("max_object: %d is below 1 MiB", c.MaxObject)
	case c.MaxFetches < 1:
		return fmt.Errorf("max_fetches: %d is not positive", c.MaxFetches)
	case c.FetchTimeout < 100*time.Millisecond:
		return fmt.Errorf("fetch_timeout: %v is below 100ms", c.FetchTimeout)
	}
	return nil
}
