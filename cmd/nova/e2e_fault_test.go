package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// workers lists the transcode workers that are children of a process.
func workers(parent int) []int {
	var pids []int
	entries, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range entries {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		// After the name in parentheses: state, parent.
		fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		cmdline, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		if fields[1] == strconv.Itoa(parent) && strings.Contains(string(cmdline), "transcode-worker") {
			pids = append(pids, pid)
		}
	}
	return pids
}

func testPicture(size, seconds string) []string {
	return []string{
		"-re", "-f", "lavfi", "-i", "testsrc2=s=" + size + ":r=30", "-f", "lavfi", "-i", "sine=440:r=48000", "-t", seconds,
		"-c:v", "libx264", "-preset", "ultrafast", "-g", "60", "-pix_fmt", "yuv420p", "-c:a", "aac",
	}
}

// Two streams are live; the worker of one is killed. Its viewers miss at most three seconds, the other's nothing.
func TestKilledWorkerCostsOneStreamAShortGap(t *testing.T) {
	s := startStack(t)
	first := publish(t, s.userURL(), testPicture("640x480", "14")...)
	eventually(t, 10*time.Second, "a worker for the first stream", func() error { return want(1, len(workers(s.facts.PID))) })
	victim := workers(s.facts.PID)[0]
	second := publish(t, s.demoURL(), testPicture("640x480", "12")...)
	eventually(t, 10*time.Second, "a worker for the second stream", func() error { return want(2, len(workers(s.facts.PID))) })
	eventually(t, 15*time.Second, "segments of the first stream", func() error {
		text, err := get(strings.TrimSuffix(s.facts.HLSURL, "index.m3u8") + "360p/index.m3u8")
		if err == nil && len(mediaObjects(text)) < 3 {
			err = fmt.Errorf("%s", text)
		}
		return err
	})
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "another worker", func() error { return want(2, len(workers(s.facts.PID))) })
	first.wait(30 * time.Second)
	second.wait(30 * time.Second)
	gapped := s.missing(t, s.awaitRecording(userStream), 14)
	whole := s.missing(t, s.awaitRecording(demoStream), 12)
	t.Logf("missing after kill -9: %.3f s of the stream, %.3f s of the other", gapped, whole)
	if gapped > 3 {
		t.Errorf("%.3f s are missing after the kill", gapped)
	}
	if whole > 0.1 {
		t.Errorf("the other stream lost %.3f s", whole)
	}
}

func want(n, got int) error {
	if n != got {
		return fmt.Errorf("%d, want %d", got, n)
	}
	return nil
}

// missing is how many of a recording's seconds have no picture in its lowest rung at 30 frames a second.
func (s *stack) missing(t *testing.T, r recording, seconds float64) float64 {
	t.Helper()
	base := s.facts.HTTPURL + strings.TrimSuffix(r.HLSURL, "index.m3u8")
	master, err := get(base + "index.m3u8")
	if err != nil {
		t.Fatal(err)
	}
	lowest := ""
	for _, uri := range mediaPlaylists(master) {
		if strings.HasPrefix(uri, "360p") {
			lowest = uri
		}
	}
	if lowest == "" {
		t.Fatalf("no low rung in\n%s", master)
	}
	out, _ := ffmpegRun(t, ffprobePath(), "-v", "error", "-count_packets", "-select_streams", "v",
		"-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", base+lowest)
	return seconds - number(strings.TrimSpace(strings.Split(out, "\n")[0]))/30
}

// One picture in a hundred and one sound frame in a hundred arrive damaged: the stream goes on, one worker does it
// all, and the damage is counted.
func TestDamagedPayloadsDoNotEndAStream(t *testing.T) {
	s := startStack(t)
	noise := "noise=amount='if(eq(mod(n,100),37),40,0)'"
	p := publish(t, s.userURL(), append(testPicture("854x480", "10"), "-bsf:v", noise, "-bsf:a", noise)...)
	eventually(t, 15*time.Second, "a worker", func() error { return want(1, len(workers(s.facts.PID))) })
	worker := workers(s.facts.PID)[0]
	eventually(t, 20*time.Second, "counted damage", func() error {
		metrics, err := get(s.facts.HTTPURL + "/metrics")
		if err == nil && !regexp.MustCompile(`nova_transcode_errors_total\{kind="video_(decode|concealed)"\} [1-9]`).MatchString(metrics) {
			err = errors.New("no counter of damage has moved")
		}
		return err
	})
	if now := workers(s.facts.PID); len(now) != 1 || now[0] != worker {
		t.Errorf("worker %d was replaced by %v", worker, now)
	}
	p.wait(30 * time.Second)
	if missing := s.missing(t, s.awaitRecording(userStream), 10); missing > 1 {
		t.Errorf("%.2f s of 10 are missing", missing)
	}
}

