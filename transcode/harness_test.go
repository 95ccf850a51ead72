package transcode

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"nova/internal/media"
	"nova/internal/obs"
	"nova/internal/relay"
)

// IDs of the source's tracks in these tests.
const (
	sourceID = 1
	frame    = 3000 // ticks: 30 pictures a second
)

// rig is a supervisor with a source that the test publishes to.
type rig struct {
	t      *testing.T
	source *relay.Hub
	sup    *Supervisor
	reg    *prometheus.Registry
	log    *logBuffer
	stop   func()
}

// logBuffer keeps log lines. Safe for concurrent use.
type logBuffer struct {
	mu struct {
		sync.Mutex
		bytes.Buffer
	}
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.String()
}

// lines are the log lines with this message.
func (b *logBuffer) lines(msg string) []map[string]any {
	var list []map[string]any
	for line := range strings.Lines(b.String()) {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) == nil && fields["msg"] == msg {
			list = append(list, fields)
		}
	}
	return list
}

func newRig(t *testing.T, cfg Config) *rig {
	t.Helper()
	r := &rig{t: t, reg: prometheus.NewRegistry(), log: &logBuffer{}}
	var err error
	if r.source, err = relay.NewHub(relay.DefaultHubConfig("ingest"), discard(), nil); err != nil {
		t.Fatal(err)
	}
	if r.sup, err = New(cfg, r.source, obs.NewLogger(r.log, slog.LevelDebug), r.reg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.sup.Run(ctx) }()
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-done:
				if err != nil {
					t.Errorf("Run: %v", err)
				}
			case <-time.After(20 * time.Second):
				t.Errorf("Run does not return")
			}
			if t.Failed() {
				t.Logf("log:\n%s", r.log)
			}
		})
	}
	t.Cleanup(r.stop)
	return r
}

// source720 is the configuration of a 720p source that can be passed: its ladder is 480p and 360p.
func source720() *media.CodecConfig {
	return &media.CodecConfig{
		Codec: media.H264, Width: 1280, Height: 720, FrameRate: media.Rational{Num: 30, Den: 1},
		SPS: [][]byte{{0x67, 100, 0, 31}}, PPS: [][]byte{{0x68}},
	}
}

func videoTracks(cfg *media.CodecConfig) []media.Track {
	return []media.Track{{
		ID: sourceID, Kind: media.Video, Name: media.SourceVideo, Timescale: media.VideoTimescale, Config: cfg,
	}}
}

// live opens a stream and starts publishing: pictures of 1/30 s, a keyframe each gop pictures, one each interval.
func (r *rig) live(stream string, n, gop int, interval time.Duration) (published <-chan struct{}) {
	r.t.Helper()
	s, err := r.source.Open(relay.Info{Stream: stream, Session: "s-" + stream})
	if err != nil {
		r.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer s.Close()
		cfg := source720()
		s.SetTracks(videoTracks(cfg))
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for i := range n {
			<-tick.C
			s.Write(&media.AccessUnit{
				Track: sourceID, PTS: int64(i) * frame, DTS: int64(i) * frame, Key: i%gop == 0, Config: cfg,
				Data: []byte(fmt.Sprintf("picture %d", i)), Arrived: time.Now(),
			})
		}
	}()
	r.t.Cleanup(func() { <-done })
	return done
}

// got is what came out of the renditions hub.
type got struct {
	lists [][]string
	units map[string][]*media.AccessUnit
	// at is when each unit of the first rung came.
	at []time.Time
}

// collect reads a stream's renditions to their end.
func (r *rig) collect(stream string) *got { return r.collectWith(stream, nil) }

// collectWith calls seen with the time of each unit, where it is not nil.
func (r *rig) collectWith(stream string, seen func(pts int64)) *got {
	r.t.Helper()
	reader, err := r.join(stream)
	if err != nil {
		r.t.Fatal(err)
	}
	defer reader.Close()
	g := &got{units: map[string][]*media.AccessUnit{}}
	var tracks []media.Track
	for {
		item, err := reader.Next(r.t.Context())
		if errors.Is(err, io.EOF) {
			return g
		}
		if err != nil {
			r.t.Fatalf("renditions of %s: %v", stream, err)
		}
		if item.Unit == nil {
			tracks = item.Tracks
			g.lists = append(g.lists, names(tracks))
			continue
		}
		t, ok := trackByID(tracks, item.Unit.Track)
		if !ok {
			r.t.Fatalf("a unit of track %d, which is not in %v", item.Unit.Track, names(tracks))
		}
		g.units[t.Name] = append(g.units[t.Name], item.Unit)
		if seen != nil {
			seen(item.Unit.PTS)
		}
		if t.Name == names(tracks)[0] {
			g.at = append(g.at, time.Now())
		}
	}
}

// join waits until the stream's renditions are there.
func (r *rig) join(stream string) (relay.Reader, error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), 10*time.Second)
	defer cancel()
	for event := range r.sup.Source().Watch(ctx) {
		if event.Live && event.Info.Stream == stream {
			return r.sup.Source().Subscribe(ctx, stream, relay.Options{})
		}
	}
	return nil, fmt.Errorf("no renditions of %s", stream)
}

// whole proves that a rung has each of the n source pictures, in order, and that decoding can go on at each place
// where another worker took over.
func (g *got) whole(t *testing.T, n int, rungs ...string) {
	t.Helper()
	for _, name := range rungs {
		units := g.units[name]
		if len(units) != n {
			t.Errorf("%s has %d units of %d", name, len(units), n)
		}
		for i, u := range units {
			if i < n && u.PTS != int64(i)*frame {
				t.Fatalf("%s: unit %d is at %d, want %d", name, i, u.PTS, i*frame)
			}
		}
	}
}

// until waits for something to become true.
func (r *rig) until(what string, is func() bool) {
	r.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(10 * time.Second)
	for !is() {
		select {
		case <-tick.C:
		case <-limit:
			r.t.Fatalf("waited in vain until %s\nlog:\n%s", what, r.log)
		}
	}
}

// killWorker sends kill -9 to a stream's worker.
func (r *rig) killWorker(stream string) {
	r.t.Helper()
	for _, line := range r.log.lines("worker started") {
		if line["stream"] == stream {
			if err := syscall.Kill(int(line["worker"].(float64)), syscall.SIGKILL); err != nil {
				r.t.Errorf("cannot kill the worker of %s: %v", stream, err)
			}
			return
		}
	}
	r.t.Errorf("no worker of %s was started", stream)
}

// metric is the sum of a metric's values, or of a histogram's counts, over the series with this label value.
func (r *rig) metric(name, label string) float64 {
	r.t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	var sum float64
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if label != "" && !slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetValue() == label }) {
				continue
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}
