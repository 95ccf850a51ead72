package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"nova/internal/media"
	"nova/internal/relay"
	"nova/transcode/av"
	"nova/transcode/av/avtest"
	"nova/transcode/decode"
	"nova/transcode/job"
)

// made holds the clips that tests share, by their arguments.
var made = map[string]*avtest.File{}

// clip is 720p at 30 frames a second with B-frames, a keyframe each 1.5 s, and stereo AAC. Nobody changes it.
func clip(t testing.TB, seconds string, more ...string) *avtest.File {
	t.Helper()
	name := seconds + strings.Join(more, " ")
	if f := made[name]; f != nil {
		return f
	}
	args := []string{
		"-f", "lavfi", "-i", "testsrc2=s=1280x720:r=30:d=" + seconds,
		"-f", "lavfi", "-i", "sine=f=440:r=48000:d=" + seconds,
		"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "45", "-sc_threshold", "0", "-pix_fmt", "yuv420p",
		"-c:a", "aac", "-ac", "2",
	}
	f := avtest.Make(t, append(args, more...)...)
	made[name] = f
	return f
}

// checkRungs proves what holds for every rung: it decodes, has a picture for each of the source's, and its
// keyframes are at the same times as the others' and at all of the source's.
func checkRungs(t *testing.T, res *result, source []*media.AccessUnit, names ...string) {
	t.Helper()
	if res.err != nil {
		t.Fatalf("the worker failed: %v", res.err)
	}
	var sourceKeys []int64
	for _, u := range source {
		if u.Key {
			sourceKeys = append(sourceKeys, u.PTS)
		}
	}
	for _, name := range names {
		units := res.units[name]
		if got := decodes(t, units); got != len(units) {
			t.Errorf("%s: ffmpeg decodes %d pictures of %d", name, got, len(units))
		}
		if !slices.Equal(stamps(units), stamps(source)) {
			t.Errorf("%s: %d pictures at other times than the source's %d", name, len(units), len(source))
		}
		if !slices.Equal(keys(units), keys(res.units[names[0]])) {
			t.Errorf("%s has keyframes at %v, %s at %v", name, keys(units), names[0], keys(res.units[names[0]]))
		}
		for _, pts := range sourceKeys {
			if !slices.Contains(keys(units), pts) {
				t.Errorf("%s has no keyframe at %d, where the source has one", name, pts)
			}
		}
		if !slices.IsSortedFunc(units, func(a, b *media.AccessUnit) int { return int(a.DTS - b.DTS) }) {
			t.Errorf("%s: DTS does not increase", name)
		}
	}
}

func TestWorkerMakesAlignedLadder(t *testing.T) {
	f := clip(t, "4")
	in := feedOf(f, 0, 0)
	res := work(t, specFor(t, f, 30, true), in)
	checkRungs(t, res, in.video(), "480p", "360p")
	if got := keys(res.units["480p"]); len(got) != 3 { // 0, 1.5 and 3 s
		t.Errorf("keyframes at %v, want the source's three", got)
	}
	if n := len(res.units[media.SharedAudio]); n != 0 {
		t.Errorf("%d units of sound, which players can have as it is", n)
	}
	poster := res.units[media.Poster]
	if len(poster) != 1 || !bytes.HasPrefix(poster[0].Data, []byte{0xff, 0xd8, 0xff}) {
		t.Fatalf("%d posters, want one JPEG file", len(poster))
	}
	if cfg := poster[0].Config; cfg.Width != 640 || cfg.Height != 360 || poster[0].PTS != in.video()[0].PTS {
		t.Errorf("poster is %dx%d at %d", cfg.Width, cfg.Height, poster[0].PTS)
	}
	avtest.FFmpeg(t, poster[0].Data, "-f", "mjpeg", "-i", "pipe:0", "-f", "null", "-")
	arrived := map[int64]time.Time{}
	for _, u := range in.video() {
		arrived[u.PTS] = u.Arrived
	}
	for _, u := range res.units["360p"] {
		if !u.Arrived.Equal(arrived[u.PTS]) {
			t.Fatalf("unit at %d arrived %v, its source %v", u.PTS, u.Arrived, arrived[u.PTS])
		}
	}
}

