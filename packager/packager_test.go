package packager

import (
	"slices"
	"strings"
	"testing"
	"time"

	"nova/internal/media"
	"nova/internal/testkit"
)

// lag is how long the transcoder of these tests takes.
const lag = 300 * time.Millisecond

// check compares what a session made of its renditions: their names as the viewer saw them over time, and a
// line per rendition.
func (w *world) check(t *testing.T, variants []string, sum string) {
	t.Helper()
	w.checkAll(t)
	if !slices.Equal(w.viewer.variants, variants) {
		t.Errorf("variants %q, want %q", w.viewer.variants, variants)
	}
	trim := func(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\t", "") }
	if got := trim(w.rec.sum()); got != trim(sum) {
		t.Errorf("renditions\n%s\nwant\n%s", got, trim(sum))
	}
	if t.Failed() {
		t.Log(w.logs.String())
	}
}

// still makes a lane of posters: any units will do as pictures.
func still(t *testing.T) lane {
	c := *picture(t, "212x120", "1", 1, 9, "-bf 0")
	c.Tracks = slices.Clone(c.Tracks)
	c.Tracks[0].Kind = media.Image
	return lane{name: media.Poster, clip: &c, delay: lag}
}

// A film with B-frames, passed through beside two rungs: everything is there within three seconds, aligned, and
// plays.
func TestPassthroughAndRungs(t *testing.T) {
	shift := time.Second / 12 // the source's B-frames begin so late
	lanes := []lane{
		{name: "source", clip: picture(t, "320x180", "24", 48, 9, "-bf 2 -preset veryfast")},
		{name: "source-audio", clip: sound(t, 48000, 2, 9)},
		{name: "120p", clip: picture(t, "212x120", "24", 48, 9, "-bf 0"), delay: lag, shift: shift},
		{name: "90p", clip: picture(t, "160x90", "24", 48, 9, "-bf 0"), delay: lag + 100*time.Millisecond, shift: shift},
		still(t),
	}
	w := play(t, DefaultConfig(), lanes, nil)
	w.check(t, []string{"source 120p 90p audio"}, `
		120p: 2.00 2.00 2.00 2.00 1.00
		90p: 2.00 2.00 2.00 2.00 1.00
		audio: 2.00 2.00 2.00 2.00 1.00
		source: 2.00 2.00 2.00 2.00 1.00`)
	w.exact(t, "source", lanes[0])
	w.exact(t, "audio", lanes[1])
	w.exact(t, "120p", lanes[2])
	w.exact(t, "90p", lanes[3])
	if w.viewer.shown == 0 || w.viewer.shown > 3*time.Second {
		t.Errorf("playable after %v", w.viewer.shown)
	}
	if w.rec.posters != 9 || w.rec.session.VideoID != "demo-s1" || w.rec.session.Title != "A test" {
		t.Errorf("recording of %+v with %d posters", w.rec.session, w.rec.posters)
	}
	names := []string{}
	for _, r := range w.rec.list {
		names = append(names, r.Name)
		if r.Bandwidth < r.AverageBandwidth || r.AverageBandwidth <= 0 || r.Codecs == "" {
			t.Errorf("recorded rendition %+v", r)
		}
	}
	if want := []string{"source", "120p", "90p", "audio"}; !slices.Equal(names, want) {
		t.Errorf("the recording lists %q, want %q", names, want)
	}
	checkLive(t, w)
}

func checkLive(t *testing.T, w *world) {
	t.Helper()
	if len(w.viewer.live) != 1 {
		t.Fatalf("live list %+v", w.viewer.live)
	}
	l := w.viewer.live[0]
	if l.PlaybackID != "demo" || l.Title != "A test" || !l.StartedAt.Equal(start) ||
		l.HLSURL != "/hls/demo/index.m3u8" || l.PosterURL != "/hls/demo/poster.jpg" || len(l.Renditions) != 3 {
		t.Errorf("live %+v", l)
	}
	if r := l.Renditions[1]; r.Name != "120p" || r.Width != 212 || r.Height != 120 || r.Bitrate <= 0 {
		t.Errorf("live rendition %+v", r)
	}
}

// 30000/1001 frames a second, a GOP of four seconds, 44.1 kHz mono: the rung makes the first cut, and the source
// is shown once it has proven itself.
func TestLongGOPJoins(t *testing.T) {
	lanes := []lane{
		{name: "source", clip: picture(t, "320x180", "30000/1001", 120, 13, "-bf 0")},
		{name: "source-audio", clip: sound(t, 44100, 1, 13)},
		{name: "120p", clip: picture(t, "212x120", "30000/1001", 60, 13, "-bf 0"), delay: lag},
	}
	w := play(t, DefaultConfig(), lanes, nil)
	w.check(t, []string{"120p audio", "source 120p audio"}, `
		120p: 2.00 2.00 4.00 4.00 1.01
		audio: 2.00 2.00 4.00 4.00 1.01
		source: 2.00 gap2.00 4.00 4.00 1.01`)
	w.exact(t, "audio", lanes[1])
	w.exact(t, "120p", lanes[2])
	if w.viewer.shown > 3*time.Second {
		t.Errorf("playable after %v", w.viewer.shown)
	}
}

// A variable frame rate with B-frames and no transcoder: the source alone makes the stream.
func TestSourceAloneVFR(t *testing.T) {
	lanes := []lane{
		{name: "source", clip: clip(t, "-f lavfi -i testsrc2=s=212x120:r=30:d=9 -vf select='not(eq(mod(n\\,7)\\,3)+eq(mod(n\\,11)\\,5))' "+
			"-fps_mode vfr -force_key_frames expr:gte(t,n_forced*2) -bf 2 -video_track_timescale 90000 "+encode+"-preset veryfast -g 300")},
		{name: "source-audio", clip: sound(t, 44100, 2, 9)},
	}
	w := play(t, DefaultConfig(), lanes, nil)
	w.checkAll(t)
	w.exact(t, "source", lanes[0])
	w.exact(t, "audio", lanes[1])
	if want := []string{"source audio"}; !slices.Equal(w.viewer.variants, want) {
		t.Errorf("variants %q, want %q", w.viewer.variants, want)
	}
	if w.viewer.shown > 3*time.Second {
		t.Errorf("playable after %v", w.viewer.shown)
	}
}

// B-frames whose first decoding times lie before 0: the presentation times stay what they are.
func TestDecodingBeforeZero(t *testing.T) {
	lanes := []lane{
		{name: "source", clip: picture(t, "320x180", "24", 48, 9, "-bf 2 -preset veryfast"), shift: -time.Second / 12},
		{name: "source-audio", clip: sound(t, 48000, 2, 9)},
	}
	w := play(t, DefaultConfig(), lanes, nil)
	w.check(t, []string{"source audio"}, `
		audio: 2.00 2.00 2.00 2.00 1.02
		source: 2.00 2.00 2.00 2.00 1.02`)
	w.exact(t, "source", lanes[0])
	w.exact(t, "audio", lanes[1])
}

// Keyframes ten seconds apart: the source is never passed through.
func TestGOPTooLong(t *testing.T) {
	w := play(t, DefaultConfig(), []lane{
		{name: "source", clip: picture(t, "320x180", "25", 250, 11, "-bf 0")},
		{name: "source-audio", clip: sound(t, 48000, 2, 11)},
		{name: "120p", clip: picture(t, "212x120", "25", 50, 11, "-bf 0"), delay: lag},
	}, nil)
	w.check(t, []string{"120p audio"}, `
		120p: 2.00 2.00 2.00 2.00 2.00 1.02
		audio: 2.00 2.00 2.00 2.00 2.00 1.02`)
}

// Keyframes of a passed source stay away: it leaves the stream, and comes back when it has proven itself again.
func TestGOPBecomesTooLong(t *testing.T) {
	keys := "-force_key_frames 0,2,4,14,16,18,20,22,24,26 -g 1000 "
	w := play(t, DefaultConfig(), []lane{
		{name: "source", clip: picture(t, "320x180", "25", 1000, 28, "-bf 0 "+keys)},
		{name: "source-audio", clip: sound(t, 48000, 2, 28)},
		{name: "120p", clip: picture(t, "212x120", "25", 50, 28, "-bf 0"), delay: lag},
	}, nil)
	w.check(t, []string{"source 120p audio", "120p audio", "source 120p audio"}, `
		120p: 2.00 2.00 4.00 2.00 2.00 2.00 2.00 2.00 2.00 2.00 2.00 2.00 2.02
		audio: 2.00 2.00 4.00 2.00 2.00 2.00 2.00 2.00 2.00 2.00 2.00 2.00 2.02
		source: 2.00 2.00 4.00 gap2.00 gap2.00 gap2.00 gap2.00 gap2.00 gap2.00 2.00 2.00 2.00 2.02`)
}

// A rung that is shed leaves the multivariant playlist; its own goes on with gaps.
func TestShedRung(t *testing.T) {
	w := play(t, DefaultConfig(), []lane{
		{name: "source", clip: picture(t, "320x180", "25", 50, 11, "-bf 0")},
		{name: "source-audio", clip: sound(t, 48000, 2, 11)},
		{name: "120p", clip: picture(t, "212x120", "25", 50, 11, "-bf 0"), delay: lag, to: 5 * time.Second},
		{name: "90p", clip: picture(t, "160x90", "25", 50, 11, "-bf 0"), delay: lag},
	}, nil)
	w.check(t, []string{"source 120p 90p audio", "source 90p audio"}, `
		120p: 2.00 2.00 2.00 gap2.00 gap2.00 gap1.02
		90p: 2.00 2.00 2.00 2.00 2.00 1.02
		audio: 2.00 2.00 2.00 2.00 2.00 1.02
		source: 2.00 2.00 2.00 2.00 2.00 1.02`)
}

// A worker that dies for a while: its rung has gaps, then goes on at its next keyframe. The others never wait.
func TestWorkerDies(t *testing.T) {
	from, to := int64(5*90000), int64(11*90000)
	w := play(t, DefaultConfig(), []lane{
		{name: "source", clip: picture(t, "320x180", "25", 50, 17, "-bf 0")},
		{name: "source-audio", clip: sound(t, 48000, 2, 17)},
		{
			name: "120p", clip: picture(t, "212x120", "25", 50, 17, "-bf 0"), delay: lag,
			change: func(u *media.AccessUnit) *media.AccessUnit {
				if u.PTS >= from && u.PTS < to {
					return nil
				}
				return u
			},
		},
	}, nil)
	w.check(t, []string{"source 120p audio", "source audio", "source 120p audio"}, `
		120p: 2.00 2.00 2.00 gap2.00 gap2.00 gap2.00 2.00 2.00 1.02
		audio: 2.00 2.00 2.00 2.00 2.00 2.00 2.00 2.00 1.02
		source: 2.00 2.00 2.00 2.00 2.00 2.00 2.00 2.00 1.02`)
	for _, c := range []struct {
		name, label string
		want        float64
	}{
		{"nova_packager_segments_total", "video", 9 + 6},
		{"nova_packager_segments_total", "audio", 9},
		{"nova_packager_gaps_total", "", 3},
		{"nova_packager_cuts_total", "source", 9},
		{"nova_packager_cuts_total", "forced", 0},
		{"nova_packager_units_dropped_total", "keyframe", 25}, // from 11 s to the keyframe at 12 s
		{"nova_packager_held_bytes", "", 0},
		{"nova_packager_sessions", "", 0},
	} {
		if got := w.metric(c.name, c.label); got != c.want {
			t.Errorf("%s %s is %v, want %v", c.name, c.label, got, c.want)
		}
	}
	for _, kind := range []string{"video", "audio"} {
		parts := w.metric("nova_packager_parts_total", kind)
		if n := w.metric("nova_packager_inside_delay_seconds", kind); n != parts || n < 36 {
			t.Errorf("%v inside delays of %v %s parts", n, parts, kind)
		}
	}
}

// The publisher changes the size of its picture: a new initialization section behind a discontinuity.
func TestSizeChanges(t *testing.T) {
	a, b := picture(t, "320x180", "25", 50, 5, "-bf 0"), picture(t, "160x90", "25", 50, 6, "-bf 0")
	both := testkit.Clip{Tracks: a.Tracks, Units: slices.Clone(a.Units)}
	for _, u := range b.Units {
		c := *u
		c.PTS += 5 * 90000
		c.DTS += 5 * 90000
		both.Units = append(both.Units, &c)
	}
	lanes := []lane{
		{name: "source", clip: &both},
		{name: "source-audio", clip: sound(t, 48000, 2, 11)},
	}
	w := play(t, DefaultConfig(), lanes, nil)
	w.check(t, []string{"source audio"}, `
		audio: 2.00 2.00 1.00 !2.00 2.00 2.02
		source: 2.00 2.00 1.00 !2.00 2.00 2.02`)
	w.exact(t, "source", lanes[0])
	w.exact(t, "audio", lanes[1])
	if r := w.rec.tracks["source"]; len(r.inits) != 2 || r.rendition.Width != 160 {
		t.Errorf("%d initialization sections, width %d", len(r.inits), r.rendition.Width)
	}
}

// Six channels are not passed on: the transcoder's sound is.
func TestSurroundIsTranscoded(t *testing.T) {
	w := play(t, DefaultConfig(), []lane{
		{name: "source", clip: picture(t, "320x180", "25", 50, 5, "-bf 0")},
		{name: "source-audio", clip: sound(t, 48000, 6, 5)},
		{name: "audio", clip: sound(t, 48000, 2, 5), delay: lag},
	}, nil)
	w.check(t, []string{"source audio"}, `
		audio: 2.00 2.00 1.02
		source: 2.00 2.00 1.02`)
	if n := w.rec.tracks["audio"].rendition.Channels; n != 2 {
		t.Errorf("%d channels", n)
	}
}

// Tracks that stop do not hold up the others.
func TestTrackStops(t *testing.T) {
	until := func(seconds int64) func(u *media.AccessUnit) *media.AccessUnit {
		return func(u *media.AccessUnit) *media.AccessUnit {
			if u.Arrived.IsZero() && u.DTS >= seconds*int64(timescaleOf(u)) {
				return nil
			}
			return u
		}
	}
	t.Run("audio", func(t *testing.T) {
		w := play(t, DefaultConfig(), []lane{
			{name: "source", clip: picture(t, "320x180", "25", 50, 13, "-bf 0")},
			{name: "source-audio", clip: sound(t, 48000, 2, 13), change: until(3)},
		}, nil)
		w.check(t, []string{"source audio", "source"}, `
			audio: 2.00 2.00 gap2.00 gap2.00 gap2.00 gap2.00 gap1.00
			source: 2.00 2.00 2.00 2.00 2.00 2.00 1.00`)
	})
	t.Run("video", func(t *testing.T) {
		w := play(t, DefaultConfig(), []lane{
			{name: "source", clip: picture(t, "320x180", "25", 50, 13, "-bf 0"), change: until(5)},
			{name: "source-audio", clip: sound(t, 48000, 2, 13)},
		}, nil)
		w.checkAll(t)
		if got := w.rec.sum(); !strings.Contains(got, "source: 2.00 2.00 2.02 gap2.01 gap2.01") {
			t.Errorf("renditions\n%s", got)
		}
	})
}

// timescaleOf is the clock of the tests' units: their pictures are 90 kHz, their sound 48 kHz.
func timescaleOf(u *media.AccessUnit) int {
	if u.Config.Codec == media.AAC {
		return 48000
	}
	return media.VideoTimescale
}

func TestAudioOnly(t *testing.T) {
	lanes := []lane{{name: "source-audio", clip: sound(t, 44100, 2, 9)}}
	w := play(t, DefaultConfig(), lanes, nil)
	w.checkAll(t)
	w.exact(t, "audio", lanes[0])
	if want := []string{"audio"}; !slices.Equal(w.viewer.variants, want) {
		t.Errorf("variants %q, want %q", w.viewer.variants, want)
	}
}

func TestVideoOnly(t *testing.T) {
	lanes := []lane{{name: "source", clip: picture(t, "320x180", "25", 50, 9, "-bf 0")}}
	w := play(t, DefaultConfig(), lanes, nil)
	w.check(t, []string{"source"}, `source: 2.00 2.00 2.00 2.00 1.00`)
	w.exact(t, "source", lanes[0])
}

// A rung that joins late has gaps before it and enters the multivariant playlist with its first segment.
func TestRungJoinsLate(t *testing.T) {
	w := play(t, DefaultConfig(), []lane{
		{name: "source", clip: picture(t, "320x180", "25", 50, 11, "-bf 0")},
		{name: "source-audio", clip: sound(t, 48000, 2, 11)},
		{name: "120p", clip: picture(t, "212x120", "25", 50, 11, "-bf 0"), delay: lag, from: 5 * time.Second},
	}, nil)
	w.check(t, []string{"source audio", "source 120p audio"}, `
		120p: gap2.00 gap2.00 gap2.00 2.00 2.00 1.02
		audio: 2.00 2.00 2.00 2.00 2.00 1.02
		source: 2.00 2.00 2.00 2.00 2.00 1.02`)
}

// A rung that is shed before its first segment has never been: nobody is told of it, and nothing is recorded.
func TestRungShedAtOnce(t *testing.T) {
	w := play(t, DefaultConfig(), []lane{
		{name: "source", clip: picture(t, "320x180", "25", 50, 9, "-bf 0")},
		{name: "source-audio", clip: sound(t, 48000, 2, 9)},
		{name: "120p", clip: picture(t, "212x120", "25", 50, 9, "-bf 0"), delay: lag, to: 1500 * time.Millisecond},
		{name: "90p", clip: picture(t, "160x90", "25", 50, 9, "-bf 0"), delay: lag},
	}, nil)
	w.check(t, []string{"source 90p audio"}, `
		120p:
		90p: 2.00 2.00 2.00 2.00 1.02
		audio: 2.00 2.00 2.00 2.00 1.02
		source: 2.00 2.00 2.00 2.00 1.02`)
	if text := w.logs.String(); strings.Contains(text, `msg="rendition playable" comp=packager stream=demo session=s1 rendition=120p`) {
		t.Errorf("the log calls it playable:\n%s", text)
	}
	if n := w.metric("nova_packager_held_bytes", ""); n != 0 {
		t.Errorf("%v bytes are still held", n)
	}
}

// A transcoder that is slow to begin is waited for as long as the stream is still up in three seconds: a player
// that reads the multivariant playlist once must find every rung in it.
func TestSlowRungsAreWaitedFor(t *testing.T) {
	w := play(t, DefaultConfig(), []lane{
		{name: "source", clip: picture(t, "320x180", "25", 50, 9, "-bf 0")},
		{name: "source-audio", clip: sound(t, 48000, 2, 9)},
		{name: "120p", clip: picture(t, "212x120", "25", 50, 9, "-bf 0"), delay: 750 * time.Millisecond},
	}, nil)
	w.checkAll(t)
	if want := []string{"source 120p audio"}; !slices.Equal(w.viewer.variants, want) {
		t.Errorf("variants %q, want %q", w.viewer.variants, want)
	}
	if w.viewer.shown > 3*time.Second {
		t.Errorf("shown after %v", w.viewer.shown)
	}
}
