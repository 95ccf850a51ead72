package transcode

import (
	"strings"
	"testing"
	"time"

	"nova/transcode/ladder"
)

func TestConfigValidate(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Fatalf("the default configuration: %v", err)
	}
	for field, change := range map[string]func(*Config){
		"encoder":           func(c *Config) { c.Encoder = "x265" },
		"gpu":               func(c *Config) { c.GPU = -1 },
		"sessions":          func(c *Config) { c.Sessions = -1 },
		"threads":           func(c *Config) { c.Threads = 1000 },
		"decode_threads":    func(c *Config) { c.DecodeThreads = -1 },
		"max_streams":       func(c *Config) { c.MaxStreams = -1 },
		"cores":             func(c *Config) { c.Cores = -1 },
		"core_factor":       func(c *Config) { c.CoreFactor = 0 },
		"audio_bitrate":     func(c *Config) { c.AudioBitrate = 1 },
		"ladder.max_rungs":  func(c *Config) { c.Ladder.MaxRungs = -1 },
		"ladder.rungs[0]":   func(c *Config) { c.Ladder.Rungs = []ladder.Step{{Height: 1}} },
		"keyframe_interval": func(c *Config) { c.KeyframeInterval = 0 },
		"poster_interval":   func(c *Config) { c.PosterInterval = time.Millisecond },
		"stall_timeout":     func(c *Config) { c.StallTimeout = 0 },
		"drain_timeout":     func(c *Config) { c.DrainTimeout = time.Hour },
		"restore_after":     func(c *Config) { c.RestoreAfter = time.Hour },
		"backoff.min":       func(c *Config) { c.Backoff.Min = 0 },
		"backoff.max":       func(c *Config) { c.Backoff.Max = c.Backoff.Min / 2 },
		"backoff.healthy":   func(c *Config) { c.Backoff.Healthy = 0 },
	} {
		cfg := DefaultConfig()
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), field) {
			t.Errorf("error %v, want one that names %s", err, field)
		}
	}
}

func TestConfigFollowsEncoder(t *testing.T) {
	x264, nvenc := DefaultConfig(), DefaultConfig()
	nvenc.Encoder = "h264_nvenc"
	if x264.preset() != "veryfast" || nvenc.preset() != "p4" {
		t.Errorf("presets %q and %q", x264.preset(), nvenc.preset())
	}
	if x264.ladder().PixelsPerCore >= nvenc.ladder().PixelsPerCore {
		t.Error("a rung on a GPU must cost less of the CPU")
	}
	if x264.Cores = 3; x264.cores() != 3 {
		t.Errorf("%v cores, want those configured", x264.cores())
	}
}

func TestBackoff(t *testing.T) {
	b := backoff{cfg: Backoff{Min: 250 * time.Millisecond, Max: time.Second, Healthy: 30 * time.Second}}
	for i, c := range []struct {
		lived time.Duration
		want  time.Duration
	}{
		{0, 250 * time.Millisecond},
		{time.Second, 500 * time.Millisecond},
		{time.Second, time.Second},
		{29 * time.Second, time.Second},
		{30 * time.Second, 250 * time.Millisecond},
		{0, 500 * time.Millisecond},
	} {
		if got := b.after(c.lived); got != c.want {
			t.Errorf("restart %d waits %v, want %v", i, got, c.want)
		}
	}
}

func TestProgress(t *testing.T) {
	const limit = 5 * time.Second
	at := func(s float64) time.Time { return time.Unix(1000, 0).Add(time.Duration(s * float64(time.Second))) }
	for name, c := range map[string]struct {
		do             func(*progress)
		stalled, hangs bool // at 10 s
	}{
		"nothing was fed":          {func(*progress) {}, false, false},
		"fed, and nothing came":    {func(p *progress) { feedAt(p, at(0), at(4), at(9)) }, true, false},
		"fed, and something came":  {func(p *progress) { feedAt(p, at(0), at(9)); p.gave(at(6)) }, false, false},
		"came, then stuck":         {func(p *progress) { p.gave(at(1)); feedAt(p, at(2), at(9)) }, true, false},
		"the source stands still":  {func(p *progress) { feedAt(p, at(0)) }, false, false},
		"the worker takes nothing": {func(p *progress) { p.feeding(at(0)) }, true, false},
		"not for long":             {func(p *progress) { p.feeding(at(6)) }, false, false},
		"draining":                 {func(p *progress) { feedAt(p, at(0)); p.finished(at(4)); p.gave(at(6)) }, false, false},
		"does not end":             {func(p *progress) { feedAt(p, at(0)); p.finished(at(4)) }, false, true},
		"stops within its drain":   {func(p *progress) { p.finished(at(1)); p.gave(at(3)) }, false, true},
	} {
		var p progress
		c.do(&p)
		if stalled, hangs := p.stalled(at(10), limit), p.hangs(at(10), limit); stalled != c.stalled || hangs != c.hangs {
			t.Errorf("%s: stalled %v, hangs %v", name, stalled, hangs)
		}
	}
}

func feedAt(p *progress, times ...time.Time) {
	for _, now := range times {
		p.feeding(now)
		p.taken(now)
	}
}