// A source with keyframes too far apart gets more, and a rung of its own height.
func TestWorkerForcesKeyframes(t *testing.T) {
	f := clip(t, "4.5", "-g", "1000")
	in := feedOf(f, 0, 0)
	res := work(t, specFor(t, f, 30, false), in)
	checkRungs(t, res, in.video(), "720p", "480p", "360p")
	got := keys(res.units["720p"])
	for i := range got {
		got[i] -= got[0] - int64(i)
	}
	if len(got) != 3 {
		t.Errorf("%d keyframes in 4.5 s, want one each 2 s", len(got))
	}
	if cfg := res.units["720p"][0].Config; cfg.Width != 1280 || cfg.Height != 720 {
		t.Errorf("720p is %dx%d", cfg.Width, cfg.Height)
	}
}

func TestWorkerEncodesSurroundSoundOnce(t *testing.T) {
	f := avtest.Make(t, "-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=3",
		"-f", "lavfi", "-i", "sine=f=440:r=48000:d=3", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p",
		"-c:a", "aac", "-ac", "6")
	in := feedOf(f, 0, 0)
	res := work(t, specFor(t, f, 25, true), in)
	if res.err != nil {
		t.Fatal(res.err)
	}
	sound := res.units[media.SharedAudio]
	if len(sound) < 139 || len(sound) > 143 {
		t.Fatalf("%d units of sound, want 141 for 3 s", len(sound))
	}
	for i, u := range sound {
		if i > 0 && u.PTS-sound[i-1].PTS != 1024 {
			t.Fatalf("sound goes from %d to %d", sound[i-1].PTS, u.PTS)
		}
	}
	if cfg := sound[0].Config; !job.PassAudio(cfg) || cfg.Channels != 2 || cfg.SampleRate != 48000 {
		t.Errorf("sound is %+v, want AAC-LC stereo", cfg)
	}
	if len(res.units[media.Poster]) != 1 {
		t.Error("a stream without rungs has a poster all the same")
	}
	if got := res.lists[len(res.lists)-1]; len(got) != 2 || got[0].Name != media.SharedAudio || got[0].ID != job.AudioID {
		t.Errorf("tracks %+v, want sound and poster", got)
	}
}

// Frames past a rung's cap are dropped, keyframes never.
func TestWorkerCapsFrameRate(t *testing.T) {
	f := avtest.Make(t, "-f", "lavfi", "-i", "testsrc2=s=1280x720:r=60:d=2", "-c:v", "libx264", "-preset", "ultrafast",
		"-g", "45", "-pix_fmt", "yuv420p")
	in := feedOf(f, 0, 0)
	res := work(t, specFor(t, f, 60, false), in)
	if res.err != nil {
		t.Fatal(res.err)
	}
	if n := len(res.units["720p"]); n != 120 {
		t.Errorf("720p has %d pictures of 120", n)
	}
	low := res.units["360p"]
	if len(low) < 59 || len(low) > 62 {
		t.Errorf("360p has %d pictures, want 60", len(low))
	}
	if !slices.Equal(keys(low), keys(res.units["720p"])) {
		t.Errorf("keyframes at %v, want %v", keys(low), keys(res.units["720p"]))
	}
	if rate := low[0].Config.FrameRate.Float(); rate != 30 {
		t.Errorf("360p states %v frames a second", rate)
	}
}

// A second worker, fed from the keyframe before the place where the first one stopped, goes on with the very next
// picture, with the same configuration.
func TestWorkerResumes(t *testing.T) {
	f := clip(t, "4")
	in := feedOf(f, 0, 0)
	spec := specFor(t, f, 30, true)
	whole := work(t, spec, in)
	cut := stamps(whole.units["480p"])[70]
	spec.Resume = map[string]int64{"480p": cut, "360p": cut, media.Poster: 0}

	key := slices.IndexFunc(in, func(item relay.Item) bool { // the second keyframe
		return item.Unit != nil && item.Unit.Track == videoID && item.Unit.Key && item.Unit.PTS >= 90000
	})
	rest := work(t, spec, append(feed{in[0]}, in[key:]...))
	if rest.err != nil {
		t.Fatal(rest.err)
	}
	for _, name := range []string{"480p", "360p"} {
		first := rest.units[name][0]
		before := whole.units[name][:71]
		if !first.Key || first.PTS != whole.units[name][71].PTS {
			t.Errorf("%s goes on at %d (keyframe: %v) after %d", name, first.PTS, first.Key, cut)
		}
		if first.Discontinuity || !first.Config.Equal(before[0].Config) {
			t.Errorf("%s goes on with another configuration", name)
		}
		all := slices.Concat(before, rest.units[name])
		if got := decodes(t, all); got != len(stamps(in.video())) {
			t.Errorf("%s: %d pictures decode of %d", name, got, len(in.video()))
		}
	}
	if n := len(rest.units[media.Poster]); n != 0 {
		t.Errorf("%d posters before the next one was due", n)
	}
}

