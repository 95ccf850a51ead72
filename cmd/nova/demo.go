package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"nova/internal/lifecycle"
	"nova/internal/obs"
)

type demoCommand struct {
	Clip string `help:"The file to publish; H.264 and AAC." default:"${clip}" env:"NOVA_CLIP"`
	URL  string `help:"Where to publish, with the stream key. Default: the demo stream of the nova dev that runs in --dir."`
	Dir  string `help:"The folder of nova dev." default:".nova"`
}

// Run publishes until it is stopped, and again after the connection was lost.
func (c demoCommand) Run() error {
	log := obs.NewLogger(os.Stderr, slog.LevelInfo)
	url := c.URL
	if url == "" {
		facts, err := readFacts(c.Dir)
		if err != nil {
			return err
		}
		keys, err := readSecrets(c.Dir)
		if err != nil {
			return err
		}
		url = facts.RTMPURL + "/" + keys.DemoKey
	}
	ctx, cancel := lifecycle.Signals(log, os.Exit)
	defer cancel()
	p := publisher{log: log, clip: c.Clip, url: url}
	fmt.Fprintln(os.Stderr, "publishing", c.Clip, "in a loop; Ctrl-C stops")
	if err := p.Run(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// publisher is an ffmpeg that sends a clip in a loop at its own pace.
type publisher struct {
	log  *slog.Logger
	clip string
	url  string
}

// Run publishes until ctx ends; a lost connection is taken up again after a second.
func (p publisher) Run(ctx context.Context) error {
	if _, err := os.Stat(p.clip); err != nil {
		return fmt.Errorf("cannot publish the demo clip: %w; run make setup, or leave the demo out with --no-demo", err)
	}
	for {
		err := p.publish(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.log.Warn("demo publisher ended; trying again in a second", obs.Err(err))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

func (p publisher) publish(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, ffmpegPath(), "-hide_banner", "-loglevel", "error", "-nostdin",
		"-re", "-stream_loop", "-1", "-i", p.clip, "-c", "copy", "-f", "flv", p.url)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 3 * time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	// ffmpeg prints the URL that it cannot open, and the URL holds the key.
	text := strings.ReplaceAll(lastLine(stderr.String()), p.url, "the RTMP URL")
	return fmt.Errorf("%w: %s", err, text)
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// ffmpegPath is the program that the set-up installed or built.
func ffmpegPath() string {
	if path := os.Getenv("NOVA_FFMPEG"); path != "" {
		return path
	}
	return "ffmpeg"
}

// cacheDir is where the set-up keeps what it installed.
func cacheDir() string {
	if dir := os.Getenv("NOVA_CACHE"); dir != "" {
		return dir
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return ".cache"
	}
	return filepath.Join(base, "nova")
}
