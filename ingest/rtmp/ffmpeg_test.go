package rtmp

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"nova/ingest/hub"
	"nova/ingest/rtmp/guard"
	"nova/internal/media"
)

// program finds one of FFmpeg's programs, which real publishers in these tests are.
func program(t *testing.T, variable, name string) string {
	t.Helper()
	path, err := exec.LookPath(cmp.Or(os.Getenv(variable), name))
	if err != nil {
		t.Skipf("no %s: set %s", name, variable)
	}
	return path
}

// run runs a program to its end and returns its output. Errors are the test's.
func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, &stderr)
	}
	return out
}

// packet is one of ffprobe's packets of an FLV file, whose clock is RTMP's.
type packet struct {
	Kind  string `json:"codec_type"`
	PTS   int64  `json:"pts"`
	DTS   int64  `json:"dts"`
	Flags string `json:"flags"`
}

func probe(t *testing.T, file string) []packet {
	t.Helper()
	out := run(t, program(t, "NOVA_FFPROBE", "ffprobe"), "-v", "error", "-show_packets", "-of", "json", file)
	var answer struct{ Packets []packet }
	must(t, json.Unmarshal(out, &answer))
	return answer.Packets
}

// checkSamples compares what a hub got with what ffprobe reads from the same stream in a file: how many packets
// of each kind, with which times, and which are keyframes.
func checkSamples(t *testing.T, samples []hub.Sample, file string) {
	t.Helper()
	for track, kind := range map[int]string{videoTrack: "video", audioTrack: "audio"} {
		var want []packet
		for _, p := range probe(t, file) {
			if p.Kind == kind {
				want = append(want, p)
			}
		}
		var got []hub.Sample
		for _, s := range samples {
			if s.Track == track {
				got = append(got, s)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d %s samples, want %d", len(got), kind, len(want))
			continue
		}
		for i, p := range want {
			s := got[i]
			key := strings.HasPrefix(p.Flags, "K")
			if int64(s.Time) != p.DTS || int64(s.Time)+s.CompositionOffset != p.PTS || kind == "video" && s.Key != key {
				t.Errorf("%s %d: dts %d, offset %d, key %v; want %+v", kind, i, s.Time, s.CompositionOffset, s.Key, p)
				break
			}
		}
	}
}

// The inputs of ffmpeg that the publishers below are made of.
func picture(size, rate string) []string {
	return []string{"-f", "lavfi", "-i", "testsrc2=s=" + size + ":r=" + rate}
}

func sound(rate string) []string {
	return []string{"-f", "lavfi", "-i", "sine=440:sample_rate=" + rate}
}

func join(lists ...[]string) []string { return slices.Concat(lists...) }

var x264 = []string{"-c:v", "libx264", "-preset", "ultrafast", "-g", "25"}

// Real publishes, each compared with the same stream in a file.
func TestFFmpegPublishes(t *testing.T) {
	ffmpeg := program(t, "NOVA_FFMPEG", "ffmpeg")
	b := serve(t, nil)
	for name, c := range map[string]struct {
		args  []string
		check func(t *testing.T, p *recording)
	}{
		"H.264 with B-frames and AAC": {
			join(picture("320x240", "25"), sound("48000"), x264, []string{"-preset", "veryfast", "-bf", "3", "-c:a", "aac", "-ac", "2"}),
			func(t *testing.T, p *recording) {
				v, a := p.tracks[0][0].Config, p.tracks[0][1].Config
				if v.Width != 320 || v.Height != 240 || !v.Reordered || v.FrameRate.Num != 25 || a.SampleRate != 48000 || a.Channels != 2 {
					t.Errorf("video %+v, audio %+v", v, a)
				}
				if !slices.ContainsFunc(p.samples, func(s hub.Sample) bool { return s.CompositionOffset > 40 }) {
					t.Error("no B-frames came through")
				}
			},
		},
		"open GOP": {
			join(picture("320x240", "25"), x264, []string{"-preset", "veryfast", "-bf", "3", "-x264-params", "open-gop=1:keyint=15:min-keyint=15"}),
			nil, // ffprobe takes recovery points for keyframes: see the test's end
		},
		"video only, 30000/1001, slices": {
			join(picture("320x240", "30000/1001"), x264, []string{"-slices", "4", "-tune", "zerolatency"}),
			func(t *testing.T, p *recording) {
				if v := p.tracks[0][0]; len(p.tracks[0]) != 1 || v.Config.FrameRate != (media.Rational{Num: 30000, Den: 1001}) || v.Config.Reordered {
					t.Errorf("tracks %+v", p.tracks)
				}
			},
		},
		"variable frame rate": {
			join(picture("320x240", "50"), x264, []string{"-vf", "select='not(mod(n,3))+not(mod(n,7))'", "-fps_mode", "vfr"}),
			nil,
		},
		"audio only, mono, 44.1 kHz": {
			join(sound("44100"), []string{"-c:a", "aac", "-ac", "1"}),
			func(t *testing.T, p *recording) {
				if a := p.tracks[0][0]; len(p.tracks[0]) != 1 || a.Name != media.SourceAudio || a.Timescale != 44100 || a.Config.Channels != 1 {
					t.Errorf("tracks %+v", p.tracks)
				}
			},
		},
		"5.1 sound": {
			join(picture("320x240", "25"), sound("48000"), x264, []string{"-c:a", "aac", "-ac", "6"}),
			func(t *testing.T, p *recording) {
				if a := p.tracks[0][1].Config; a.Channels != 6 || a.SampleRate != 48000 {
					t.Errorf("audio %+v", a)
				}
			},
		},
		"timestamps past 4 h 39 m": {
			// A picture over 64 KiB: only messages of several chunks meet the trap.
			join(picture("1280x720", "25"), sound("48000"), x264, []string{"-crf", "10", "-frames:v", "10", "-c:a", "aac", "-output_ts_offset", "17000"}),
			func(t *testing.T, p *recording) {
				if first := p.samples[0].Time; first < 17_000_000 {
					t.Errorf("first sample at %d", first)
				}
			},
		},
		"timestamps that pass 4 h 39 m": {
			join(picture("320x240", "25"), sound("48000"), x264, []string{"-c:a", "aac", "-output_ts_offset", "16776"}),
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			source, file := filepath.Join(dir, "source.mkv"), filepath.Join(dir, "want.flv")
			offset := []string{}
			args := c.args
			if i := slices.Index(args, "-output_ts_offset"); i >= 0 {
				offset, args = args[i:], args[:i]
			}
			run(t, ffmpeg, join([]string{"-v", "error"}, args, []string{"-t", "2", source})...)
			url := "rtmp://" + b.address + "/live/" + keyA
			for _, target := range []string{file, url} {
				run(t, ffmpeg, join([]string{"-v", "error", "-i", source, "-c", "copy"}, offset, []string{"-f", "flv", "-flvflags", "no_duration_filesize", target})...)
			}
			p := b.waitClosed(t, "stream-a")
			if p.reason != nil {
				t.Fatal(p.reason)
			}
			if name == "open GOP" {
				keys := 0
				for i := range p.samples {
					if p.samples[i].Key {
						keys++
					}
				}
				if keys != 1 || len(p.samples) != 50 {
					t.Errorf("%d keyframes in %d samples: only the first picture is an IDR", keys, len(p.samples))
				}
				return
			}
			checkSamples(t, p.samples, file)
			if c.check != nil {
				c.check(t, p)
			}
		})
	}
	b.stop()
	if n := b.count(t, "repairs_total", string(guard.RepairExtended)); n == 0 {
		t.Error("no extended timestamp was seen: the publishes past 4 h 39 m proved nothing")
	}
	if n := b.count(t, "dropped_tags_total", ""); n != 0 {
		t.Errorf("%v tags dropped", n)
	}
}

