// Package avtest makes real media for the tests of the transcode stages with the ffmpeg and ffprobe programs,
// and gives it to them as access units, the way ingest would.
package avtest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"nova/transcode/av"
)

// Main runs a package's tests, fails where frames are left, and returns the exit code.
func Main(m *testing.M) int {
	code := m.Run()
	if leaks := av.Leaks(); leaks != "" && code == 0 {
		fmt.Fprintln(os.Stderr, leaks)
		code = 1
	}
	return code
}

// Program is where ffmpeg or ffprobe is.
func Program(name string) string {
	if path := os.Getenv("NOVA_" + strings.ToUpper(name)); path != "" {
		return path
	}
	return name
}

// FFmpeg runs ffmpeg on stdin and returns its standard output. What it says about errors fails the test.
func FFmpeg(t testing.TB, stdin []byte, args ...string) []byte {
	t.Helper()
	out, said := run(t, "ffmpeg", stdin, append([]string{"-hide_banner", "-v", "error", "-nostdin"}, args...))
	if said != "" {
		t.Fatalf("ffmpeg %s says:\n%s", strings.Join(args, " "), said)
	}
	return out
}

// FFprobe runs ffprobe and returns its standard output.
func FFprobe(t testing.TB, args ...string) []byte {
	t.Helper()
	out, _ := run(t, "ffprobe", nil, append([]string{"-hide_banner", "-v", "error"}, args...))
	return out
}

func run(t testing.TB, name string, stdin []byte, args []string) (out []byte, said string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), Program(name), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return stdout.Bytes(), strings.TrimSpace(stderr.String())
}

// Make runs ffmpeg with args and one MP4 file as output, and returns the file.
func Make(t testing.TB, args ...string) *File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clip.mp4")
	FFmpeg(t, nil, append(args, "-y", path)...)
	return Load(t, path)
}

// Real is the sample clip that the set-up fetches: 30 s of 1080p at 24 frames a second with 5.1 sound. Where it
// has not been fetched the test is skipped.
func Real(t testing.TB) *File {
	t.Helper()
	path := os.Getenv("NOVA_CLIP")
	if path == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Skipf("no cache folder: %v", err)
		}
		path = filepath.Join(cache, "nova", "clip", "video.mp4")
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the sample clip is not here (set NOVA_CLIP): %v", err)
	}
	return Load(t, path)
}
