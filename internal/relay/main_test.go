package relay

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"nova/internal/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	videoConfig = &media.CodecConfig{Codec: media.H264, Width: 1280, Height: 720, SPS: [][]byte{{1}}, PPS: [][]byte{{2}}}
	audioConfig = &media.CodecConfig{Codec: media.AAC, SampleRate: 48000, Channels: 2, FrameSamples: 1024}
)

var discard = slog.New(slog.DiscardHandler)

var avTracks = []media.Track{
	{ID: 1, Kind: media.Video, Name: media.SourceVideo, Timescale: media.VideoTimescale, Config: videoConfig},
	{ID: 2, Kind: media.Audio, Name: media.SourceAudio, Timescale: 48000, Config: audioConfig},
}

func newTestHub(t testing.TB) *Hub {
	t.Helper()
	h, err := NewHub(DefaultHubConfig("test"), discard, nil)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func openStream(t testing.TB, h *Hub, id string) *Stream {
	t.Helper()
	s, err := h.Open(Info{Stream: id, Session: "session-of-" + id, Title: "A title", Start: time.Unix(1700000000, 5)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// writer makes a stream of one video and one audio unit in turn, each with its number in the first bytes, so that a
// reader can tell which are missing.
type writer struct {
	stream *Stream
	gop    int // pictures from keyframe to keyframe
	size   int
	next   int
}

func (w *writer) write(n int) {
	for range n {
		w.stream.Write(w.unit(w.next))
		w.next++
	}
}

func (w *writer) unit(i int) *media.AccessUnit {
	data := make([]byte, max(w.size, 8))
	binary.BigEndian.PutUint64(data, uint64(i))
	picture := int64(i / 2)
	if i%2 == 0 {
		return &media.AccessUnit{
			Track: 1, PTS: picture * 3000, DTS: picture * 3000, Key: picture%int64(w.gop) == 0,
			Config: videoConfig, Data: data,
		}
	}
	return &media.AccessUnit{
		Track: 2, PTS: picture * 1600, DTS: picture * 1600, Duration: 1024, Key: true, Config: audioConfig, Data: data,
	}
}

func number(u *media.AccessUnit) int { return int(binary.BigEndian.Uint64(u.Data)) }

// within bounds a test's wait. It is far beyond what is ever needed.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// readAll reads to the end of the session.
func readAll(t testing.TB, r Reader) []Item {
	t.Helper()
	ctx := within(t)
	var items []Item
	for {
		item, err := r.Next(ctx)
		if err == io.EOF { //nolint:errorlint // the end is the bare io.EOF
			return items
		}
		if err != nil {
			t.Fatalf("after %d items: %v", len(items), err)
		}
		items = append(items, item)
	}
}

// units are the items' units.
func units(items []Item) []*media.AccessUnit {
	var list []*media.AccessUnit
	for _, item := range items {
		if item.Unit != nil {
			list = append(list, item.Unit)
		}
	}
	return list
}