func TestWorkerResumesSound(t *testing.T) {
	f := avtest.Make(t, "-f", "lavfi", "-i", "sine=f=440:r=44100:d=3", "-c:a", "aac", "-ac", "6")
	in := feedOf(f, 0, 0)
	spec := specFor(t, f, 0, true)
	whole := work(t, spec, in).units[media.SharedAudio]
	spec.Resume = map[string]int64{media.SharedAudio: whole[60].PTS}
	rest := work(t, spec, append(feed{in[0]}, in[40:]...)).units[media.SharedAudio]
	if rest[0].PTS != whole[61].PTS {
		t.Errorf("sound goes on at %d after %d, want %d", rest[0].PTS, whole[60].PTS, whole[61].PTS)
	}
}

// When the source becomes too small for the rungs the ladder is planned anew; the units after that say so.
func TestWorkerReplansSmallerSource(t *testing.T) {
	large := clip(t, "2")
	small := avtest.Make(t, "-f", "lavfi", "-i", "testsrc2=s=640x360:r=30:d=2", "-c:v", "libx264", "-preset", "ultrafast",
		"-pix_fmt", "yuv420p")
	in := append(feedOf(large, 0, 0), feedOf(small, 3*time.Second, 0)[1:]...)
	spec := specFor(t, large, 30, false)
	res := work(t, spec, in)
	if res.err != nil {
		t.Fatal(res.err)
	}
	last := res.lists[len(res.lists)-1]
	if got := trackNames(last); !slices.Contains(got, "360p") || slices.Contains(got, "720p") || slices.Contains(got, "480p") {
		t.Errorf("tracks %v after the source shrank to 360 lines", got)
	}
	if n := len(res.units["720p"]); n != 60 {
		t.Errorf("720p has %d pictures of the 60 before", n)
	}
	low := res.units["360p"]
	if len(low) != 120 {
		t.Fatalf("360p has %d pictures of 120", len(low))
	}
	if !low[60].Discontinuity || !low[60].Key || low[0].Discontinuity || low[61].Discontinuity {
		t.Error("the first unit of the new ladder, and only that, must be flagged and a keyframe")
	}
	if got := decodes(t, low); got != 120 {
		t.Errorf("%d pictures decode of 120", got)
	}
}

func trackNames(tracks []media.Track) []string {
	var names []string
	for _, t := range tracks {
		names = append(names, t.Name)
	}
	return names
}

// A larger source, or one of another shape, keeps the ladder: players see no change of format.
func TestWorkerKeepsLadderForLargerSource(t *testing.T) {
	first := clip(t, "1")
	tall := avtest.Make(t, "-f", "lavfi", "-i", "testsrc2=s=1080x1920:r=30:d=1", "-c:v", "libx264", "-preset", "ultrafast",
		"-pix_fmt", "yuv420p")
	in := append(feedOf(first, 0, 0), feedOf(tall, 2*time.Second, 0)[1:]...)
	res := work(t, specFor(t, first, 30, true), in)
	checkRungs(t, res, in.video(), "480p", "360p")
	if cfg := res.units["480p"][59].Config; cfg != res.units["480p"][0].Config || cfg.Width != 854 {
		t.Errorf("the configuration changed to %dx%d", cfg.Width, cfg.Height)
	}
}

func TestWorkerShedsRung(t *testing.T) {
	f := clip(t, "4")
	in := feedOf(f, 0, 0)
	w := newWorker(specFor(t, f, 30, false), discard())
	res := workWith(t, w, in, func(n int) {
		if n == len(in)/2 {
			w.shed <- struct{}{}
		}
	})
	if res.err != nil {
		t.Fatal(res.err)
	}
	all, high := len(res.units["360p"]), len(res.units["720p"])
	if all != 120 || high == 0 || high >= all {
		t.Errorf("360p has %d pictures of 120, 720p %d: want all, and some", all, high)
	}
	if got := trackNames(res.lists[len(res.lists)-1]); slices.Contains(got, "720p") || !slices.Contains(got, "480p") {
		t.Errorf("tracks %v after 720p was shed", got)
	}
	if _, shed := w.state.ladder(); !slices.Equal(shed, []string{"720p"}) {
		t.Errorf("shed %v", shed)
	}
	for _, name := range []string{"720p", "480p", "360p"} {
		if got := decodes(t, res.units[name]); got != len(res.units[name]) {
			t.Errorf("%s: %d pictures decode of %d", name, got, len(res.units[name]))
		}
	}
}

