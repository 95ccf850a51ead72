package transcode

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"nova/internal/media"
	"nova/internal/obs"
	"nova/internal/relay"
	"nova/transcode/job"
	"nova/transcode/ladder"
)

// Why a worker went: labels of a metric.
const (
	endClean   = ""        // all input was done
	endReplan  = "ladder"  // a new one with another ladder is wanted
	endRestore = "restore" // a new one with a rung more is wanted
	endCrash   = "crash"   // ended by a signal that is not ours
	endExit    = "exit"    // ended itself with an error
	endEarly   = "early"   // ended itself before its input did
	endStall   = "stall"   // killed: input flowed, and nothing came out
	endGarbage = "garbage" // killed: its output makes no sense
	endHang    = "hang"    // killed: it did not finish after its input ended
	endStart   = "start"   // could not be started
)

// orderly tells that a worker went as it should: all that it gave counts.
func orderly(reason string) bool {
	return reason == endClean || reason == endReplan || reason == endRestore
}

// exitGrace is how long a worker may take to end after it closed its output.
const exitGrace = 2 * time.Second

// maxReport bounds one report line.
const maxReport = 64 << 10

// attempt is one worker's life.
//
//	replay ──runFeed──▶ stdin [worker] stdout ──runOutput──▶ output ──▶ hub
//	                              fd 3 ──runReports──▶ metrics     stderr ──runLog──▶ log
type attempt struct {
	// set by newAttempt
	st    *stream
	child *child
	spec  job.Spec
	log   *slog.Logger
	// stopFeed makes runFeed close the worker's input early.
	feedCtx  context.Context
	stopFeed context.CancelFunc
	outDone  chan struct{}
	// restore is closed by runReports when the stream is to have a rung back.
	restore chan struct{}

	progress progress

	// owned by runFeed, read after it has returned
	fedAll bool
	// owned by runOutput, read after outDone is closed
	outErr  error
	trimmed time.Duration
	// owned by runReports, read after it has returned
	report    job.Report
	restoring bool // restore is closed
}

func newAttempt(st *stream, c *child, spec job.Spec) *attempt {
	a := &attempt{
		st: st, child: c, spec: spec, outDone: make(chan struct{}), restore: make(chan struct{}),
		log: st.log.With("worker", c.cmd.Process.Pid),
	}
	a.feedCtx, a.stopFeed = context.WithCancel(context.Background())
	return a
}

// run returns why the worker went, after it and all goroutines are gone. ctx ends the drain at the latest.
func (a *attempt) run(ctx context.Context) (reason string) {
	var group sync.WaitGroup
	// Owns: the worker's stdin. Ends when: the input ends or the worker is gone. Waited for by: run.
	group.Go(a.runFeed)
	// Owns: st.out. Ends when: the worker's stdout ends or makes no sense. Waited for by: run.
	group.Go(a.runOutput)
	// Owns: a.report and st.restore. Ends when: the worker closes fd 3. Waited for by: run.
	group.Go(a.runReports)
	// Owns: the relog. Ends when: the worker closes stderr. Waited for by: run.
	group.Go(a.runLog)
	reason = a.watch(ctx)
	exit := a.reap(!orderly(reason))
	group.Wait()
	closeAll(a.child.stdout, a.child.stderr, a.child.reports)
	a.st.sup.metrics.take(a.report, job.Report{})
	reason = a.judge(reason, exit)
	a.st.out.finish(orderly(reason))
	return reason
}

// runFeed writes the job and the source to the worker.
func (a *attempt) runFeed() {
	defer a.closeInput()
	err := a.feed()
	a.fedAll = errors.Is(err, io.EOF)
	if !a.fedAll && !errors.Is(err, context.Canceled) {
		a.log.Debug("worker takes no more input", obs.Err(err))
	}
}

func (a *attempt) closeInput() {
	closeAll(a.child.stdin)
	a.progress.finished(time.Now())
}

// feed ends with io.EOF when the source has ended, and with context.Canceled when stopFeed was called.
func (a *attempt) feed() error {
	if err := a.spec.Write(a.child.stdin); err != nil {
		return err
	}
	w := relay.NewWriter(a.child.stdin)
	if err := w.WriteInfo(a.st.info); err != nil {
		return err
	}
	seq, tracks := a.st.replay.begin()
	if tracks != nil {
		if err := w.WriteItem(relay.Item{Tracks: tracks}); err != nil {
			return err
		}
	}
	for ; ; seq++ {
		item, err := a.st.replay.next(a.feedCtx, seq)
		if err != nil {
			return err
		}
		if item.Unit == nil {
			tracks = item.Tracks
		}
		if err := a.feedItem(w, item, tracks); err != nil {
			return err
		}
	}
}

func (a *attempt) feedItem(w *relay.Writer, item relay.Item, tracks []media.Track) error {
	if item.Unit != nil && a.expected(item.Unit, tracks) {
		a.progress.feeding(time.Now())
		defer func() { a.progress.taken(time.Now()) }()
	}
	return w.WriteItem(item)
}

// expected tells that the worker should make something of the unit soon.
func (a *attempt) expected(u *media.AccessUnit, tracks []media.Track) bool {
	t, _ := trackByID(tracks, u.Track)
	switch t.Kind {
	case media.Video:
		return len(a.spec.Rungs) > 0
	case media.Audio:
		return len(a.spec.Rungs) == 0 && !job.PassAudio(t.Config)
	default:
		return false
	}
}

