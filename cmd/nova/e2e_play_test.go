package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The clip, published by ffmpeg, plays in Chromium for 20 s.
func TestClipPlaysInChromium(t *testing.T) {
	clip := os.Getenv("NOVA_CLIP")
	if clip == "" {
		clip = filepath.Join(cacheDir(), "clip", "video.mp4")
	}
	s := startStack(t)
	began := time.Now()
	publish(t, s.userURL(), "-re", "-stream_loop", "-1", "-i", clip, "-c", "copy")
	eventually(t, 15*time.Second, "the live playlist", func() error {
		_, err := get(s.facts.HLSURL)
		return err
	})
	t.Logf("playable %.2f s after ffmpeg was started", time.Since(began).Seconds())
	eventually(t, 15*time.Second, "three rungs", func() error {
		text, err := get(s.facts.HLSURL)
		if err == nil {
			err = want(3, strings.Count(text, "RESOLUTION="))
		}
		return err
	})
	shots := filepath.Join("..", "..", "web", "e2e", "shots")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", filepath.Join("..", "..", "web", "e2e", "watch.mjs"),
		s.facts.HTTPURL, s.facts.PlaybackID, "20", shots, "--levels=3")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	var result map[string]any
	if jsonErr := json.Unmarshal([]byte(lastLine(string(out))), &result); err != nil || jsonErr != nil {
		t.Fatalf("the browser test failed: %v %v\n%s", err, jsonErr, out)
	}
	t.Logf("%s", lastLine(string(out)))
}
