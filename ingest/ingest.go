// Package ingest takes live streams in: it wires the listeners of each protocol and the question who may publish
// to one hub.
//
//	rtmp.Server ──publish?──▶ auth.Throttle ──▶ auth.File, auth.Callback
//	     └───────Sample─────▶ hub.Hub ──▶ Source
//
// Stage: 1/6 · In: connections · Out: relay.Source
package ingest

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"nova/ingest/auth"
	"nova/ingest/hub"
	"nova/ingest/rtmp"
	"nova/internal/relay"
)

// Config sets up an Ingest.
type Config struct {
	RTMP rtmp.Config `yaml:"rtmp" doc:"RTMP and RTMPS"`
	Auth AuthConfig  `yaml:"auth" doc:"who may publish; nobody, where neither a file nor a callback is set"`
	Hub  hub.Config  `yaml:"hub" doc:"what is kept and watched of each stream"`
}

// AuthConfig says who may publish. The file is asked first.
type AuthConfig struct {
	File     string              `yaml:"file" doc:"YAML file of stream keys: a list of key_sha256, stream and title; read again when it changes"`
	Callback auth.CallbackConfig `yaml:"callback" doc:"HTTP server that is asked about keys"`
	Throttle auth.ThrottleConfig `yaml:"throttle" doc:"limits on trying keys"`
}

// DefaultConfig listens on the protocols' usual ports and lets nobody publish.
func DefaultConfig() Config {
	return Config{
		RTMP: rtmp.DefaultConfig(),
		Auth: AuthConfig{Callback: auth.DefaultCallbackConfig(), Throttle: auth.DefaultThrottleConfig()},
		Hub:  hub.DefaultConfig(),
	}
}

// Validate names the field that is wrong and why.
func (c Config) Validate() error {
	for field, part := range map[string]interface{ Validate() error }{
		"rtmp": c.RTMP, "auth.callback": c.Auth.Callback, "auth.throttle": c.Auth.Throttle, "hub": c.Hub,
	} {
		if err := part.Validate(); err != nil {
			return fmt.Errorf("%s.%w", field, err)
		}
	}
	return nil
}

// Ingest is the ingest service.
type Ingest struct {
	// set by New
	hub      *hub.Hub
	rtmp     *rtmp.Server
	callback *auth.Callback // nil where none is configured
}

// New checks cfg and starts nothing. A nil reg means a registry of its own.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Ingest, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("cannot set up ingest: %w", err)
	}
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	h, err := hub.New(cfg.Hub, log, reg)
	if err != nil {
		return nil, err
	}
	i := &Ingest{hub: h}
	authorizer, err := i.authorizer(cfg.Auth, log)
	if err != nil {
		return nil, err
	}
	i.rtmp, err = rtmp.New(cfg.RTMP, publisherHub{h}, authorizer, log, reg)
	if err != nil {
		return nil, err
	}
	return i, nil
}

// authorizer builds the chain that cfg describes. An empty one denies.
func (i *Ingest) authorizer(cfg AuthConfig, log *slog.Logger) (auth.Authorizer, error) {
	var chain auth.Chain
	if cfg.File != "" {
		f, err := auth.NewFile(cfg.File, log)
		if err != nil {
			return nil, fmt.Errorf("auth.file: %w", err)
		}
		chain = append(chain, f)
	}
	if cfg.Callback.URL != "" {
		c, err := auth.NewCallback(cfg.Callback)
		if err != nil {
			return nil, fmt.Errorf("auth.callback.%w", err)
		}
		i.callback = c
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		log.Warn("nobody may publish: set auth.file or auth.callback.url")
	}
	return auth.NewThrottle(cfg.Throttle, chain)
}

// publisherHub is the hub as the listeners see it.
type publisherHub struct{ *hub.Hub }

// Publish implements rtmp.Hub.
func (h publisherHub) Publish(pub hub.Publication) (rtmp.Publisher, error) {
	p, err := h.Hub.Publish(pub)
	if err != nil {
		return nil, err // a nil *hub.Publisher must not become a non-nil interface
	}
	return p, nil
}

// Listen opens the ports. Run does it where nobody did; calling it first tells RTMPAddr.
func (i *Ingest) Listen() error { return i.rtmp.Listen() }

// Run serves until ctx ends: then it stops accepting, ends each publication and returns.
func (i *Ingest) Run(ctx context.Context) error {
	if err := i.Listen(); err != nil {
		return err
	}
	if i.callback != nil {
		defer i.callback.Close()
	}
	group, ctx := errgroup.WithContext(ctx)
	// Owns: the RTMP listeners and their connections. Ends when: ctx does.
	// Waited for by: Run.
	group.Go(func() error { return i.rtmp.Run(ctx) })
	// Owns: the watch over the streams' health. Ends when: ctx does.
	// Waited for by: Run.
	group.Go(func() error { return i.hub.Run(ctx) })
	return group.Wait()
}

// Source offers the live streams to the later stages.
func (i *Ingest) Source() relay.Source { return i.hub.Source() }

// Hub is for statistics, and for ending a publication.
func (i *Ingest) Hub() *hub.Hub { return i.hub }

// RTMPAddr is where RTMP listens; nil before Listen and where it does not.
func (i *Ingest) RTMPAddr() net.Addr { return i.rtmp.Addr("rtmp") }

// RTMPSAddr is where RTMPS listens; nil before Listen and where it does not.
func (i *Ingest) RTMPSAddr() net.Addr { return i.rtmp.Addr("rtmps") }
