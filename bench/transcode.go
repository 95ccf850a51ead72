package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"nova/internal/media"
	"nova/internal/relay"
	"nova/internal/testkit"
	"nova/transcode"
	"nova/transcode/job"
	"nova/transcode/ladder"
)

// Options are what every scenario needs to know.
type Options struct {
	// Nova and FFmpeg are the programs; Clip is H.264 and AAC in MP4.
	Nova, FFmpeg, Clip string
	// Runs is the number of pairs.
	Runs int
	// Version is Nova's.
	Version string
	// Progress is told what happens.
	Progress io.Writer
}

func (o Options) report(scenario, method string) *Report {
	return &Report{Scenario: scenario, Method: method, Version: o.Version, When: time.Now(), Machine: ThisMachine()}
}

func (o Options) say(format string, args ...any) { fmt.Fprintf(o.Progress, format+"\n", args...) }

// Transcode measures CPU seconds per media second of a worker, pipes included, and of the FFmpeg program with the
// same x264 settings, in pairs that alternate.
func Transcode(ctx context.Context, o Options) (*Report, error) {
	clip, err := testkit.ReadClip(o.Clip)
	if err != nil {
		return nil, err
	}
	spec, err := transcodeSpec(clip)
	if err != nil {
		return nil, err
	}
	var nova, peer, ratio []float64
	seconds := clip.Seconds()
	for i := range o.Runs {
		ours, err := runWorker(ctx, o, clip, spec)
		if err != nil {
			return nil, err
		}
		theirs, err := runCLI(ctx, o, spec)
		if err != nil {
			return nil, err
		}
		nova, peer, ratio = append(nova, ours/seconds), append(peer, theirs/seconds), append(ratio, ours/theirs)
		o.say("pair %d of %d: worker %.3f, ffmpeg %.3f CPU s per media s, ratio %.3f", i+1, o.Runs, ours/seconds, theirs/seconds, ours/theirs)
	}
	r := o.report("transcode", fmt.Sprintf("The whole clip through `nova transcode-worker` (as fast as it goes; decode, cascaded scaling, "+
		"%s, AAC, posters, pipes) and through `ffmpeg` (decode, split, scale, the same x264 settings, AAC, null output), user and system time, "+
		"in alternating pairs.", names(spec.Rungs)))
	perCore := make([]float64, len(nova))
	for i, cost := range nova {
		perCore[i] = 1 / cost
	}
	r.Rows = []Row{
		{Name: "worker / ffmpeg", Unit: "ratio", Target: "≤ 1.05, aim < 1.00", Summary: Summarize(ratio)},
		{Name: "worker", Unit: "CPU s per media s", Summary: Summarize(nova)},
		{Name: "ffmpeg", Unit: "CPU s per media s", Summary: Summarize(peer)},
		{Name: "streams per core at real time", Unit: "streams", Summary: Summarize(perCore)},
	}
	return r, nil
}

func names(rungs []ladder.Rung) string {
	var out []string
	for _, r := range rungs {
		out = append(out, r.Name)
	}
	return strings.Join(out, "/")
}

// transcodeSpec is the job that the transcode service would give for the clip.
func transcodeSpec(clip *testkit.Clip) (job.Spec, error) {
	cfg := transcode.DefaultConfig()
	source := ladder.NewSource(clip.Config(testkit.VideoTrack), 0)
	rungs, err := ladder.Plan(source, cfg.Ladder)
	return job.Spec{
		Stream: "bench", Encoder: cfg.Encoder, Preset: "veryfast", Threads: 1, DecodeThreads: 1,
		KeyframeInterval: cfg.KeyframeInterval, PosterInterval: cfg.PosterInterval, AudioBitrate: cfg.AudioBitrate,
		Rungs: rungs, Source: source, Ladder: cfg.Ladder,
	}, err
}

// runWorker feeds one worker and returns its CPU seconds.
func runWorker(ctx context.Context, o Options, clip *testkit.Clip, spec job.Spec) (float64, error) {
	cmd := exec.CommandContext(ctx, o.Nova, transcode.WorkerCommand)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	reports, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	defer reports.Close()
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = io.Discard, &stderr, []*os.File{reports}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("cannot start the worker: %w", err)
	}
	fed := feed(stdin, clip, spec)
	if err := cmd.Wait(); err != nil || fed != nil {
		return 0, fmt.Errorf("the worker failed: %w, %w: %s", err, fed, stderr.String())
	}
	return (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), nil
}

// feed sends the job and every unit, each as if it had just arrived.
func feed(stdin io.WriteCloser, clip *testkit.Clip, spec job.Spec) error {
	defer stdin.Close()
	if err := spec.Write(stdin); err != nil {
		return err
	}
	w := relay.NewWriter(stdin)
	if err := w.WriteInfo(relay.Info{Stream: spec.Stream, Session: "bench", Start: time.Now()}); err != nil {
		return err
	}
	if err := w.WriteItem(relay.Item{Tracks: clip.Tracks}); err != nil {
		return err
	}
	for _, u := range clip.Units {
		now := *u
		now.Arrived = time.Now()
		if err := w.WriteItem(relay.Item{Unit: &now}); err != nil {
			return err
		}
	}
	return nil
}

// runCLI runs the peer and returns its CPU seconds.
func runCLI(ctx context.Context, o Options, spec job.Spec) (float64, error) {
	cmd := exec.CommandContext(ctx, o.FFmpeg, cliArgs(o.Clip, spec)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("ffmpeg failed: %w: %s", err, out)
	}
	return (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), nil
}

// cliArgs are the arguments with which the FFmpeg program does the same work as a worker.
func cliArgs(clip string, spec job.Spec) []string {
	n := len(spec.Rungs)
	graph := fmt.Sprintf("[0:v]split=%d", n)
	for i := range n {
		graph += fmt.Sprintf("[s%d]", i)
	}
	for i, r := range spec.Rungs {
		graph += fmt.Sprintf(";[s%d]scale=%d:%d:flags=bicubic[v%d]", i, r.Width, r.Height, i)
	}
	threads := strconv.Itoa(spec.Threads)
	args := []string{
		"-hide_banner", "-loglevel", "error", "-nostdin", "-threads", strconv.Itoa(spec.DecodeThreads), "-filter_complex_threads", "1",
		"-i", clip, "-filter_complex", graph,
	}
	for i, r := range spec.Rungs {
		s := strconv.Itoa(i)
		args = append(args, "-map", "[v"+s+"]", "-c:v:"+s, spec.Encoder, "-b:v:"+s, strconv.Itoa(r.Bitrate),
			"-maxrate:v:"+s, strconv.Itoa(r.MaxBitrate), "-bufsize:v:"+s, strconv.Itoa(r.BufferSize), "-profile:v:"+s, "high")
	}
	keyframes := fmt.Sprintf("expr:gte(t,n_forced*%g)", spec.KeyframeInterval.Seconds())
	args = append(args, "-preset", spec.Preset, "-threads", threads, "-bf", "0", "-g", "250", "-sc_threshold", "0",
		"-rc-lookahead", "0", "-force_key_frames", keyframes)
	rate := strconv.Itoa(spec.AudioBitrate)
	return append(args, "-map", "0:a", "-c:a", string(media.AAC), "-ac", "2", "-b:a", rate, "-f", "null", "-")
}