// A publisher whose picture changes its size sends new parameter sets in band.
func TestFFmpegChangesSize(t *testing.T) {
	ffmpeg := program(t, "NOVA_FFMPEG", "ffmpeg")
	dir := t.TempDir()
	list := ""
	for _, size := range []string{"320x240", "640x360", "320x240"} {
		file := filepath.Join(dir, size+".mp4")
		run(t, ffmpeg, join([]string{"-v", "error", "-y"}, picture(size, "25"), x264, []string{"-t", "1", file})...)
		list += "file " + file + "\n"
	}
	names := filepath.Join(dir, "list.txt")
	must(t, os.WriteFile(names, []byte(list), 0o600))
	b := serve(t, nil)
	run(t, ffmpeg, "-v", "error", "-f", "concat", "-safe", "0", "-i", names, "-c", "copy", "-f", "flv", "rtmp://"+b.address+"/live/"+keyA)
	p := b.waitClosed(t, "stream-a")
	var widths []string
	var last *media.CodecConfig
	for _, s := range p.samples {
		if s.Config != last {
			last = s.Config
			widths = append(widths, strconv.Itoa(last.Width))
			if !s.Key {
				t.Errorf("the change at %d is not at a keyframe", s.Time)
			}
		}
	}
	if strings.Join(widths, " ") != "320 640 320" || len(p.samples) != 75 {
		t.Errorf("widths %v in %d samples", widths, len(p.samples))
	}
}

// ffmpeg says why it was refused.
func TestFFmpegIsRefused(t *testing.T) {
	ffmpeg := program(t, "NOVA_FFMPEG", "ffmpeg")
	b := serve(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, ffmpeg, join([]string{"-v", "error"}, sound("48000"), []string{"-t", "1", "-c:a", "aac", "-f", "flv", "rtmp://" + b.address + "/live/wrong-" + secret})...)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "the stream key is not accepted") {
		t.Errorf("%v\n%s", err, out)
	}
}

// What comes through decodes: the units, as a raw H.264 stream, give every picture without a complaint.
func TestFFmpegUnitsDecode(t *testing.T) {
	ffmpeg := program(t, "NOVA_FFMPEG", "ffmpeg")
	b := serve(t, nil)
	run(t, ffmpeg, join([]string{"-v", "error"}, picture("320x240", "25"), x264, []string{"-bf", "2", "-t", "2", "-f", "flv", "rtmp://" + b.address + "/live/" + keyA})...)
	p := b.waitClosed(t, "stream-a")
	var raw []byte
	var last *media.CodecConfig
	for _, s := range p.samples {
		if s.Config != last {
			last = s.Config
			for _, set := range slices.Concat(last.SPS, last.PPS) {
				raw = append(append(raw, 0, 0, 0, 1), set...)
			}
		}
		for data := s.Data; len(data) > 0; {
			n := int(uint32(data[0])<<24 | uint32(data[1])<<16 | uint32(data[2])<<8 | uint32(data[3]))
			raw = append(append(raw, 0, 0, 0, 1), data[4:4+n]...)
			data = data[4+n:]
		}
	}
	file := filepath.Join(t.TempDir(), "out.h264")
	must(t, os.WriteFile(file, raw, 0o600))
	frames := run(t, ffmpeg, "-v", "error", "-xerror", "-i", file, "-f", "framecrc", "-fps_mode", "passthrough", "-")
	if n := bytes.Count(frames, []byte("\n0,")); n != 50 {
		t.Errorf("%d pictures of 50 decoded:\n%s", n, frames[:min(len(frames), 1000)])
	}
}
