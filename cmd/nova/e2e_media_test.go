package main

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// flashAndBeep is 720p30 with a white flash and a 1 kHz beep of 0.1 s at every full second.
func flashAndBeep(seconds string) []string {
	return []string{
		"-re", "-f", "lavfi", "-i", "color=black:s=1280x720:r=30,drawbox=w=iw:h=ih:color=white:t=fill:enable='lt(mod(t,1),0.1)'",
		"-f", "lavfi", "-i", "aevalsrc='if(lt(mod(t,1),0.1),sin(2*PI*1000*t),0)':s=48000,aformat=s16",
		"-t", seconds, "-c:v", "libx264", "-preset", "ultrafast", "-g", "60", "-pix_fmt", "yuv420p", "-c:a", "aac", "-ac", "2",
	}
}

// One broadcast from RTMP to the recording: each rendition decodes, keyframes align, sound and picture stay
// together, and S3 holds exactly what its playlists name.
func TestBroadcastBecomesARecording(t *testing.T) {
	s := startStack(t)
	p := publish(t, s.userURL(), flashAndBeep("12")...)
	eventually(t, 10*time.Second, "the live playlist", func() error {
		_, err := get(s.facts.HLSURL)
		return err
	})
	eventually(t, 5*time.Second, "the publisher's statistics", func() error {
		body, err := get(s.facts.AdminURL + "/streams")
		var list struct {
			Streams []struct {
				Stream string
				Video  struct{ FPS float64 }
			}
		}
		if err == nil {
			err = json.Unmarshal([]byte(body), &list)
		}
		if err == nil && (len(list.Streams) != 1 || list.Streams[0].Stream != userStream || math.Abs(list.Streams[0].Video.FPS-30) > 3) {
			err = errors.New(body)
		}
		return err
	})
	p.wait(30 * time.Second)
	r := s.awaitRecording(userStream)
	if math.Abs(r.Seconds-12) > 0.5 {
		t.Errorf("the recording is %f s long, 12 were published", r.Seconds)
	}
	base := s.facts.HTTPURL + strings.TrimSuffix(r.HLSURL, "index.m3u8")
	master, err := get(base + "index.m3u8")
	if err != nil {
		t.Fatal(err)
	}
	renditions := mediaPlaylists(master)
	if len(renditions) < 4 { // source, 480p, 360p and sound
		t.Fatalf("only %v in\n%s", renditions, master)
	}
	t.Run("decodes", func(t *testing.T) { eachDecodes(t, base, renditions) })
	t.Run("keyframes align", func(t *testing.T) { keyframesAlign(t, base, renditions) })
	t.Run("sound and picture", func(t *testing.T) { soundFollowsPicture(t, base+"index.m3u8") })
	t.Run("S3 holds what is named", func(t *testing.T) { bucketHoldsWhatIsNamed(t, s, r.VideoID, base, renditions) })
}

// mediaPlaylists lists the URIs that a multivariant playlist names.
func mediaPlaylists(master string) []string {
	var uris []string
	for line := range strings.Lines(master) {
		line = strings.TrimSpace(line)
		if m := regexp.MustCompile(`^#EXT-X-MEDIA:.*URI="([^"]+)"`).FindStringSubmatch(line); m != nil {
			line = m[1]
		}
		if line != "" && !strings.HasPrefix(line, "#") && !slices.Contains(uris, line) {
			uris = append(uris, line)
		}
	}
	return uris
}

func eachDecodes(t *testing.T, base string, renditions []string) {
	for _, uri := range renditions {
		_, errs := ffmpegRun(t, ffmpegPath(), "-v", "error", "-i", base+uri, "-f", "null", "-")
		if errs != "" {
			t.Errorf("%s: %s", uri, errs)
		}
	}
}

// keyframesAlign compares the times of keyframes of all video renditions.
func keyframesAlign(t *testing.T, base string, renditions []string) {
	times := map[string][]string{}
	for _, uri := range renditions {
		out, _ := ffmpegRun(t, ffprobePath(), "-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time,flags",
			"-of", "csv=p=0", base+uri)
		for line := range strings.Lines(out) {
			if at, flags, ok := strings.Cut(strings.TrimSpace(line), ","); ok && strings.HasPrefix(flags, "K") {
				times[uri] = append(times[uri], at)
			}
		}
	}
	if len(times) < 3 {
		t.Fatalf("fewer than three video renditions: %v", times)
	}
	var first []string
	for uri, keys := range times {
		if first == nil {
			first = keys
		}
		if !slices.Equal(keys, first) || len(keys) < 6 {
			t.Errorf("%s has keyframes at %v, another rendition at %v", uri, keys, first)
		}
	}
}

