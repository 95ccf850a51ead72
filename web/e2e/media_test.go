package e2e

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// rung is one rendition that the fixture offers.
type rung struct {
	name          string
	width, height int
	kbps          int
}

// smallRungs cost next to nothing to make and to play.
var smallRungs = []rung{{"360p", 640, 360, 500}, {"240p", 426, 240, 250}, {"144p", 256, 144, 120}}

// largeRungs look as a real ladder does: for pictures of the page.
var largeRungs = []rung{{"720p", 1280, 720, 2800}, {"480p", 854, 480, 1400}, {"360p", 640, 360, 800}}

// rendition is what a VOD playlist names.
type rendition struct {
	init     string
	segments []segment
}

// segment is one media segment on disk.
type segment struct {
	file    string
	seconds float64
}

func ffmpeg(tb testing.TB) string {
	tb.Helper()
	program, err := exec.LookPath(cmp.Or(os.Getenv("NOVA_FFMPEG"), "ffmpeg"))
	if err != nil {
		tb.Skip("no ffmpeg: set NOVA_FFMPEG")
	}
	return program
}

// makeMedia writes a complete HLS presentation with an audio group, and poster.jpg, into dir. With an empty clip
// it makes twelve seconds of test picture and tone.
func makeMedia(tb testing.TB, dir, clip string, rungs []rung) {
	tb.Helper()
	input := []string{"-f", "lavfi", "-i", "testsrc2=size=640x360:rate=24:duration=12", "-f", "lavfi", "-i", "sine=frequency=330:sample_rate=48000:duration=12"}
	maps := []string{"-map", "1:a"}
	if clip != "" {
		input, maps = []string{"-i", clip}, []string{"-map", "0:a"}
	}
	args := append([]string{"-hide_banner", "-loglevel", "error", "-y"}, input...)
	var streams []string
	for i, r := range rungs {
		maps = append(maps, "-map", "0:v")
		n := strconv.Itoa(i)
		args = append(args, "-filter:v:"+n, fmt.Sprintf("scale=%d:%d", r.width, r.height), "-b:v:"+n, fmt.Sprintf("%dk", r.kbps))
		streams = append(streams, fmt.Sprintf("v:%d,agroup:audio,name:%s", i, r.name))
	}
	args = append(args, maps...)
	args = append(args, "-c:v", "libx264", "-preset", "ultrafast", "-g", "48", "-sc_threshold", "0", "-pix_fmt", "yuv420p",
		"-c:a", "aac", "-b:a", "96k", "-ac", "2", "-f", "hls", "-hls_time", "2", "-hls_playlist_type", "vod",
		"-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", "init.mp4", "-master_pl_name", "index.m3u8",
		"-hls_segment_filename", "%v/seg-%d.m4s", "-var_stream_map", strings.Join(append(streams, "a:0,agroup:audio,name:audio,default:yes"), " "), "%v/index.m3u8")
	run(tb, dir, ffmpeg(tb), args...)
	run(tb, dir, ffmpeg(tb), append(append([]string{"-loglevel", "error", "-y"}, input...),
		"-map", "0:v", "-frames:v", "1", "-ss", "8", "-vf", "scale=640:-2", "-q:v", "4", "poster.jpg")...)
}

func run(tb testing.TB, dir, program string, args ...string) {
	tb.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(tb.Context()), program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%s: %v\n%s", program, err, out)
	}
}

// readRendition reads the VOD playlist under dir/name.
func readRendition(tb testing.TB, dir, name string) rendition {
	tb.Helper()
	file, err := os.Open(filepath.Join(dir, name, "index.m3u8"))
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	var found rendition
	var seconds float64
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line := lines.Text()
		if init, isMap := strings.CutPrefix(line, `#EXT-X-MAP:URI="`); isMap {
			found.init = strings.TrimSuffix(init, `"`)
		} else if length, isInf := strings.CutPrefix(line, "#EXTINF:"); isInf {
			if seconds, err = strconv.ParseFloat(strings.TrimSuffix(length, ","), 64); err != nil {
				tb.Fatalf("%s: %v", line, err)
			}
		} else if line != "" && line[0] != '#' {
			found.segments = append(found.segments, segment{line, seconds})
		}
	}
	if found.init == "" || len(found.segments) == 0 {
		tb.Fatalf("the playlist of %s names no media", name)
	}
	return found
}
