package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The end-to-end tests run the built binary as its users do: ffmpeg publishes, a browser and ffmpeg play.

var novaBinary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "nova-e2e-")
	if err != nil {
		panic(err)
	}
	novaBinary = filepath.Join(dir, "nova")
	build := exec.Command("go", "build", "-race", "-o", novaBinary, ".")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "cannot build nova:", err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// stack is a nova dev under test, on ports of its own.
type stack struct {
	t      *testing.T
	dir    string
	cmd    *exec.Cmd
	facts  facts
	exited chan error
	stderr *os.File
}

func startStack(t *testing.T, args ...string) *stack {
	t.Helper()
	s := &stack{t: t, dir: t.TempDir(), exited: make(chan error, 1)}
	out, err := os.Create(filepath.Join(s.dir, "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	s.stderr = out
	base := []string{"dev", "--dir", s.dir, "--no-demo"}
	for _, key := range []string{"http.address", "admin.address", "ingest.rtmp.address"} {
		base = append(base, "--set", key+"=127.0.0.1:0")
	}
	s.cmd = exec.Command(novaBinary, append(base, args...)...)
	s.cmd.Stdout, s.cmd.Stderr = out, out
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.exited <- s.cmd.Wait() }()
	t.Cleanup(s.stop)
	eventually(t, 30*time.Second, "nova dev is ready", func() error {
		select {
		case err := <-s.exited:
			s.exited <- err
			t.Fatalf("nova dev ended: %v\n%s", err, s.output())
		default:
		}
		s.facts, err = readFacts(s.dir)
		return err
	})
	return s
}

func (s *stack) output() string {
	raw, _ := os.ReadFile(filepath.Join(s.dir, "stderr"))
	return string(raw)
}

func (s *stack) logText() string {
	raw, _ := os.ReadFile(filepath.Join(s.dir, "nova.log"))
	return string(raw)
}

// stop ends the stack as an operator would and fails the test where it does not end well.
func (s *stack) stop() {
	if s.cmd.ProcessState != nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-s.exited:
		s.exited <- err
		if err != nil {
			s.t.Errorf("nova dev did not stop cleanly: %v\n%s", err, s.output())
		}
	case <-time.After(30 * time.Second):
		_ = s.cmd.Process.Kill()
		s.t.Errorf("nova dev did not stop in 30 s\n%s", s.output())
	}
	if strings.Contains(s.output(), "DATA RACE") {
		s.t.Errorf("data race in nova dev:\n%s", s.output())
	}
	if s.t.Failed() {
		s.t.Logf("log of nova dev:\n%s", tail(s.logText(), 60))
	}
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// eventually asks until the condition holds.
func eventually(t *testing.T, limit time.Duration, what string, condition func() error) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var err error
	for {
		if err = condition(); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not within %v: %v", what, limit, err)
		}
	}
}

// publish runs ffmpeg with args and an FLV output at the stream's URL; stop ends it as a broadcaster would.
type publishing struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

func publish(t *testing.T, url string, args ...string) *publishing {
	t.Helper()
	p := &publishing{t: t, done: make(chan struct{})}
	args = append([]string{"-hide_banner", "-loglevel", "error", "-nostdin"}, args...)
	p.cmd = exec.Command(ffmpegPath(), append(args, "-f", "flv", url)...)
	stderr := &strings.Builder{}
	p.cmd.Stderr = stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		if err := p.cmd.Wait(); err != nil {
			p.err = fmt.Errorf("%w: %s", err, stderr.String())
		}
		close(p.done)
	}()
	t.Cleanup(p.stop)
	return p
}

func (p *publishing) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGINT)
	p.wait(10 * time.Second)
	if p.t.Failed() && p.err != nil {
		p.t.Logf("the publisher: %v", p.err)
	}
}

func (p *publishing) wait(limit time.Duration) {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(limit):
		_ = p.cmd.Process.Kill()
		p.t.Errorf("the publisher did not end within %v", limit)
	}
}

func (s *stack) userURL() string { return s.facts.RTMPURL + "/" + s.facts.StreamKey }

func (s *stack) demoURL() string {
	s.t.Helper()
	keys, err := readSecrets(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.facts.RTMPURL + "/" + keys.DemoKey
}

// get returns a body, or an error for any answer but 200.
func get(url string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, resp.Status, body)
	}
	return string(body), err
}

// recording is one entry of /api/v2/recordings.
type recording struct {
	VideoID    string  `json:"video_id"`
	PlaybackID string  `json:"playback_id"`
	Seconds    float64 `json:"duration_seconds"`
	HLSURL     string  `json:"hls_url"`
}

// awaitRecording waits until a stream's last broadcast is a complete recording.
func (s *stack) awaitRecording(playbackID string) recording {
	s.t.Helper()
	var found recording
	eventually(s.t, 30*time.Second, "recording of "+playbackID, func() error {
		body, err := get(s.facts.HTTPURL + "/api/v2/recordings")
		if err != nil {
			return err
		}
		var list struct{ Recordings []recording }
		if err := json.Unmarshal([]byte(body), &list); err != nil {
			return err
		}
		for _, r := range list.Recordings {
			if r.PlaybackID == playbackID {
				found = r
				return nil
			}
		}
		return fmt.Errorf("not in %s", body)
	})
	return found
}

// ffmpegRun runs ffmpeg and returns what it printed.
func ffmpegRun(t *testing.T, program string, args ...string) (stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, errs.String())
	}
	return out.String(), errs.String()
}

func ffprobePath() string {
	if path := os.Getenv("NOVA_FFPROBE"); path != "" {
		return path
	}
	return "ffprobe"
}
