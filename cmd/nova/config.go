package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"nova/ingest"
	"nova/internal/blob"
	"nova/internal/conf"
	"nova/packager"
	"nova/packager/origin"
	"nova/packager/store"
	"nova/transcode"
)

// config is the configuration of everything in one process.
type config struct {
	DrainTimeout time.Duration    `yaml:"drain_timeout" doc:"how long a stop may take: streams end, workers flush, uploads finish"`
	HTTP         httpConfig       `yaml:"http"`
	Admin        adminConfig      `yaml:"admin"`
	Log          logConfig        `yaml:"log"`
	Ingest       ingest.Config    `yaml:"ingest"`
	Transcode    transcode.Config `yaml:"transcode"`
	Packager     packager.Config  `yaml:"packager"`
	Origin       origin.Config    `yaml:"origin"`
	Store        store.Config     `yaml:"store"`
	S3           blob.Config      `yaml:"s3"`
}

type httpConfig struct {
	Address string `yaml:"address" doc:"listens here for the page, the API and HLS"`
}

type adminConfig struct {
	Address string `yaml:"address" doc:"listens here for profiles, health and metrics; keep it private"`
}

type logConfig struct {
	Level slog.Level `yaml:"level" doc:"DEBUG, INFO, WARN or ERROR"`
}

func defaultConfig() *config {
	c := &config{
		HTTP:         httpConfig{Address: ":8080"},
		Admin:        adminConfig{Address: "127.0.0.1:9090"},
		DrainTimeout: 20 * time.Second,
		Ingest:       ingest.DefaultConfig(),
		Transcode:    transcode.DefaultConfig(),
		Packager:     packager.DefaultConfig(),
		Origin:       origin.DefaultConfig(),
		Store:        store.DefaultConfig(),
		S3:           blob.DefaultConfig(),
	}
	return c
}

// embeddedS3 tells that no S3 server is configured, so that nova dev starts its own.
func (c *config) embeddedS3() bool { return c.S3.Bucket == "" }

// Validate names the field and the reason.
func (c *config) Validate() error {
	if c.DrainTimeout < time.Second {
		return fmt.Errorf("drain_timeout: %v is below 1s", c.DrainTimeout)
	}
	if c.embeddedS3() && c.S3.Endpoint != "" {
		return errors.New("s3.bucket: a name is needed where s3.endpoint is set")
	}
	checks := []struct {
		section string
		err     error
	}{
		{"ingest", c.Ingest.Validate()},
		{"transcode", c.Transcode.Validate()},
		{"packager", c.Packager.Validate()},
		{"origin", c.Origin.Validate()},
		{"store", c.Store.Validate()},
	}
	if !c.embeddedS3() {
		checks = append(checks, struct {
			section string
			err     error
		}{"s3", c.S3.Validate()})
	}
	for _, check := range checks {
		if check.err != nil {
			return fmt.Errorf("%s.%w", check.section, check.err)
		}
	}
	return nil
}

// toolVariables are NOVA_… variables that are no configuration.
var toolVariables = []string{
	"NOVA_CONFIG", "NOVA_CACHE", "NOVA_CLIP", "NOVA_FFMPEG", "NOVA_FFPROBE", "NOVA_VERSITYGW", "NOVA_DEBIAN_MIRROR",
}

// sources are the flags that every command with a configuration has.
type sources struct {
	Config string   `help:"A YAML file." env:"NOVA_CONFIG" type:"existingfile" placeholder:"FILE"`
	Set    []string `help:"One setting; may be repeated." placeholder:"KEY=VALUE" sep:"none"`
}

func (s sources) load() (*config, error) {
	c := defaultConfig()
	return c, conf.Load(c, conf.Sources{File: s.Config, Environ: os.Environ(), Set: s.Set, Ignore: toolVariables})
}

type configCommand struct {
	Check     configCheck     `cmd:"" help:"Validate a configuration and exit."`
	Reference configReference `cmd:"" help:"Print the page of all settings (Markdown)."`
	Sample    configSample    `cmd:"" help:"Print a file with every default (YAML)."`
}

type configCheck struct{ sources }

// Run says that the configuration is good, or fails with the field and the reason.
func (c configCheck) Run() error {
	if _, err := c.load(); err != nil {
		return err
	}
	fmt.Println("the configuration is good")
	return nil
}

type configReference struct{}

// Run prints docs/CONFIG.md.
func (configReference) Run() error { return conf.Reference(os.Stdout, defaultConfig()) }

type configSample struct{}

// Run prints deploy/nova.sample.yaml.
func (configSample) Run() error { return conf.Sample(os.Stdout, defaultConfig()) }
