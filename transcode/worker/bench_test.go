package worker

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"nova/internal/media"
	"nova/transcode/av/avtest"
)

// BenchmarkLadder tells the CPU seconds that a second of the 1080p24 sample clip takes: ladder's declared costs are
// set by it.
func BenchmarkLadder(b *testing.B) {
	f := avtest.Real(b)
	in := feedOf(f, 0, 5*time.Second)
	last := in.video()[len(in.video())-1]
	seconds := media.Duration(last.PTS, media.VideoTimescale).Seconds()
	for _, names := range []string{"360p", "480p", "720p", "720p 480p 360p", "1080p"} {
		b.Run(strings.ReplaceAll(names, " ", "+"), func(b *testing.B) {
			spec := specFor(b, f, 24, !strings.Contains(names, "1080p"))
			spec.Preset = "veryfast"
			all := spec.Rungs
			spec.Rungs = nil
			var declared float64
			for _, r := range all {
				if slices.Contains(strings.Fields(names), r.Name) {
					spec.Rungs = append(spec.Rungs, r)
					declared += r.Cost
				}
			}
			b.ReportAllocs()
			before := cpu(b)
			n := 0
			for b.Loop() {
				if res := work(b, spec, in); res.err != nil {
					b.Fatal(res.err)
				}
				n++
			}
			b.ReportMetric((cpu(b)-before).Seconds()/seconds/float64(n), "cpu-s/media-s")
			b.ReportMetric(declared+spec.Source.DecodeCost(), "declared")
		})
	}
}

// cpu is the time that this process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