// A worker whose output is taken too slowly, as by a machine that is too slow, gives up a rung by itself and says so.
func TestWorkerShedsWhenBehind(t *testing.T) {
	f := clip(t, "4")
	in := feedOf(f, 0, 0)
	began := time.Now()
	for _, item := range in {
		if item.Unit != nil {
			item.Unit.Arrived = began.Add(-4 * time.Second) // the lag grows by a second each second
		}
	}
	spec := specFor(t, f, 30, false)
	for i := range spec.Rungs {
		spec.Rungs[i].Bitrate *= 4 // fills the pipe soon
		spec.Rungs[i].MaxBitrate, spec.Rungs[i].BufferSize = spec.Rungs[i].Bitrate*2, spec.Rungs[i].Bitrate*2
	}
	stdinR, stdinW := pipe(t)
	stdoutR, stdoutW := pipe(t)
	reportsR, reportsW := pipe(t)
	done := make(chan error, 1)
	go writeFeed(t, stdinW, in, nil)
	go func() {
		defer stdoutW.Close()
		defer reportsW.Close()
		done <- Run(t.Context(), stdinR, stdoutW, reportsW, spec, discard())
	}()
	reports := json.NewDecoder(reportsR)
	var last job.Report
	for n := 0; n < shedAfter+1; n++ {
		if err := reports.Decode(&last); err != nil {
			t.Fatal(err)
		}
	}
	if last.Lag < 4 || last.Queues["decode"] == 0 || len(last.Rungs) != 3 {
		t.Errorf("report %+v: want the lag, the queues and three rungs", last)
	}
	res := &result{}
	reader := relay.NewReader(stdoutR, relay.Limits{})
	defer reader.Close()
	if err := res.read(reader); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	reportsR.Close()
	if got := trackNames(res.lists[len(res.lists)-1]); slices.Contains(got, "720p") || !slices.Contains(got, "360p") {
		t.Errorf("tracks %v, want all but 720p", got)
	}
	if n := len(res.units["360p"]); n != 120 {
		t.Errorf("360p has %d pictures of 120", n)
	}
}

// Bit flips in one unit of twenty cost pictures, never the stream.
func TestWorkerSurvivesBitFlips(t *testing.T) {
	f := clip(t, "4")
	in := feedOf(f, 0, 0)
	rnd := rand.New(rand.NewPCG(7, 7))
	for i, item := range in {
		if item.Unit == nil || rnd.IntN(20) != 0 {
			continue
		}
		c := *item.Unit
		c.Data = bytes.Clone(c.Data)
		for range 8 {
			c.Data[rnd.IntN(len(c.Data))] ^= 1 << rnd.IntN(8)
		}
		in[i].Unit = &c
	}
	w := newWorker(specFor(t, f, 30, true), discard())
	res := workWith(t, w, in, nil)
	if res.err != nil {
		t.Fatal(res.err)
	}
	if n := len(res.units["360p"]); n < 60 {
		t.Errorf("%d pictures of 120 are left", n)
	}
	if got := decodes(t, res.units["360p"]); got != len(res.units["360p"]) {
		t.Errorf("%d pictures decode of %d", got, len(res.units["360p"]))
	}
	if n := w.state.errors(); n["video_decode"]+n["video_concealed"] == 0 {
		t.Errorf("no error was counted: %v", n)
	}
}

func TestWorkerAborts(t *testing.T) {
	f := clip(t, "2")
	stdinR, stdinW := pipe(t)
	stdoutR, stdoutW := pipe(t)
	ctx, abort := context.WithCancel(t.Context())
	done := make(chan error, 1)
	var reports bytes.Buffer
	go func() { done <- Run(ctx, stdinR, stdoutW, &reports, specFor(t, f, 30, true), discard()) }()
	w := relay.NewWriter(stdinW)
	if err := w.WriteInfo(relay.Info{Stream: "demo", Session: "one"}); err != nil {
		t.Fatal(err)
	}
	for _, item := range feedOf(f, 0, 0) { // nobody reads stdout, and stdin stays open
		if err := stdinW.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if w.WriteItem(item) != nil {
			break
		}
	}
	abort()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want context.Canceled", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the worker does not end")
	}
	for _, f := range []interface{ Close() error }{stdinW, stdoutR, stdoutW} {
		f.Close()
	}
}

