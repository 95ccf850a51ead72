package encode

import (
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"nova/internal/media"
	"nova/transcode/av"
	"nova/transcode/av/avtest"
	"nova/transcode/decode"
	"nova/transcode/scale"
)

// The ladder of the sample clip, as the ladder package makes it of 1080p.
var (
	benchRungs = []scale.Rung{{Name: "720p", Width: 1280, Height: 720}, {Name: "480p", Width: 854, Height: 480}, {Name: "360p", Width: 640, Height: 360}}
	benchRates = []int{2_800_000, 1_400_000, 800_000}
)

// benchSeconds of the clip are enough: rounds alternate, so that both sides meet the same load.
const benchSeconds = 5

// cpu is the processor time of this process, or of its children that have ended.
func cpu(who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkLadderAgainstFFmpeg decodes 1080p and encodes the three rungs, and has FFmpeg's program do the same
// with the same settings in the same run: CPU seconds a media second of both, and their ratio.
func BenchmarkLadderAgainstFFmpeg(b *testing.B) {
	clip := avtest.Real(b)
	clip.Video = clip.Video[:benchSeconds*24]
	seconds := float64(benchSeconds)
	var ours, theirs time.Duration
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		began := cpu(syscall.RUSAGE_SELF)
		ladderOnce(b, clip)
		ours += cpu(syscall.RUSAGE_SELF) - began
		began = cpu(syscall.RUSAGE_CHILDREN)
		ffmpegOnce(b, clip)
		theirs += cpu(syscall.RUSAGE_CHILDREN) - began
		n++
	}
	b.ReportMetric(ours.Seconds()/seconds/float64(n), "nova-cpu-s/s")
	b.ReportMetric(theirs.Seconds()/seconds/float64(n), "ffmpeg-cpu-s/s")
	b.ReportMetric(ours.Seconds()/theirs.Seconds(), "ratio")
}

func ladderOnce(b *testing.B, clip *avtest.File) {
	d, err := decode.NewVideo(clip.VideoConfig, decode.Options{})
	if err != nil {
		b.Fatal(err)
	}
	s, err := scale.New(benchRungs)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	encoders := make([]*Video, len(benchRungs))
	units := 0
	count := func(*media.AccessUnit) error { units++; return nil }
	toRungs := func(set []*av.Frame) error {
		for i, f := range set {
			if encoders[i] == nil {
				cfg := rung(benchRungs[i].Width, benchRungs[i].Height, benchRates[i])
				cfg.FrameRate = media.Rational{Num: 24, Den: 1}
				if encoders[i], err = NewVideo(cfg, f, nil); err != nil {
					return err
				}
			}
			if err := encoders[i].Encode(f, count); err != nil {
				return err
			}
		}
		return nil
	}
	toLadder := func(f *av.Frame) error { return s.Scale(f, toRungs) }
	for _, u := range clip.Video {
		if err := d.Decode(u, toLadder); err != nil {
			b.Fatal(err)
		}
	}
	if err := d.Flush(toLadder); err != nil {
		b.Fatal(err)
	}
	for _, v := range encoders {
		if err := v.Flush(count); err != nil {
			b.Fatal(err)
		}
		v.Close()
	}
	if units != 3*len(clip.Video) {
		b.Fatalf("%d units", units)
	}
}

func ffmpegOnce(b *testing.B, clip *avtest.File) {
	args := []string{
		"-hide_banner", "-v", "error", "-nostdin", "-threads", "1",
		"-t", strconv.Itoa(benchSeconds), "-i", clip.Path, "-an", "-filter_complex_threads", "1",
		"-filter_complex", "[0:v]split=3[a][b][c];[a]scale=1280:720[v0];[b]scale=854:480[v1];[c]scale=640:360[v2]",
	}
	for i, rate := range []string{"2800000", "1400000", "800000"} {
		peak := []string{"4200000", "2100000", "1200000"}[i]
		args = append(args, "-map", []string{"[v0]", "[v1]", "[v2]"}[i], "-c:v", "libx264", "-preset", "veryfast",
			"-profile:v", "high", "-threads", "1", "-b:v", rate, "-maxrate", peak, "-bufsize", peak, "-bf", "0",
			"-g", "1000000", "-sc_threshold", "0", "-forced-idr", "1", "-force_key_frames", "expr:gte(t,n_forced*2)",
			"-rc-lookahead", "0", "-x264-params", "force-cfr=1:sync-lookahead=0", "-f", "null", "-")
	}
	if out, err := exec.CommandContext(b.Context(), avtest.Program("ffmpeg"), args...).CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
}
