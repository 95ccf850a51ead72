package transcode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"

	"nova/internal/media"
	"nova/internal/relay"
)

// Lines of a script:
//
//	tracks video|audio   a track list
//	key|pic|snd MS       a unit at that time
//	feed N               a worker takes N items
//	begin                a new worker starts, and is told where
//	published MS, skip, rest, end
//
// Each answers with what the replay holds after it.
func TestReplay(t *testing.T) {
	datadriven.RunTest(t, "testdata/replay", func(t *testing.T, d *datadriven.TestData) string {
		limit := 1000
		d.MaybeScanArgs(t, "max", &limit)
		s := &replayScript{t: t, r: newReplay(limit, replayBytes)}
		var out strings.Builder
		for line := range strings.Lines(d.Input) {
			fmt.Fprintf(&out, "%s:%s %s\n", strings.TrimSpace(line), s.do(strings.Fields(line)), s.holds())
		}
		return out.String()
	})
}

type replayScript struct {
	t   *testing.T
	r   *replay
	seq int64
}

func (s *replayScript) do(f []string) string {
	ms := 0
	if len(f) > 1 && f[0] != "tracks" {
		ms = numbers(s.t, f[1:])[0]
	}
	switch f[0] {
	case "tracks":
		tracks := []media.Track{{ID: 2, Kind: media.Audio, Name: "sound", Timescale: 1000}}
		if f[1] == "video" {
			tracks = append(tracks, media.Track{ID: 1, Kind: media.Video, Name: "picture", Timescale: 1000})
		}
		return s.append(relay.Item{Tracks: tracks})
	case "key", "pic":
		return s.append(relay.Item{Unit: &media.AccessUnit{Track: 1, PTS: int64(ms), Key: f[0] == "key"}})
	case "snd":
		return s.append(relay.Item{Unit: &media.AccessUnit{Track: 2, PTS: int64(ms), Key: true}})
	case "feed":
		return s.feed(ms)
	case "begin":
		seq, tracks := s.r.begin()
		s.seq = seq
		return fmt.Sprintf(" at %d with %v", seq, names(tracks))
	case "published":
		s.r.published(time.Duration(ms) * time.Millisecond)
	case "skip":
		s.r.skip()
	case "rest":
		s.r.rest()
	case "end":
		s.r.end()
	default:
		s.t.Fatalf("unknown line %v", f)
	}
	return ""
}

func (s *replayScript) append(item relay.Item) string {
	if _, done := s.r.tryAppend(item); !done {
		return " blocked"
	}
	return ""
}

func (s *replayScript) feed(n int) string {
	var out strings.Builder
	for range n {
		item, changed, err := s.r.tryNext(s.seq)
		switch {
		case errors.Is(err, io.EOF):
			out.WriteString(" EOF")
		case changed != nil:
			out.WriteString(" nothing")
		default:
			out.WriteString(" " + show(item))
			s.seq++
		}
	}
	return out.String() + ","
}

func (s *replayScript) holds() string {
	var list []string
	for i, e := range s.r.mu.items {
		if s.r.mu.first+int64(i) == s.r.mu.fed {
			list = append(list, "|")
		}
		list = append(list, show(e.Item))
	}
	return "[" + strings.Join(list, " ") + "]"
}

func show(item relay.Item) string {
	switch u := item.Unit; {
	case u == nil:
		return "tracks"
	case u.Track == 2:
		return fmt.Sprintf("s%d", u.PTS)
	case u.Key:
		return fmt.Sprintf("K%d", u.PTS)
	default:
		return fmt.Sprintf("p%d", u.PTS)
	}
}

func TestReplayWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReplay(2, replayBytes)
		unit := relay.Item{Unit: &media.AccessUnit{Track: 1, Key: true}}
		got := make(chan string, 10)
		go func() {
			for seq := int64(0); ; seq++ {
				item, err := r.next(t.Context(), seq)
				if err != nil {
					got <- err.Error()
					return
				}
				got <- show(item)
				r.published(time.Hour)
			}
		}()
		tracks := relay.Item{Tracks: []media.Track{{ID: 1, Kind: media.Video, Timescale: 1000}}}
		for _, item := range []relay.Item{tracks, unit, unit, unit} {
			if err := r.append(t.Context(), item); err != nil { // blocks while two are held
				t.Fatal(err)
			}
		}
		r.end()
		for _, want := range []string{"tracks", "K0", "K0", "K0", "EOF"} {
			if s := <-got; s != want {
				t.Errorf("got %s, want %s", s, want)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		full := newReplay(0, 0)
		if err := full.append(ctx, unit); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a full replay took a unit: %v", err)
		}
	})
}

func TestReplayKnowsRepeats(t *testing.T) {
	r := newReplay(10, replayBytes)
	for _, c := range []struct {
		track int
		dts   int64
		want  bool
	}{{1, 10, true}, {1, 10, false}, {1, 5, false}, {2, 5, true}, {1, 11, true}} {
		if got := r.fresh(&media.AccessUnit{Track: c.track, DTS: c.dts}); got != c.want {
			t.Errorf("track %d at %d: %v", c.track, c.dts, got)
		}
	}
}