// An encoder that fails ends the worker at once, although the source goes on: its supervisor starts another one.
func TestWorkerEndsWhenRungFails(t *testing.T) {
	f := clip(t, "2")
	w := newWorker(specFor(t, f, 30, false), discard())
	stdinR, stdinW := pipe(t)
	stdoutR, stdoutW := pipe(t)
	done := make(chan error, 1)
	go func() {
		in := relay.NewReader(stdinR, relay.Limits{})
		defer in.Close()
		defer stdoutW.Close()
		done <- w.run(t.Context(), in, stdoutW, io.Discard)
	}()
	go func() {
		defer stdoutR.Close()
		_, _ = io.Copy(io.Discard, stdoutR)
	}()
	to := relay.NewWriter(stdinW)
	if err := to.WriteInfo(relay.Info{Stream: "demo", Session: "one"}); err != nil {
		t.Fatal(err)
	}
	for _, item := range feedOf(f, 0, 0) {
		if err := to.WriteItem(item); err != nil {
			t.Fatal(err)
		}
	}
	firstRung(t, w).frames <- firstPicture(t, f) // once more, which an encoder refuses
	select {
	case err := <-done:
		if err == nil || errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want the encoder's", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the worker goes on without its rung")
	}
	stdinW.Close()
}

// firstRung waits until the first rung has given a picture.
func firstRung(t *testing.T, w *worker) *rung {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 2000 {
		<-tick.C
		if rungs, _ := w.state.ladder(); len(rungs) > 0 && rungs[0].begun.Load() {
			return rungs[0]
		}
	}
	t.Fatal("no picture comes")
	return nil
}

func firstPicture(t *testing.T, f *avtest.File) *av.Frame {
	t.Helper()
	dec, err := decode.NewVideo(f.VideoConfig, decode.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	var first *av.Frame
	keep := func(f *av.Frame) error { first = replace(first, f); return nil }
	if err := errors.Join(dec.Decode(f.Video[0], keep), dec.Flush(keep)); err != nil || first == nil {
		t.Fatalf("no picture: %v", err)
	}
	return first
}

func TestWorkerRefusesGarbage(t *testing.T) {
	var out, reports bytes.Buffer
	err := Run(t.Context(), strings.NewReader("this is no relay stream"), &out, &reports,
		job.Spec{Encoder: "libx264"}, discard())
	if err == nil {
		t.Error("garbage on stdin was taken")
	}
	if err := Run(t.Context(), strings.NewReader(""), &out, &reports, job.Spec{Encoder: "libx264"}, discard()); err != nil {
		t.Errorf("no input at all: %v", err)
	}
}

func TestWorkerRefusesMissingGPU(t *testing.T) {
	var out, reports bytes.Buffer
	err := Run(t.Context(), strings.NewReader(""), &out, &reports, job.Spec{Encoder: "h264_nvenc", GPU: 63}, discard())
	if err == nil || !strings.Contains(reports.String(), `"refused":"cannot use GPU 63`) {
		t.Errorf("error %v, report %q: want the reason in both", err, reports.String())
	}
}

// On a machine with an NVIDIA GPU, which NOVA_GPU names by its index: a ladder where the GPU encodes, and where it
// only decodes (H100, H200) a refusal that says so.
func TestWorkerOnGPU(t *testing.T) {
	index, err := strconv.Atoi(os.Getenv("NOVA_GPU"))
	if err != nil {
		t.Skip("NOVA_GPU names no GPU")
	}
	gpu, refused := av.OpenGPU(index)
	if refused != nil {
		var out, reports bytes.Buffer
		spec := job.Spec{Encoder: "h264_nvenc", GPU: index}
		if err := Run(t.Context(), strings.NewReader(""), &out, &reports, spec, discard()); !errors.As(err, new(*av.GPUError)) {
			t.Errorf("error %v, want the GPU's", err)
		}
		t.Logf("reported: %s", reports.String())
		if !strings.Contains(reports.String(), "decodes but does not encode") {
			t.Errorf("report %q does not say why", reports.String())
		}
		return
	}
	gpu.Close()
	f := clip(t, "4")
	in := feedOf(f, 0, 0)
	spec := specFor(t, f, 30, false)
	spec.Encoder, spec.Preset, spec.GPU = "h264_nvenc", "p4", index
	checkRungs(t, work(t, spec, in), in.video(), "720p", "480p", "360p")
}

func TestWorkerOnRealClip(t *testing.T) {
	if testing.Short() {
		t.Skip("decodes and encodes 3 s of 1080p")
	}
	f := avtest.Real(t)
	in := feedOf(f, 0, 3*time.Second)
	spec := specFor(t, f, 24, true)
	res := work(t, spec, in)
	checkRungs(t, res, in.video(), "720p", "480p", "360p")
	if cfg := res.units[media.SharedAudio][0].Config; cfg.Channels != 2 {
		t.Errorf("5.1 sound became %d channels", cfg.Channels)
	}
}
