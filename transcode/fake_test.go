package transcode

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"nova/internal/media"
	"nova/internal/relay"
	"nova/transcode/job"
)

// fakeWorker gives each source picture back as one unit of each rung, and misbehaves as its arguments say:
// MODE AT MARKER. The fault comes at the first picture with PTS ≥ AT; where MARKER is a path, only in the first
// worker that gets there.
type fakeWorker struct {
	spec    job.Spec
	out     *relay.Writer
	cfgs    map[string]*media.CodecConfig
	began   map[string]bool
	reports *reporter
	mode    string
	at      int64
	marker  string
}

// reporter repeats a report, as the real one does, but more often.
type reporter struct {
	mu struct {
		sync.Mutex
		to   *json.Encoder
		last job.Report
	}
}

func newReporter(to io.Writer) *reporter {
	r := &reporter{}
	r.mu.to = json.NewEncoder(to)
	return r
}

func (r *reporter) say(change func(*job.Report)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.mu.last)
	return r.mu.to.Encode(r.mu.last)
}

func (r *reporter) repeat() {
	for range time.Tick(20 * time.Millisecond) {
		_ = r.say(func(*job.Report) {})
	}
}

func fakeMain(args []string, reports *os.File) error {
	in := bufio.NewReader(os.Stdin)
	f := &fakeWorker{
		out: relay.NewWriter(os.Stdout), cfgs: map[string]*media.CodecConfig{}, began: map[string]bool{},
		mode: args[0], marker: args[2],
	}
	if _, err := fmt.Sscan(args[1], &f.at); err != nil {
		return err
	}
	var err error
	if f.spec, err = job.ReadSpec(in); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, `{"time":"2026-01-01T00:00:00Z","level":"INFO","msg":"fake worker begins","comp":"worker"}`)
	if f.mode == "refuse" {
		return json.NewEncoder(reports).Encode(job.Report{Refused: "no such encoder"})
	}
	report := job.Report{Speed: 2, FramesInUse: 3, Queues: map[string]int{"encode": 2}, Errors: map[string]uint64{"scale": 1}}
	f.reports = newReporter(reports)
	if err := f.reports.say(func(r *job.Report) { *r = report }); err != nil {
		return err
	}
	if f.mode == "shed" || f.mode == "report" {
		go f.reports.repeat()
	}
	return f.run(relay.NewReader(in, relay.Limits{}))
}

func (f *fakeWorker) run(in *relay.PipeReader) error {
	ctx := context.Background()
	info, err := in.ReadInfo(ctx)
	if err != nil {
		return err
	}
	if err := f.out.WriteInfo(info); err != nil {
		return err
	}
	if f.mode == "catchup" && len(f.spec.Resume) > 0 {
		f.catchUp()
	}
	if err := f.out.WriteItem(relay.Item{Tracks: f.tracks()}); err != nil {
		return err
	}
	var source []media.Track
	for {
		item, err := in.Next(ctx)
		if errors.Is(err, io.EOF) {
			return f.ended()
		}
		if err != nil {
			return err
		}
		if item.Unit == nil {
			source = item.Tracks
			continue
		}
		if t, _ := trackByID(source, item.Unit.Track); t.Kind == media.Video {
			if err := f.picture(item.Unit); err != nil {
				return err
			}
		}
	}
}

func (f *fakeWorker) tracks() []media.Track {
	tracks := []media.Track{}
	for _, r := range f.spec.Rungs {
		cfg := &media.CodecConfig{Codec: media.H264, Width: r.Width, Height: r.Height, SPS: [][]byte{{1}}, PPS: [][]byte{{2}}}
		if f.mode == "reconfigure" && len(f.spec.Resume) > 0 {
			cfg.SPS = [][]byte{{9}}
		}
		f.cfgs[r.Name] = cfg
		tracks = append(tracks, media.Track{
			ID: r.ShortSide(), Kind: media.Video, Name: r.Name, Timescale: media.VideoTimescale, Config: cfg,
		})
	}
	return tracks
}

func (f *fakeWorker) picture(u *media.AccessUnit) error {
	if f.mode == "shed" && f.due(u.PTS) {
		if err := f.shed(); err != nil {
			return err
		}
	}
	for i, r := range f.spec.Rungs {
		if i == 1 { // between two rungs of one picture, where a death hurts most
			if err := f.misbehave(u.PTS); err != nil {
				return err
			}
		}
		if u.PTS <= f.resume() {
			continue
		}
		err := f.out.WriteItem(relay.Item{Unit: &media.AccessUnit{
			Track: r.ShortSide(), PTS: u.PTS, DTS: u.DTS, Key: u.Key || !f.began[r.Name], Config: f.cfgs[r.Name], Data: u.Data, Arrived: u.Arrived,
		}})
		if err != nil {
			return err
		}
		f.began[r.Name] = true
	}
	return nil
}

// shed gives up the largest rung.
func (f *fakeWorker) shed() error {
	gone := f.spec.Rungs[0].Name
	f.spec.Rungs = f.spec.Rungs[1:]
	if err := f.out.WriteItem(relay.Item{Tracks: f.tracks()}); err != nil {
		return err
	}
	return f.reports.say(func(r *job.Report) { r.Shed = append(r.Shed, gone) })
}

// resume is where all rungs go on after, as in the real worker.
func (f *fakeWorker) resume() int64 {
	at := int64(-1)
	for _, r := range f.spec.Rungs {
		if pts, ok := f.spec.Resume[r.Name]; ok {
			at = max(at, pts)
		}
	}
	return at
}

// due tells that the fault is to happen now.
func (f *fakeWorker) due(pts int64) bool {
	if pts < f.at {
		return false
	}
	if f.marker == "" {
		return true
	}
	file, err := os.OpenFile(f.marker, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return false
	}
	return file.Close() == nil
}

func (f *fakeWorker) misbehave(pts int64) error {
	if f.mode == "ok" || f.mode == "report" || f.mode == "shed" || f.mode == "hang" || !f.due(pts) {
		return nil
	}
	switch f.mode {
	case "crash", "catchup":
		fmt.Fprintln(os.Stderr, "SIGSEGV: segmentation violation\n"+strings.Repeat("goroutine 1 [running]\n", 100))
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "fail":
		return errors.New("out of luck")
	case "early":
		os.Exit(0)
	case "stall":
		select {}
	case "deaf": // neither reads nor writes, and ignores that its output is gone
		for {
			_, _ = io.ReadFull(os.Stdin, make([]byte, 1))
			select {}
		}
	case "garbage":
		_, err := os.Stdout.WriteString(strings.Repeat("\x05hello", 100))
		if err == nil {
			select {}
		}
		return err
	case "strange":
		return f.out.WriteItem(relay.Item{Unit: &media.AccessUnit{Track: 4711, Data: []byte{1}}})
	}
	return nil
}

// catchUp gives nothing for a while but the news that it is at work.
func (f *fakeWorker) catchUp() {
	for n := range int64(15) {
		<-time.After(100 * time.Millisecond)
		_ = f.reports.say(func(r *job.Report) { *r = job.Report{Skipped: n + 1} })
	}
}

func (f *fakeWorker) ended() error {
	if f.mode == "hang" {
		select {}
	}
	return nil
}
