package worker

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"nova/internal/media"
	"nova/internal/relay"
	"nova/transcode/av"
	"nova/transcode/av/avtest"
	"nova/transcode/job"
	"nova/transcode/ladder"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if n := av.FramesInUse(); n != 0 && code == 0 {
		fmt.Fprintf(os.Stderr, "%d frames were not released\n%s", n, av.Leaks())
		code = 1
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// track IDs of the source in these tests.
const (
	videoID = 11
	audioID = 12
)

// feed is what goes into a worker, in order.
type feed []relay.Item

func sourceTracks(f *avtest.File) []media.Track {
	var tracks []media.Track
	if f.VideoConfig != nil {
		tracks = append(tracks, media.Track{
			ID: videoID, Kind: media.Video, Name: media.SourceVideo, Timescale: media.VideoTimescale, Config: f.VideoConfig,
		})
	}
	if f.AudioConfig != nil {
		tracks = append(tracks, media.Track{
			ID: audioID, Kind: media.Audio, Name: media.SourceAudio, Timescale: f.AudioConfig.SampleRate, Config: f.AudioConfig,
		})
	}
	return tracks
}

// feedOf interleaves a file's units by DTS, shifted by offset, up to limit (0: all).
func feedOf(f *avtest.File, offset, limit time.Duration) feed {
	type timed struct {
		at time.Duration
		u  *media.AccessUnit
	}
	var all []timed
	add := func(units []*media.AccessUnit, id, timescale int) {
		for _, u := range units {
			c := *u
			c.Track = id
			c.PTS += media.Ticks(offset, timescale)
			c.DTS += media.Ticks(offset, timescale)
			if at := media.Duration(c.DTS, timescale); limit == 0 || at < offset+limit {
				all = append(all, timed{at, &c})
			}
		}
	}
	add(f.Video, videoID, media.VideoTimescale)
	if f.AudioConfig != nil {
		add(f.Audio, audioID, f.AudioConfig.SampleRate)
	}
	slices.SortStableFunc(all, func(a, b timed) int { return cmp.Compare(a.at, b.at) })
	items := feed{{Tracks: sourceTracks(f)}}
	for _, e := range all {
		items = append(items, relay.Item{Unit: e.u})
	}
	return items
}

func (f feed) video() []*media.AccessUnit {
	var units []*media.AccessUnit
	for _, item := range f {
		if item.Unit != nil && item.Unit.Track == videoID {
			units = append(units, item.Unit)
		}
	}
	return units
}

// specFor is a job for f with the ladder that the supervisor would plan.
func specFor(t testing.TB, f *avtest.File, rate int, passthrough bool) job.Spec {
	t.Helper()
	cfg := ladder.DefaultConfig()
	cfg.Passthrough = passthrough
	spec := job.Spec{
		Stream: "demo", Encoder: "libx264", Preset: "ultrafast", AudioBitrate: 128_000, Ladder: cfg,
		KeyframeInterval: 2 * time.Second, PosterInterval: 10 * time.Second,
	}
	if f.VideoConfig == nil {
		return spec
	}
	spec.Source = ladder.NewSource(f.VideoConfig, 0)
	spec.Source.FrameRate = media.Rational{Num: rate, Den: 1}
	var err error
	if spec.Rungs, err = ladder.Plan(spec.Source, cfg); err != nil {
		t.Fatal(err)
	}
	return spec
}

// result is what came out of a worker.
type result struct {
	lists   [][]media.Track
	units   map[string][]*media.AccessUnit
	order   []string // "tracks" or a track's name
	reports string
	err     error
}

func (r *result) read(in relay.Reader) error {
	r.units = map[string][]*media.AccessUnit{}
	var tracks []media.Track
	for {
		item, err := in.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if item.Unit == nil {
			tracks = item.Tracks
			r.lists = append(r.lists, tracks)
			r.order = append(r.order, "tracks")
			continue
		}
		i := slices.IndexFunc(tracks, func(t media.Track) bool { return t.ID == item.Unit.Track })
		if i < 0 {
			return fmt.Errorf("a unit of track %d, which is not in %v", item.Unit.Track, tracks)
		}
		r.units[tracks[i].Name] = append(r.units[tracks[i].Name], item.Unit)
		r.order = append(r.order, tracks[i].Name)
	}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// work feeds a worker over real pipes and returns all that it gave.
func work(t testing.TB, spec job.Spec, in feed) *result {
	t.Helper()
	return workWith(t, newWorker(spec, discard()), in, nil)
}

// workWith calls before each item where it is not nil.
func workWith(t testing.TB, w *worker, in feed, before func(n int)) *result {
	t.Helper()
	stdinR, stdinW := pipe(t)
	stdoutR, stdoutW := pipe(t)
	var reports bytes.Buffer
	res := &result{}
	var group sync.WaitGroup
	group.Go(func() { writeFeed(t, stdinW, in, before) })
	var ran error
	group.Go(func() {
		defer stdoutW.Close()
		pipe := relay.NewReader(stdinR, relay.Limits{})
		defer pipe.Close()
		ran = w.run(t.Context(), pipe, stdoutW, &reports)
	})
	reader := relay.NewReader(stdoutR, relay.Limits{})
	if err := res.read(reader); err != nil {
		t.Errorf("cannot read the worker's output: %v", err)
	}
	reader.Close()
	group.Wait()
	res.err, res.reports = ran, reports.String()
	return res
}

func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

func writeFeed(t testing.TB, to io.WriteCloser, in feed, before func(int)) {
	defer to.Close()
	w := relay.NewWriter(to)
	if err := w.WriteInfo(relay.Info{Stream: "demo", Session: "one"}); err != nil {
		t.Errorf("cannot feed the worker: %v", err)
		return
	}
	for n, item := range in {
		if before != nil {
			before(n)
		}
		if w.WriteItem(item) != nil {
			return // the worker has ended, which the test sees from its result
		}
	}
}

// decodes proves that ffmpeg decodes H.264 units without a word, and returns the number of pictures.
func decodes(t testing.TB, units []*media.AccessUnit) int {
	t.Helper()
	var stream []byte
	for i, u := range units {
		if i == 0 || u.Config != units[i-1].Config {
			for _, set := range slices.Concat(u.Config.SPS, u.Config.PPS) {
				stream = append(append(stream, 0, 0, 0, 1), set...)
			}
		}
		stream = append(stream, annexB(t, u.Data)...)
	}
	out := avtest.FFmpeg(t, stream, "-xerror", "-f", "h264", "-i", "pipe:0", "-fps_mode", "passthrough", "-f", "framecrc", "-")
	n := 0
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "#") {
			n++
		}
	}
	return n
}

func annexB(t testing.TB, data []byte) []byte {
	t.Helper()
	var out []byte
	for len(data) > 0 {
		n := binary.BigEndian.Uint32(data)
		if int(n) > len(data)-4 {
			t.Fatalf("a NAL unit of %d bytes in %d", n, len(data)-4)
		}
		out = append(append(out, 0, 0, 0, 1), data[4:4+n]...)
		data = data[4+n:]
	}
	return out
}

func stamps(units []*media.AccessUnit) []int64 {
	list := make([]int64, len(units))
	for i, u := range units {
		list[i] = u.PTS
	}
	slices.Sort(list)
	return list
}

func keys(units []*media.AccessUnit) []int64 {
	var list []int64
	for _, u := range units {
		if u.Key {
			list = append(list, u.PTS)
		}
	}
	return list
}
