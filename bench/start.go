package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Start measures how long after the publisher began viewers have a playlist that plays: a multivariant playlist
// whose first media playlist names a segment that is there.
func Start(ctx context.Context, o Options) (*Report, error) {
	dir, err := os.MkdirTemp("", "nova-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	stack, err := startDev(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	defer stack.stop()
	var clip, passed []float64
	for i := range o.Runs {
		a, err := stack.timeToPlay(ctx, o, "-i", o.Clip, "-c", "copy")
		if err != nil {
			return nil, err
		}
		b, err := stack.timeToPlay(ctx, o, "-f", "lavfi", "-i", "testsrc2=s=1280x720:r=30", "-f", "lavfi", "-i", "sine=r=48000",
			"-c:v", "libx264", "-preset", "ultrafast", "-g", "60", "-pix_fmt", "yuv420p", "-c:a", "aac")
		if err != nil {
			return nil, err
		}
		clip, passed = append(clip, a), append(passed, b)
		o.say("run %d of %d: the clip %.2f s, 720p30 with a keyframe every 2 s %.2f s", i+1, o.Runs, a, b)
	}
	r := o.report("start", "From the start of the ffmpeg process (`-re`) to the moment when a multivariant playlist, a media playlist and a segment "+
		"of it are answered; nova dev with S3 and the ladder on the same machine.")
	r.Rows = []Row{
		{Name: "first playable playlist, 1080p24 clip (keyframes up to 10 s apart)", Unit: "s", Target: "≤ 3", Summary: Summarize(clip)},
		{Name: "first playable playlist, 720p30, keyframe every 2 s", Unit: "s", Target: "≤ 3", Summary: Summarize(passed)},
	}
	return r, nil
}

// devStack is a nova dev of the benchmark's own.
type devStack struct {
	cmd    *exec.Cmd
	client http.Client
	facts  struct {
		RTMPURL   string `json:"rtmp_url"`
		StreamKey string `json:"stream_key"`
		HLSURL    string `json:"hls_url"`
	}
}

func startDev(ctx context.Context, o Options, dir string) (*devStack, error) {
	args := []string{"dev", "--no-demo", "--dir", dir}
	for _, key := range []string{"http.address", "admin.address", "ingest.rtmp.address"} {
		args = append(args, "--set", key+"=127.0.0.1:0")
	}
	s := &devStack{cmd: exec.CommandContext(ctx, o.Nova, args...), client: http.Client{Timeout: 5 * time.Second}}
	s.cmd.Stderr = os.Stderr
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start nova dev: %w", err)
	}
	err := poll(ctx, 30*time.Second, func() error {
		raw, err := os.ReadFile(filepath.Join(dir, "dev.json"))
		if err != nil {
			return err
		}
		return json.Unmarshal(raw, &s.facts)
	})
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("nova dev did not become ready: %w", err)
	}
	return s, nil
}

func (s *devStack) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait() // a benchmark's stack has nothing to lose
}

// timeToPlay publishes until the stream plays, and then waits until it is gone again.
func (s *devStack) timeToPlay(ctx context.Context, o Options, input ...string) (float64, error) {
	args := append([]string{"-hide_banner", "-loglevel", "error", "-nostdin", "-re"}, input...)
	publisher := exec.CommandContext(ctx, o.FFmpeg, append(args, "-f", "flv", s.facts.RTMPURL+"/"+s.facts.StreamKey)...)
	began := time.Now()
	if err := publisher.Start(); err != nil {
		return 0, err
	}
	err := poll(ctx, 20*time.Second, func() error { return s.plays(ctx) })
	took := time.Since(began).Seconds()
	_ = publisher.Process.Signal(os.Interrupt)
	_ = publisher.Wait() // ended by the signal
	if err != nil {
		return 0, fmt.Errorf("the stream did not play: %w", err)
	}
	return took, poll(ctx, time.Minute, func() error {
		if text, err := s.get(ctx, s.facts.HLSURL); err == nil {
			if media, err := s.get(ctx, resolve(s.facts.HLSURL, firstURI(text))); err == nil && !strings.Contains(media, "#EXT-X-ENDLIST") {
				return errors.New("still live")
			}
		}
		return nil
	})
}

func (s *devStack) plays(ctx context.Context) error {
	master, err := s.get(ctx, s.facts.HLSURL)
	if err != nil {
		return err
	}
	playlist := resolve(s.facts.HLSURL, firstURI(master))
	text, err := s.get(ctx, playlist)
	if err != nil {
		return err
	}
	if strings.Contains(text, "#EXT-X-ENDLIST") {
		return errors.New("the broadcast before this one")
	}
	_, err = s.get(ctx, resolve(playlist, firstURI(text)))
	return err
}

func firstURI(playlist string) string {
	for line := range strings.Lines(playlist) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return line
		}
	}
	return "nothing"
}

func resolve(base, uri string) string { return base[:strings.LastIndexByte(base, '/')+1] + uri }

func (s *devStack) get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return string(body), err
}

// poll asks every 20 ms until the condition holds.
func poll(ctx context.Context, limit time.Duration, condition func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := condition()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}