// A wrong key is refused, and no key, right or wrong, is to be seen anywhere.
func TestKeysStaySecret(t *testing.T) {
	s := startStack(t)
	wrong := publish(t, s.facts.RTMPURL+"/"+"wrong-key-wrong-key", testPicture("640x480", "5")...)
	wrong.wait(15 * time.Second)
	if wrong.err == nil {
		t.Error("a wrong key was let in")
	}
	right := publish(t, s.userURL(), testPicture("320x240", "6")...)
	eventually(t, 15*time.Second, "the live playlist", func() error {
		_, err := get(s.facts.HLSURL)
		return err
	})
	// The terminal shows the user's own key once, in the announcement; all else there are JSON lines.
	_, warnings, _ := strings.Cut(s.output(), "Ctrl-C stops.")
	seen := warnings + s.logText()
	for _, path := range []string{"/metrics", "/ready", "/api/v2/live", "/hls/live/index.m3u8", "/hls/live/360p/index.m3u8", "/"} {
		body, _ := get(s.facts.HTTPURL + path)
		seen += body
	}
	right.wait(20 * time.Second)
	seen += s.logText()
	for _, key := range []string{s.facts.StreamKey, "wrong-key-wrong-key"} {
		if at := strings.Index(seen, key); at >= 0 {
			t.Errorf("a stream key is to be seen: …%s…", seen[max(0, at-200):at+20])
		}
	}
}

func TestStopLeavesNothingBehind(t *testing.T) {
	s := startStack(t)
	publish(t, s.userURL(), testPicture("320x240", "30")...)
	eventually(t, 15*time.Second, "the live playlist", func() error {
		_, err := get(s.facts.HLSURL)
		return err
	})
	group := childrenOf(s.facts.PID)
	if len(group) < 2 {
		t.Fatalf("children %v: want the S3 server and a worker", group)
	}
	s.stop()
	for _, pid := range group {
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("child %d outlived nova dev", pid)
		}
	}
	if _, err := readFacts(s.dir); err == nil {
		t.Error("dev.json says that a stopped nova dev is ready")
	}
	if !strings.Contains(s.logText(), `"msg":"stopped"`) {
		t.Error("the log does not tell of the stop")
	}
}

func childrenOf(parent int) []int {
	var pids []int
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	for _, path := range tasks {
		raw, _ := os.ReadFile(path)
		for _, field := range strings.Fields(string(raw)) {
			pid, _ := strconv.Atoi(field)
			pids = append(pids, pid)
		}
	}
	return pids
}

// What an operator gets wrong is named with its reason, and the program ends at once.
func TestClearErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	bad := filepath.Join(t.TempDir(), "nova.yaml")
	if err := os.WriteFile(bad, []byte("ingest:\n  rtmp:\n    max_connections_per_ip: -1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		args []string
		want []string
	}{
		"HTTP port in use":  {[]string{"--set", "http.address=" + taken.Addr().String()}, []string{"http.address", taken.Addr().String(), "in use"}},
		"RTMP port in use":  {[]string{"--set", "http.address=127.0.0.1:0", "--set", "admin.address=127.0.0.1:0", "--set", "ingest.rtmp.address=" + taken.Addr().String()}, []string{taken.Addr().String(), "in use"}},
		"unknown key":       {[]string{"--set", "ingest.rtmp.adres=x"}, []string{"ingest.rtmp.adres", "unknown"}},
		"value of a field":  {[]string{"--config", bad}, []string{"max_connections_per_ip", "-1"}},
		"encoder not there": {[]string{"--set", "transcode.encoder=h264_nvenc", "--set", "http.address=127.0.0.1:0", "--set", "admin.address=127.0.0.1:0", "--set", "ingest.rtmp.address=127.0.0.1:0"}, []string{"h264_nvenc"}},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(novaBinary, append([]string{"dev", "--no-demo", "--dir", t.TempDir()}, tc.args...)...)
			done := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
			defer done.Stop()
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatal("must fail")
			}
			for _, word := range tc.want {
				if !strings.Contains(string(out), word) {
					t.Errorf("does not name %q:\n%s", word, out)
				}
			}
		})
	}
}
