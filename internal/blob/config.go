package blob

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Config says which bucket of which S3 server to use, and who asks.
type Config struct {
	Endpoint        string        `yaml:"endpoint" doc:"URL of the S3 server; empty means AWS itself"`
	Region          string        `yaml:"region" doc:"region that requests are signed for"`
	Bucket          string        `yaml:"bucket" doc:"name of the bucket"`
	Prefix          string        `yaml:"prefix" doc:"put before every key, such as \"nova/\"; may be empty"`
	PathStyle       bool          `yaml:"path_style" doc:"name the bucket in the path, not in the host; most compatible servers need it"`
	CredentialsFile string        `yaml:"credentials_file" doc:"file in the form of ~/.aws/credentials that holds the keys; empty means the SDK's own chain: environment, shared files, web identity, container, instance"`
	Profile         string        `yaml:"profile" doc:"section of credentials_file to use"`
	Timeout         time.Duration `yaml:"timeout" doc:"longest wait for a call's answer; a large body is given more, see min_rate"`
	MinRate         int64         `yaml:"min_rate" doc:"bytes a second that a body is expected to move at least; its time is added to timeout"`
	Attempts        int           `yaml:"attempts" doc:"tries of one call within its deadline, with the SDK's back-off"`
	Connections     int           `yaml:"connections" doc:"most connections to the server at once; the pool keeps as many open"`
}

// DefaultConfig is AWS with the SDK's own credential chain; Bucket is left to the user.
func DefaultConfig() Config {
	return Config{
		Region:      "us-east-1",
		Profile:     "default",
		Timeout:     10 * time.Second,
		MinRate:     256 << 10,
		Attempts:    2,
		Connections: 32,
	}
}

// Validate names the first field that cannot work, and why.
func (c *Config) Validate() error {
	if c.Bucket == "" {
		return errors.New("bucket: a name is needed")
	}
	if c.Region == "" {
		return errors.New("region: a name is needed, such as us-east-1")
	}
	if err := c.validateEndpoint(); err != nil {
		return err
	}
	if strings.HasPrefix(c.Prefix, "/") {
		return fmt.Errorf("prefix: %q must not begin with a slash", c.Prefix)
	}
	if c.CredentialsFile != "" && c.Profile == "" {
		return errors.New("profile: a section name is needed with credentials_file")
	}
	return c.validateLimits()
}

func (c *Config) validateEndpoint() error {
	if c.Endpoint == "" {
		return nil
	}
	u, err := url.Parse(c.Endpoint)
	if err != nil {
		return fmt.Errorf("endpoint: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("endpoint: %q is not a http:// or https:// URL", c.Endpoint)
	}
	if u.User != nil {
		return errors.New("endpoint: must not carry credentials")
	}
	return nil
}

func (c *Config) validateLimits() error {
	switch {
	case c.Timeout < 100*time.Millisecond:
		return fmt.Errorf("timeout: %v is below 100ms", c.Timeout)
	case c.MinRate < 1:
		return fmt.Errorf("min_rate: %d is not positive", c.MinRate)
	case c.Attempts < 1 || c.Attempts > 10:
		return fmt.Errorf("attempts: %d is not within 1 to 10", c.Attempts)
	case c.Connections < 1:
		return fmt.Errorf("connections: %d is not positive", c.Connections)
	}
	return nil
}