// soundFollowsPicture measures flashes and beeps in what a player decodes.
func soundFollowsPicture(t *testing.T, url string) {
	flashes, beeps := flashesAndBeeps(t, url)
	if len(flashes) < 10 || len(beeps) < 10 {
		t.Fatalf("%d flashes and %d beeps of 11", len(flashes), len(beeps))
	}
	for _, flash := range flashes {
		offset := math.Inf(1)
		for _, beep := range beeps {
			if math.Abs(beep-flash) < math.Abs(offset) {
				offset = beep - flash
			}
		}
		if math.Abs(offset) > 0.040 {
			t.Errorf("the beep of the flash at %.3f s is off by %.0f ms", flash, offset*1000)
		}
	}
	t.Logf("%d flashes, %d beeps, within 40 ms of each other", len(flashes), len(beeps))
}

// flashesAndBeeps are the times at which the picture turns white and the sound begins, except at the start.
func flashesAndBeeps(t *testing.T, url string) (flashes, beeps []float64) {
	t.Helper()
	levels := filepath.Join(t.TempDir(), "levels")
	_, errs := ffmpegRun(t, ffmpegPath(), "-hide_banner", "-i", url, "-filter_complex",
		"[0:v:0]signalstats,metadata=print:key=lavfi.signalstats.YAVG:file="+levels+"[v];[0:a:0]silencedetect=n=-30dB:d=0.2[a]",
		"-map", "[v]", "-f", "null", "-", "-map", "[a]", "-f", "null", "-")
	for _, m := range regexp.MustCompile(`silence_end: ([0-9.]+)`).FindAllStringSubmatch(errs, -1) {
		beeps = append(beeps, number(m[1]))
	}
	raw, err := os.ReadFile(levels)
	if err != nil {
		t.Fatal(err)
	}
	at, white := 0.0, true
	for line := range strings.Lines(string(raw)) {
		if m := regexp.MustCompile(`pts_time:([0-9.]+)`).FindStringSubmatch(line); m != nil {
			at = number(m[1])
		} else if _, value, ok := strings.Cut(strings.TrimSpace(line), "YAVG="); ok {
			now := number(value) > 120
			if now && !white {
				flashes = append(flashes, at)
			}
			white = now
		}
	}
	return flashes, beeps
}

func number(s string) float64 {
	v, _ := strconv.ParseFloat(s, 64)
	return v
}

// bucketHoldsWhatIsNamed compares the objects of a recording with what its playlists name.
func bucketHoldsWhatIsNamed(t *testing.T, s *stack, videoID, base string, renditions []string) {
	named := []string{"index.m3u8", "poster.jpg"}
	for _, uri := range renditions {
		text, err := get(base + uri)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(text, "#EXT-X-ENDLIST") {
			t.Errorf("%s does not end", uri)
		}
		named = append(named, uri)
		for _, object := range mediaObjects(text) {
			named = append(named, filepath.Dir(uri)+"/"+object)
		}
	}
	var held []string
	root := filepath.Join(s.dir, "s3", "data", "nova", "vod", videoID)
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			name, _ := filepath.Rel(root, path)
			held = append(held, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(named)
	slices.Sort(held)
	if named = slices.Compact(named); !slices.Equal(named, held) {
		t.Errorf("named %v\nheld %v", named, held)
	}
}

// mediaObjects lists the segments and initialization sections of a media playlist, gaps left out.
func mediaObjects(playlist string) []string {
	var objects []string
	gap := false
	for line := range strings.Lines(playlist) {
		line = strings.TrimSpace(line)
		switch m := regexp.MustCompile(`^#EXT-X-MAP:URI="([^"]+)"`).FindStringSubmatch(line); {
		case m != nil:
			objects = append(objects, m[1])
		case line == "#EXT-X-GAP":
			gap = true
		case line != "" && !strings.HasPrefix(line, "#"):
			if !gap {
				objects = append(objects, line)
			}
			gap = false
		}
	}
	return objects
}
