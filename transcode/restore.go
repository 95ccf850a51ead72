package transcode

import (
	"time"

	"nova/transcode/job"
	"nova/transcode/ladder"
)

const (
	// restoreLag is how far behind ingest a worker may be and still count as healthy.
	restoreLag = 1.0 // seconds
	// maxRestoreWait bounds the time of health.
	maxRestoreWait = 10 * time.Minute
)

// restorer gives a stream back the rungs that it lacks, because they were shed or because the node had no room for
// them: one at a time, after a time of health that doubles with each rung that had to be shed again.
//
// Owned by the goroutine that reads the worker's reports; between two workers by the stream.
type restorer struct {
	wait time.Duration
	// planned is what the stream is worth; lacking is how many rungs of it are not made.
	planned []ladder.Rung
	lacking int
	// since is when the worker at hand began to be healthy; zero where it is not.
	since time.Time
	// shed is how many rungs the worker at hand has given up.
	shed int
	// restored tells that a rung was given back since one was shed.
	restored bool
}

// allowed is what the next worker may make of rungs, the whole ladder.
func (r *restorer) allowed(rungs []ladder.Rung) []ladder.Rung {
	return ladder.Limit(rungs, max(len(rungs)-r.lacking, 1))
}

// granted notes what the next worker makes of the whole ladder.
func (r *restorer) granted(planned, made []ladder.Rung) {
	r.planned, r.lacking = planned, len(planned)-len(made)
	r.shed, r.since = 0, time.Time{}
}

// observe takes a worker's report, and tells whether to replace the worker by one with a rung more. fits tells whether
// the node has room for a ladder in place of the one at hand.
func (r *restorer) observe(now time.Time, report job.Report, fits func([]ladder.Rung) bool) bool {
	if n := len(report.Shed) - r.shed; n > 0 {
		r.lost(n)
	}
	if r.lacking == 0 || report.Lag >= restoreLag || !fits(ladder.Limit(r.planned, len(r.planned)-r.lacking+1)) {
		r.since = time.Time{}
		return false
	}
	if r.since.IsZero() {
		r.since = now
	}
	if now.Sub(r.since) < r.wait {
		return false
	}
	r.lacking--
	r.restored = true
	return true
}

func (r *restorer) lost(n int) {
	r.shed += n
	r.lacking = min(r.lacking+n, max(len(r.planned)-1, 0))
	r.since = time.Time{}
	if r.restored {
		r.wait, r.restored = min(r.wait*2, maxRestoreWait), false
	}
}
