package rtmp

import (
	"errors"
	"fmt"
	"net"
	"time"

	"nova/ingest/rtmp/guard"
)

// Config sets up a Server.
type Config struct {
	Address             string        `yaml:"address" doc:"TCP address for RTMP; empty listens for RTMPS alone"`
	TLS                 TLSConfig     `yaml:"tls" doc:"RTMPS, when a certificate is configured"`
	Apps                []string      `yaml:"apps" doc:"application names that are accepted: the first part of the path in rtmp://HOST/live/KEY"`
	MaxConnections      int           `yaml:"max_connections" doc:"connections at a time"`
	MaxConnectionsPerIP int           `yaml:"max_connections_per_ip" doc:"connections at a time from one IPv4 address or IPv6 /64"`
	SetupTimeout        time.Duration `yaml:"setup_timeout" doc:"longest time from a connection to its accepted publish, handshakes included"`
	MediaTimeout        time.Duration `yaml:"media_timeout" doc:"longest time without audio and video before a publisher is dropped"`
	WriteTimeout        time.Duration `yaml:"write_timeout" doc:"longest time for one write to a publisher"`
	MaxMessage          int           `yaml:"max_message" doc:"longest audio or video message in bytes"`
	TrackWait           time.Duration `yaml:"track_wait" doc:"how long a publish waits for its second track's configuration, in the stream's time"`
}

// TLSConfig sets up RTMPS.
type TLSConfig struct {
	Address     string `yaml:"address" doc:"TCP address for RTMPS"`
	Certificate string `yaml:"certificate" doc:"PEM file of the certificate chain; empty switches RTMPS off; read again when it changes"`
	Key         string `yaml:"key" doc:"PEM file of the private key"`
}

// DefaultConfig listens on the ports that encoders expect.
func DefaultConfig() Config {
	g := guard.DefaultConfig()
	return Config{
		Address:             ":1935",
		TLS:                 TLSConfig{Address: ":1936"},
		Apps:                []string{"live"},
		MaxConnections:      1024,
		MaxConnectionsPerIP: 32,
		SetupTimeout:        g.SetupTimeout,
		MediaTimeout:        g.MediaTimeout,
		WriteTimeout:        g.WriteTimeout,
		MaxMessage:          g.MaxMessage,
		TrackWait:           time.Second,
	}
}

// longestMessage fits the format, whose lengths have 24 bits.
const longestMessage = 16<<20 - 1

// Validate names the field that is wrong and why.
func (c Config) Validate() error {
	switch {
	case c.Address == "" && c.TLS.Certificate == "":
		return errors.New("address: is empty and there is no tls.certificate: nothing to listen on")
	case (c.TLS.Certificate == "") != (c.TLS.Key == ""):
		return errors.New("tls: certificate and key need each other")
	case len(c.Apps) == 0:
		return errors.New("apps: is empty: nobody could publish")
	case c.MaxConnections < 1:
		return fmt.Errorf("max_connections: %d is under 1", c.MaxConnections)
	case c.MaxConnectionsPerIP < 1:
		return fmt.Errorf("max_connections_per_ip: %d is under 1", c.MaxConnectionsPerIP)
	case c.MaxMessage < 64<<10 || c.MaxMessage > longestMessage:
		return fmt.Errorf("max_message: %d is not in %d…%d", c.MaxMessage, 64<<10, longestMessage)
	}
	for field, d := range map[string]time.Duration{
		"setup_timeout": c.SetupTimeout, "media_timeout": c.MediaTimeout, "write_timeout": c.WriteTimeout, "track_wait": c.TrackWait,
	} {
		if d <= 0 || d > time.Hour {
			return fmt.Errorf("%s: %v is not in 0…1h", field, d)
		}
	}
	return c.validateAddresses()
}

func (c Config) validateAddresses() error {
	if c.Address != "" {
		if _, _, err := net.SplitHostPort(c.Address); err != nil {
			return fmt.Errorf("address: %w", err)
		}
	}
	if c.TLS.Certificate != "" {
		if _, _, err := net.SplitHostPort(c.TLS.Address); err != nil {
			return fmt.Errorf("tls.address: %w", err)
		}
	}
	return nil
}

func (c Config) guard() guard.Config {
	g := guard.DefaultConfig()
	g.SetupTimeout, g.MediaTimeout, g.WriteTimeout = c.SetupTimeout, c.MediaTimeout, c.WriteTimeout
	g.MaxMessage = c.MaxMessage
	return g
}
