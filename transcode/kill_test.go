package transcode

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"nova/internal/media"
	"nova/internal/relay"
	"nova/transcode/av/avtest"
)

// publishFile publishes a file's picture and sound in real time.
func (r *rig) publishFile(stream string, f *avtest.File) {
	r.t.Helper()
	s, err := r.source.Open(relay.Info{Stream: stream, Session: "s-" + stream})
	if err != nil {
		r.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer s.Close()
		s.SetTracks(append(videoTracks(f.VideoConfig), media.Track{
			ID: soundID, Kind: media.Audio, Name: media.SourceAudio, Timescale: f.AudioConfig.SampleRate, Config: f.AudioConfig,
		}))
		began := time.Now()
		for _, u := range interleaved(f) {
			<-time.After(time.Until(began.Add(u.at)))
			u.unit.Arrived = time.Now()
			s.Write(u.unit)
		}
	}()
	r.t.Cleanup(func() { <-done })
}

const soundID = 2

type timedUnit struct {
	at   time.Duration
	unit *media.AccessUnit
}

// interleaved is a file's units in order of their DTS.
func interleaved(f *avtest.File) []timedUnit {
	var all []timedUnit
	add := func(units []*media.AccessUnit, id, timescale int) {
		for _, u := range units {
			c := *u
			c.Track = id
			all = append(all, timedUnit{media.Duration(u.DTS, timescale), &c})
		}
	}
	add(f.Video, sourceID, media.VideoTimescale)
	add(f.Audio, soundID, f.AudioConfig.SampleRate)
	slices.SortStableFunc(all, func(a, b timedUnit) int { return cmp.Compare(a.at, b.at) })
	return all
}

// decoded is how many pictures ffmpeg decodes of H.264 units; it fails the test where ffmpeg says a word.
func decoded(t *testing.T, units []*media.AccessUnit) int {
	t.Helper()
	var b []byte
	for i, u := range units {
		if i == 0 || u.Config != units[i-1].Config {
			for _, set := range slices.Concat(u.Config.SPS, u.Config.PPS) {
				b = append(append(b, 0, 0, 0, 1), set...)
			}
		}
		for data := u.Data; len(data) > 4; {
			n := binary.BigEndian.Uint32(data)
			b = append(append(b, 0, 0, 0, 1), data[4:4+n]...)
			data = data[4+n:]
		}
	}
	out := avtest.FFmpeg(t, b, "-xerror", "-f", "h264", "-i", "pipe:0", "-fps_mode", "passthrough", "-f", "framecrc", "-")
	return bytes.Count(out, []byte("\n")) - bytes.Count(out, []byte("\n#")) - 1
}

// kill -9 of a real worker in the middle of a stream: no picture is missing on any rung, and no sound; the output stands still
// for less than 3 s, and another stream's worker does not notice.
func TestKilledWorker(t *testing.T) {
	t.Parallel()
	clip := avtest.Make(t, "-f", "lavfi", "-i", "testsrc2=s=640x480:r=30:d=5",
		"-f", "lavfi", "-i", "sine=f=440:r=48000:d=5", "-c:a", "aac", "-ac", "6", "-c:v", "libx264", "-preset", "ultrafast",
		"-bf", "2", "-g", "45", "-sc_threshold", "0", "-pix_fmt", "yuv420p")
	cfg := testConfig(realArg)
	cfg.Ladder.Passthrough = false // 480p and 360p
	cfg.StallTimeout, cfg.DrainTimeout = 5*time.Second, 10*time.Second
	cfg.Backoff = DefaultConfig().Backoff
	r := newRig(t, cfg)
	r.publishFile("victim", clip)
	r.publishFile("witness", clip)
	other := make(chan *got, 1)
	go func() { other <- r.collect("witness") }()
	killed := false
	g := r.collectWith("victim", func(pts int64) {
		if pts > 2*media.VideoTimescale && !killed {
			killed = true
			r.killWorker("victim")
		}
	})
	checkWhole(t, "victim", g, clip)
	checkWhole(t, "witness", <-other, clip)
	if n := r.metric("nova_transcode_worker_restarts_total", endCrash); n != 1 {
		t.Errorf("%v workers crashed, want the one that was killed", n)
	}
	var still time.Duration
	for i := 1; i < len(g.at); i++ {
		still = max(still, g.at[i].Sub(g.at[i-1]))
	}
	t.Logf("after kill -9 the renditions stood still for %v, and no picture is missing", still)
	if still > 3*time.Second {
		t.Errorf("the renditions stood still for %v, want at most 3 s", still)
	}
	for _, line := range r.log.lines("worker is replaced") {
		if line["stream"] != "victim" {
			t.Errorf("%v", line)
		}
	}
}

func checkWhole(t *testing.T, stream string, g *got, clip *avtest.File) {
	t.Helper()
	var want []int64
	for _, u := range clip.Video {
		want = append(want, u.PTS)
	}
	slices.Sort(want)
	for _, rung := range []string{"480p", "360p"} {
		var stamps, keys, others []int64
		for _, u := range g.units[rung] {
			stamps = append(stamps, u.PTS)
			if u.Key {
				keys = append(keys, u.PTS)
			}
		}
		for _, u := range g.units["480p"] {
			if u.Key {
				others = append(others, u.PTS)
			}
		}
		if !slices.Equal(stamps, want) {
			t.Errorf("%s %s: %d pictures of %d", stream, rung, len(stamps), len(want))
		}
		if !slices.Equal(keys, others) {
			t.Errorf("%s: %s has keyframes at %v, 480p at %v", stream, rung, keys, others)
		}
		if n := decoded(t, g.units[rung]); n != len(want) {
			t.Errorf("%s %s: %d pictures decode of %d", stream, rung, n, len(want))
		}
	}
	sound := g.units[media.SharedAudio]
	for i, u := range sound {
		if i > 0 && u.PTS-sound[i-1].PTS != 1024 {
			t.Errorf("%s: sound goes from %d to %d", stream, sound[i-1].PTS, u.PTS)
		}
	}
	if len(sound) < 233 {
		t.Errorf("%s: %d units of sound, want 5 s", stream, len(sound))
	}
	if len(g.units[media.Poster]) != 1 {
		t.Errorf("%s: %d posters", stream, len(g.units[media.Poster]))
	}
}