// runOutput publishes what the worker makes.
func (a *attempt) runOutput() {
	defer close(a.outDone)
	a.outErr = a.publish()
}

func (a *attempt) publish() error {
	r := relay.NewReader(a.child.stdout, relay.Limits{})
	defer r.Close()
	for {
		item, err := r.Next(context.Background()) // ends with the worker, which watch kills
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		a.progress.gave(time.Now())
		if item.Unit == nil {
			a.st.out.setTracks(item.Tracks)
			continue
		}
		if err := a.st.out.unit(item.Unit); err != nil {
			return err
		}
		a.trim()
	}
}

// trimEvery is how often the replay is cut, in time of the media.
const trimEvery = 500 * time.Millisecond

func (a *attempt) trim() {
	at, ok := a.st.out.published()
	if ok && (at >= a.trimmed+trimEvery || at < a.trimmed) {
		a.trimmed = at
		a.st.replay.published(at)
	}
}

// runReports turns the worker's reports into metrics.
func (a *attempt) runReports() {
	lines := bufio.NewScanner(a.child.reports)
	lines.Buffer(make([]byte, 4096), maxReport)
	for lines.Scan() {
		var report job.Report
		if json.Unmarshal(lines.Bytes(), &report) != nil {
			a.log.Warn("worker's report makes no sense")
			continue
		}
		a.takeReport(report)
	}
	_, _ = io.Copy(io.Discard, a.child.reports) // so that a worker with an endless line does not block
}

func (a *attempt) takeReport(report job.Report) {
	if len(report.Shed) > len(a.report.Shed) {
		a.log.Warn("the machine is too slow for all renditions of this stream: one was given up",
			slog.Any("shed", report.Shed), slog.Any("left", report.Rungs), slog.Float64("lag_seconds", report.Lag))
	}
	if report.Skipped > a.report.Skipped {
		a.progress.gave(time.Now()) // it decodes its way to the place where it is to go on
	}
	a.st.sup.metrics.take(a.report, report)
	a.report = report
	if !a.restoring && !a.st.replay.over() && a.st.restore.observe(time.Now(), report, a.fits) {
		a.restoring = true
		close(a.restore)
	}
}

// fits tells that the node has room for a worker with rungs in place of this one.
func (a *attempt) fits(rungs []ladder.Rung) bool { return a.st.sup.admission.fits(a.st.share, rungs) }

func (a *attempt) runLog() {
	l := relog{log: a.log, dropped: a.st.sup.metrics.logDropped}
	l.run(a.child.stderr)
}

// watch waits for the worker to end its output, and returns early where it must be killed.
func (a *attempt) watch(ctx context.Context) string {
	cfg := &a.st.sup.cfg
	tick := time.NewTicker(max(cfg.StallTimeout/20, 10*time.Millisecond))
	defer tick.Stop()
	stop, replan, restore, reason := ctx.Done(), a.st.seen.stale(), a.restore, endClean
	var deadline <-chan time.Time
	for {
		select {
		case <-a.outDone:
			if a.outErr != nil && !a.killedFromOutside() {
				a.log.Error("worker's output makes no sense", obs.Err(a.outErr))
				return endGarbage
			}
			return reason
		case <-tick.C:
			switch now := time.Now(); {
			case a.progress.stalled(now, cfg.StallTimeout):
				return endStall
			case a.progress.hangs(now, cfg.DrainTimeout):
				return endHang
			}
		case <-replan:
			replan, reason = nil, endReplan
			a.stopFeed()
		case <-restore:
			restore, reason = nil, endRestore
			a.stopFeed()
		case <-stop:
			stop, deadline = nil, time.After(cfg.DrainTimeout)
		case <-deadline:
			return endHang
		}
	}
}

// killedFromOutside tells that the output broke off because the worker died, not because it talks nonsense.
func (a *attempt) killedFromOutside() bool {
	return errors.Is(a.outErr, io.ErrUnexpectedEOF)
}

// reap waits for the process to end, by force where kill is set or it takes too long.
func (a *attempt) reap(kill bool) error {
	if kill {
		a.child.kill()
	}
	a.stopFeed()
	timer := time.AfterFunc(exitGrace, a.child.kill)
	err := a.child.cmd.Wait()
	timer.Stop()
	// What the worker left in its pipes is read; a process that it left behind is not waited for.
	deadline := time.Now().Add(exitGrace)
	_ = a.child.stderr.SetReadDeadline(deadline)  // a pipe of ours always takes one
	_ = a.child.reports.SetReadDeadline(deadline) // the same
	_ = a.child.stdout.SetReadDeadline(deadline)  // the same
	return err
}

// judge says why the worker went, given why watch returned and how the process ended.
func (a *attempt) judge(reason string, exit error) string {
	if !orderly(reason) {
		return reason
	}
	status, _ := a.child.cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case status.Signaled():
		a.log.Error("worker was killed by a signal", slog.String("signal", status.Signal().String()))
		return endCrash
	case exit != nil:
		a.log.Error("worker failed", obs.Err(exit))
		return endExit
	case !a.fedAll && reason == endClean:
		a.log.Error("worker ended before its input did")
		return endEarly
	default:
		return reason
	}
}
