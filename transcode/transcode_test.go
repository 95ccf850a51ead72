package transcode

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"nova/internal/media"
	"nova/internal/relay"
)

func TestStreamGoesThrough(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig(fakeArg, "ok", "0", ""))
	r.live("demo", 90, 30, 2*time.Millisecond)
	g := r.collect("demo")
	g.whole(t, 90, "480p", "360p")
	if !slices.Equal(g.lists[0], []string{"480p", "360p"}) || len(g.lists) != 1 {
		t.Errorf("track lists %v", g.lists)
	}
	r.stop()
	for name, want := range map[string]float64{
		"nova_transcode_workers": 0, "nova_transcode_frames_in_use": 0, "nova_transcode_queue_depth_units": 0,
		"nova_transcode_worker_restarts_total": 0, "nova_transcode_reserved_cores": 0, "nova_transcode_errors_total": 1,
		"nova_transcode_encode_speed_ratio": 1,
	} {
		if got := r.metric(name, ""); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	lines := r.log.lines("fake worker begins")
	if len(lines) != 1 || lines[0]["stream"] != "demo" || lines[0]["comp"] != "transcode" {
		t.Errorf("the worker's log line came as %v", lines)
	}
}

// A worker that dies once, in whatever way, costs no picture: another one goes on with the next.
func TestWorkerDiesOnce(t *testing.T) {
	t.Parallel()
	for _, mode := range []struct{ name, reason string }{
		{"crash", endCrash},
		{"fail", endExit},
		{"early", endEarly},
		{"stall", endStall},
		{"deaf", endStall},
		{"garbage", endGarbage},
		{"strange", endGarbage},
	} {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			marker := filepath.Join(t.TempDir(), "died")
			cfg := testConfig(fakeArg, mode.name, fmt.Sprint(45*frame), marker)
			if mode.reason == endStall {
				cfg.StallTimeout = 500 * time.Millisecond
			}
			r := newRig(t, cfg)
			r.live("demo", 180, 30, 10*time.Millisecond)
			g := r.collect("demo")
			g.whole(t, 180, "480p", "360p")
			if n := r.metric("nova_transcode_worker_restarts_total", mode.reason); n != 1 {
				t.Errorf("%v restarts because of %q, want 1", n, mode.reason)
			}
			if n := r.metric("nova_transcode_gap_seconds", ""); n != 2 {
				t.Errorf("%v gaps measured, want one for each rung", n)
			}
			for _, u := range slices.Concat(g.units["480p"], g.units["360p"]) {
				if u.Discontinuity || u.Config != g.units["480p"][0].Config && u.Config != g.units["360p"][0].Config {
					t.Fatalf("unit at %d: the same configuration must stay the same pointer, unflagged", u.PTS)
				}
			}
			if len(g.lists) != 1 {
				t.Errorf("track lists %v: an unchanged one must not be announced again", g.lists)
			}
		})
	}
}

// A successor with another configuration is flagged once.
func TestReconfiguredWorker(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig(fakeArg, "reconfigure", "0", ""))
	r.live("demo", 120, 30, 10*time.Millisecond)
	killed := false
	g := r.collectWith("demo", func(pts int64) {
		if pts > 45*frame && !killed {
			killed = true
			r.killWorker("demo")
		}
	})
	var flagged []int64
	for _, u := range g.units["480p"] {
		if u.Discontinuity {
			flagged = append(flagged, u.PTS)
		}
	}
	if len(flagged) != 1 || len(g.lists) != 2 {
		t.Errorf("flagged at %v with %d track lists, want one flag and two lists", flagged, len(g.lists))
	}
}

// A group of pictures on which each worker dies is left out; what comes after it is there.
func TestPoisonedPicturesAreLeftOut(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig(fakeArg, "crash", fmt.Sprint(45*frame), ""))
	r.live("demo", 60, 30, 5*time.Millisecond)
	g := r.collect("demo")
	g.whole(t, 45, "480p", "360p") // up to the poison
	if n := len(r.log.lines("workers die on the same pictures: going on at the next keyframe")); n == 0 {
		t.Error("the poison was not isolated")
	}
}

// One stream's worker dies again and again; the other stream does not notice.
func TestOtherStreamsAreUntouched(t *testing.T) {
	t.Parallel()
	cfg := testConfig(fakeArg, "crash", fmt.Sprint(100*frame), "")
	r := newRig(t, cfg)
	r.live("bad", 120, 30, 10*time.Millisecond)
	r.live("good", 100, 30, 12*time.Millisecond) // ends before the fault
	g := r.collect("good")
	g.whole(t, 100, "480p", "360p")
	for i := 1; i < len(g.at); i++ {
		if gap := g.at[i].Sub(g.at[i-1]); gap > 500*time.Millisecond {
			t.Errorf("good stood still for %v", gap)
		}
	}
	for _, line := range r.log.lines("worker is replaced") {
		if line["stream"] == "good" {
			t.Error("the worker of the good stream was replaced")
		}
	}
}

