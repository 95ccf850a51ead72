package packager

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"nova/internal/testkit"
)

// A flash and a beep each second: after packaging they are still at the same time, and at the time where they
// were made.
func TestFlashAndBeepStayTogether(t *testing.T) {
	flash := clip(t, "-f lavfi -i color=black:s=64x64:r=30000/1001:d=8,drawbox=enable='lt(mod(t\\,1)\\,0.1)':color=white:t=fill "+
		"-g 60 -bf 2 "+encode+"-preset veryfast")
	beep := clip(t, "-f lavfi -i sine=f=1000:r=44100:d=8:samples_per_frame=49,volume=eval=frame:volume='lt(mod(t\\,1)\\,0.1)' -c:a aac -b:a 128k")
	lanes := []lane{{name: "source", clip: flash}, {name: "source-audio", clip: beep}}
	w := play(t, DefaultConfig(), lanes, nil)
	w.checkAll(t)
	w.exact(t, "source", lanes[0])

	// The clip's own delays: its picture begins with the B-frames' delay, its sound with the encoder's.
	videoDelay := float64(flash.Units[0].PTS-flash.Units[0].DTS) / 90000
	audioDelay := 1024.0 / 44100
	flashes := flashTimes(t, w.rec.tracks["source"].decode(t)[0])
	beeps := beepTimes(t, w.rec.tracks["audio"].decode(t)[0], 44100)
	if len(flashes) < 6 || len(beeps) < 6 {
		t.Fatalf("flashes %v, beeps %v", flashes, beeps)
	}
	for _, f := range flashes {
		b := nearest(beeps, f)
		if off := (f - videoDelay) - (b - audioDelay); math.Abs(off) > 0.040 {
			t.Errorf("flash at %.3f, beep at %.3f: %.0f ms apart", f, b, off*1000)
		}
	}
}

func nearest(list []float64, to float64) float64 {
	return slices.MinFunc(list, func(a, b float64) int { return cmp.Compare(math.Abs(a-to), math.Abs(b-to)) })
}

// flashTimes are the times at which the picture turns white, from the file's own time stamps.
func flashTimes(t *testing.T, file string) []float64 {
	times := frameTimes(t, file, "v:0")
	light := ffmpeg(t, "-i", file, "-vf", "scale=1:1,format=gray", "-fps_mode", "passthrough", "-f", "rawvideo", "-")
	if len(light) != len(times) {
		t.Fatalf("%d pictures, %d time stamps", len(light), len(times))
	}
	var out []float64
	for i := 1; i < len(light); i++ {
		if light[i] > 128 && light[i-1] <= 128 {
			out = append(out, times[i])
		}
	}
	return out
}

// beepTimes are the times at which the sound sets in after silence.
func beepTimes(t *testing.T, file string, rate int) []float64 {
	first := frameTimes(t, file, "a:0")[0]
	pcm := ffmpeg(t, "-i", file, "-ac", "1", "-c:a", "pcm_s16le", "-f", "s16le", "-")
	var out []float64
	quiet := rate
	for i := 0; i+1 < len(pcm); i += 2 {
		v := int16(binary.LittleEndian.Uint16(pcm[i:]))
		if v > 3000 || v < -3000 {
			if quiet > rate/2 {
				out = append(out, first+float64(i/2)/float64(rate))
			}
			quiet = 0
		} else {
			quiet++
		}
	}
	return out
}

func frameTimes(t *testing.T, file, stream string) (times []float64) {
	text := tool(t, "ffprobe", "-v", "error", "-select_streams", stream, "-show_entries", "frame=pts_time",
		"-of", "default=nw=1:nk=1", file)
	for _, line := range strings.Fields(string(text)) {
		v, err := strconv.ParseFloat(line, 64)
		if err != nil {
			t.Fatalf("time %q: %v", line, err)
		}
		times = append(times, v)
	}
	return times
}

// The real clip, a film of 1080p24 with keyframes up to ten seconds apart and six channels of sound: neither is
// passed through, and what the transcoder makes of it plays.
func TestRealClip(t *testing.T) {
	cache := cmp.Or(os.Getenv("XDG_CACHE_HOME"), filepath.Join(os.Getenv("HOME"), ".cache"))
	path := cmp.Or(os.Getenv("NOVA_CLIP"), filepath.Join(cache, "nova", "clip", "video.mp4"))
	whole, err := testkit.ReadClip(path)
	if err != nil {
		t.Skipf("no clip: %v", err)
	}
	const seconds = 14
	input := fmt.Sprintf("-t %d -i %s -map ", seconds, path)
	lanes := []lane{
		{name: "source", clip: split(whole, testkit.VideoTrack, seconds)},
		{name: "source-audio", clip: split(whole, testkit.AudioTrack, seconds)},
		{name: "90p", delay: lag, shift: time.Second / 12, clip: clip(t, input+"0:v -vf scale=160:90 "+encode+
			"-force_key_frames 0,2,4,6,8,10,10.41,11.87,13.87 -g 1000 -bf 0")},
		{name: "audio", delay: lag, clip: clip(t, input+"0:a -ac 2 -c:a aac")},
	}
	w := play(t, DefaultConfig(), lanes, nil)
	w.check(t, []string{"90p audio"}, `
		90p: 2.00 2.00 2.00 2.00 2.00 3.88 0.12
		audio: 2.00 2.00 2.00 2.00 2.00 3.88 0.12`)
	w.exact(t, "90p", lanes[2])
	w.exact(t, "audio", lanes[3])
	if w.viewer.shown > 3*time.Second {
		t.Errorf("playable after %v", w.viewer.shown)
	}
}

// split takes the first seconds of one track.
func split(c *testkit.Clip, track int, seconds int64) *testkit.Clip {
	out := &testkit.Clip{}
	for _, t := range c.Tracks {
		if t.ID == track {
			out.Tracks = append(out.Tracks, t)
		}
	}
	for _, u := range c.Units {
		if u.Track == track && u.DTS < seconds*int64(out.Tracks[0].Timescale) {
			out.Units = append(out.Units, u)
		}
	}
	return out
}
