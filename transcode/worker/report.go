package worker

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"nova/internal/media"
	"nova/internal/obs"
	"nova/transcode/av"
	"nova/transcode/job"
)

// reportEvery is the time between reports, and between looks at the pace.
const reportEvery = time.Second

// reporter tells the supervisor how the job goes, and has a rung shed when it falls behind.
type reporter struct {
	// set by newReporter
	w  *worker
	to *json.Encoder

	// owned by runReports
	pace shedder
	// busy and pts are each stage's and rung's figures at the last report.
	busy map[*meter]time.Duration
	pts  map[*rung]int64
}

func newReporter(w *worker, to io.Writer) *reporter {
	return &reporter{w: w, to: json.NewEncoder(to), busy: map[*meter]time.Duration{}, pts: map[*rung]int64{}}
}

func (r *reporter) runReports(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			report := r.report(now)
			if err := r.to.Encode(report); err != nil {
				r.w.log.Debug("nobody reads reports", obs.Err(err))
			}
			if r.pace.observe(time.Duration(report.Lag*float64(time.Second)), len(report.Rungs)) {
				r.shed()
			}
		case <-ctx.Done():
			return
		}
	}
}

func (r *reporter) shed() {
	select {
	case r.w.shed <- struct{}{}:
	default: // asked already
	}
}

// refuse tells that the job can never be done.
func (r *reporter) refuse(reason error) error {
	return r.to.Encode(job.Report{Refused: reason.Error()})
}

func (r *reporter) report(now time.Time) job.Report {
	rungs, shed := r.w.state.ladder()
	report := job.Report{
		Speed: r.speed(rungs), Skipped: r.w.state.skipped.Load(), FramesInUse: av.FramesInUse(), Errors: r.w.state.errors(), Shed: shed,
		Queues: map[string]int{
			"decode": len(r.w.decodeQ), "scale": len(r.w.ladderQ), "audio": len(r.w.audioQ),
			"poster": len(r.w.posterQ), "output": len(r.w.outputQ),
		},
	}
	for _, g := range rungs {
		report.Rungs = append(report.Rungs, g.Name)
		report.Queues["encode"] += len(g.frames)
	}
	if report.Queues["decode"]+report.Queues["scale"]+report.Queues["encode"] > 0 {
		report.Lag = lag(now, r.w.state.newest.Load(), rungs).Seconds()
	}
	return report
}

// lag is how long ago the newest picture of the slowest rung had arrived; where that is not known, how far it is
// behind the newest one that came in.
func lag(now time.Time, newest int64, rungs []*rung) time.Duration {
	var worst time.Duration
	for _, g := range rungs {
		if !g.begun.Load() {
			continue
		}
		behind := media.Duration(newest-g.pts.Load(), media.VideoTimescale)
		if arrived := g.arrived.Load(); arrived != 0 {
			behind = now.Sub(time.Unix(0, arrived))
		}
		worst = max(worst, behind)
	}
	return worst
}

// speed is the media time done since the last report by the time that the busiest stage was at work for it.
func (r *reporter) speed(rungs []*rung) float64 {
	busiest := max(r.since(&r.w.state.decode), r.since(&r.w.state.scale))
	var done int64
	for _, g := range rungs {
		busiest = max(busiest, r.since(&g.busy))
		if !g.begun.Load() {
			continue
		}
		pts := g.pts.Load()
		if before, known := r.pts[g]; known {
			done = max(done, pts-before)
		}
		r.pts[g] = pts
	}
	if busiest <= 0 {
		return 0
	}
	return media.Duration(done, media.VideoTimescale).Seconds() / busiest.Seconds()
}

func (r *reporter) since(m *meter) time.Duration {
	total := m.total()
	d := total - r.busy[m]
	r.busy[m] = total
	return d
}