// A worker that ignores the end of its input is killed, and all that it gave is published.
func TestHangingWorkerIsKilled(t *testing.T) {
	t.Parallel()
	cfg := testConfig(fakeArg, "hang", "0", "")
	cfg.DrainTimeout = 300 * time.Millisecond
	r := newRig(t, cfg)
	r.live("demo", 30, 30, 2*time.Millisecond)
	began := time.Now()
	g := r.collect("demo")
	g.whole(t, 30, "480p", "360p")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the stream ended after %v", took)
	}
	if n := len(r.log.lines("worker started")); n != 1 {
		t.Errorf("%d workers were started for nothing more to do", n)
	}
}

func TestRefusedJobIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig(fakeArg, "refuse", "0", ""))
	published := r.live("demo", 60, 30, 5*time.Millisecond)
	<-published
	r.stop()
	if n := len(r.log.lines("worker started")); n != 1 {
		t.Errorf("%d workers were started for a job that cannot be done", n)
	}
	lines := r.log.lines("stream is not transcoded")
	if len(lines) != 1 || lines[0]["reason"] != "no such encoder" {
		t.Errorf("log lines %v, want one with the reason", lines)
	}
}

func TestMissingProgram(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.Command = []string{"/nonexistent/worker"}
	r := newRig(t, cfg)
	published := r.live("demo", 60, 30, 5*time.Millisecond)
	<-published
	r.stop()
	lines := r.log.lines("cannot start worker")
	if len(lines) < 2 || !strings.Contains(fmt.Sprint(lines[0]["err"]), "/nonexistent/worker") {
		t.Errorf("log lines %v, want several that name the program", lines)
	}
}

// A worker that hangs when the source has ended already is replaced too: the end of the stream is not lost.
func TestTailSurvivesHangingWorker(t *testing.T) {
	t.Parallel()
	cfg := testConfig(fakeArg, "stall", fmt.Sprint(45*frame), filepath.Join(t.TempDir(), "died"))
	cfg.DrainTimeout = 500 * time.Millisecond
	r := newRig(t, cfg)
	r.live("demo", 60, 30, 5*time.Millisecond)
	r.collect("demo").whole(t, 60, "480p", "360p")
}

// A worker that decodes a long way to the place where it is to go on gives nothing meanwhile, and is let be.
func TestWorkerMayCatchUp(t *testing.T) {
	t.Parallel()
	cfg := testConfig(fakeArg, "catchup", fmt.Sprint(45*frame), filepath.Join(t.TempDir(), "died"))
	cfg.StallTimeout = 500 * time.Millisecond
	r := newRig(t, cfg)
	r.live("demo", 250, 30, 10*time.Millisecond)
	r.collect("demo").whole(t, 250, "480p", "360p")
	if n := r.metric("nova_transcode_worker_restarts_total", ""); n != 1 {
		t.Errorf("%v restarts, want the one after the crash", n)
	}
}

// A source that ends without a word leaves nothing running.
func TestEmptySource(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig(fakeArg, "ok", "0", ""))
	for _, session := range []string{"one", "two"} {
		s, err := r.source.Open(relay.Info{Stream: "demo", Session: session})
		if err != nil {
			t.Fatal(err)
		}
		r.until("the stream is seen", func() bool { return r.metric("nova_transcode_streams", "") == 1 })
		s.Close()
		r.until("the stream is done", func() bool { return r.metric("nova_transcode_streams", "") == 0 })
	}
}

// The order to stop drains the workers, and ends the renditions properly.
func TestStopDrains(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig(fakeArg, "ok", "0", ""))
	r.live("demo", 150, 30, 10*time.Millisecond)
	reader, err := r.join("demo")
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	n := 0
	for {
		item, err := reader.Next(t.Context())
		if err != nil {
			if n < 60 {
				t.Errorf("renditions ended after %d units with %v", n, err)
			}
			break
		}
		if item.Unit == nil {
			continue
		}
		if n++; n == 60 {
			go r.stop()
		}
	}
	if len(r.log.lines("worker was killed by a signal")) > 0 {
		t.Error("the worker was killed")
	}
}

// The next session of a stream waits for the one before it to be drained.
func TestSessionsFollowEachOther(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig(fakeArg, "ok", "0", ""))
	for _, session := range []string{"one", "two"} {
		s, err := r.source.Open(relay.Info{Stream: "demo", Session: session})
		if err != nil {
			t.Fatal(err)
		}
		cfg := source720()
		s.SetTracks(videoTracks(cfg))
		done := make(chan *got, 1)
		for i := range 30 {
			s.Write(&media.AccessUnit{Track: sourceID, PTS: int64(i) * frame, DTS: int64(i) * frame, Key: i == 0, Config: cfg, Data: []byte{1}})
		}
		seen := make(chan struct{}, 100)
		go func() { done <- r.collectWith("demo", func(int64) { seen <- struct{}{} }) }()
		<-seen
		s.Close()
		(<-done).whole(t, 30, "480p", "360p")
	}
}

// The observed distance between keyframes makes a source unfit to be passed: its own height joins the ladder,
// without a picture missing.
func TestLongGOPAddsRung(t *testing.T) {
	t.Parallel()
	r := newRig(t, testConfig(fakeArg, "ok", "0", ""))
	r.live("demo", 240, 200, 3*time.Millisecond)
	g := r.collect("demo")
	g.whole(t, 240, "480p", "360p")
	last := g.lists[len(g.lists)-1]
	if !slices.Equal(last, []string{"720p", "480p", "360p"}) {
		t.Fatalf("tracks %v, want 720p added", last)
	}
	if n := r.metric("nova_transcode_worker_restarts_total", endReplan); n != 1 {
		t.Errorf("%v workers replaced for the ladder, want 1", n)
	}
	if first := g.units["720p"][0].PTS; first < 120*frame || first > 150*frame {
		t.Errorf("720p begins at picture %d, want right after 4 s", first/frame)
	}
}

func TestNothingToDo(t *testing.T) {
	t.Parallel()
	cfg := testConfig(fakeArg, "ok", "0", "")
	r := newRig(t, cfg)
	s, err := r.source.Open(relay.Info{Stream: "radio", Session: "one"})
	if err != nil {
		t.Fatal(err)
	}
	aac := &media.CodecConfig{Codec: media.AAC, Channels: 2, SampleRate: 48000, FrameSamples: 1024, AudioSpecificConfig: []byte{0x11, 0x90}}
	s.SetTracks([]media.Track{{ID: 2, Kind: media.Audio, Name: media.SourceAudio, Timescale: 48000, Config: aac}})
	for i := range 50 {
		s.Write(&media.AccessUnit{Track: 2, PTS: int64(i) * 1024, DTS: int64(i) * 1024, Key: true, Config: aac, Data: []byte{1}})
	}
	r.until("the plan is made", func() bool { return len(r.log.lines("nothing to transcode")) == 1 })
	s.Close()
	r.stop()
	if n := len(r.log.lines("worker started")); n != 0 {
		t.Errorf("%d workers for sound that players can have as it is", n)
	}
}

// Streams that do not fit get fewer rungs, at last none, and are served when others end.
func TestAdmissionOfStreams(t *testing.T) {
	t.Parallel()
	cfg := testConfig(fakeArg, "ok", "0", "")
	cfg.MaxStreams = 1
	r := newRig(t, cfg)
	r.live("first", 60, 30, 5*time.Millisecond)
	r.collect("first") // until its end; the second one comes up meanwhile
	r.live("third", 200, 30, 5*time.Millisecond)
	if _, err := r.join("third"); err != nil {
		t.Fatal(err)
	}
	r.live("fourth", 30, 30, 5*time.Millisecond)
	var lines []map[string]any
	r.until("the fourth stream is refused", func() bool {
		lines = r.log.lines("stream gets fewer renditions than planned")
		return len(lines) > 0
	})
	if n := r.metric("nova_transcode_admission_refused_total", "streams"); n != 1 {
		t.Errorf("%v refusals, want 1", n)
	}
	if len(lines) != 1 || lines[0]["stream"] != "fourth" || lines[0]["reason"] != "streams" {
		t.Errorf("log lines %v", lines)
	}
	if _, err := r.sup.Source().Subscribe(t.Context(), "fourth", relay.Options{}); !errors.Is(err, relay.ErrNotFound) {
		t.Errorf("a stream without renditions: %v, want ErrNotFound", err)
	}
}

func TestNewRefusesBadConfig(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.Encoder = "av1_nvenc"
	if _, err := New(cfg, nil, discard(), nil); err == nil || !strings.Contains(err.Error(), "encoder:") {
		t.Errorf("error %v, want one that names the field", err)
	}
}

// An encoder that is not there is refused by name; the CPU does not take its place.
func TestNewRefusesMissingGPU(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Encoder, cfg.GPU = "h264_nvenc", 63
	_, err := New(cfg, nil, discard(), nil)
	if err == nil || !strings.Contains(err.Error(), "h264_nvenc") || !strings.Contains(err.Error(), "GPU 63") {
		t.Errorf("error %v, want one that names the encoder and the GPU", err)
	}
}
