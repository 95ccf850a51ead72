package rtmp

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"nova/ingest/hub"
	"nova/ingest/rtmp/amf"
	"nova/ingest/rtmp/chunk"
	"nova/ingest/rtmp/rtmptest"
	"nova/internal/obs"
)

// newTestPublication is a publication into a recording.
func newTestPublication(t *testing.T) (*publication, *recording) {
	t.Helper()
	m, err := newMetrics(nil)
	must(t, err)
	r := newRecorder()
	out, err := r.Publish(hub.Publication{Stream: "s"})
	must(t, err)
	return newPublication(out, DefaultConfig(), obs.NewLogger(&journal{}, slog.LevelInfo), m), out.(*recording)
}

// TestTracks drives a publication with a script of tags and shows what the hub gets after each. The commands:
//
//	metadata [video] [audio]   onMetaData that lists these kinds
//	config video|audio|mono    a configuration record
//	frame video|audio at=MS    a frame; key=true for an IDR
//	close                      the end
func TestTracks(t *testing.T) {
	datadriven.Walk(t, "testdata/tracks", func(t *testing.T, path string) {
		p, out := newTestPublication(t)
		shown, lists := 0, 0
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if err := step(t, p, d); err != nil {
				return "error: " + err.Error() + "\n"
			}
			var text strings.Builder
			for ; lists < len(out.tracks); lists++ {
				text.WriteString("tracks")
				for _, track := range out.tracks[lists] {
					fmt.Fprintf(&text, " %d=%s/%d", track.ID, track.Name, track.Timescale)
				}
				text.WriteString("\n")
			}
			for ; shown < len(out.samples); shown++ {
				s := out.samples[shown]
				fmt.Fprintf(&text, "sample %d at %d key=%v\n", s.Track, s.Time, s.Key)
			}
			if out.closed {
				fmt.Fprintf(&text, "closed: %v\n", out.reason)
			}
			if text.Len() == 0 {
				return "nothing\n"
			}
			return text.String()
		})
	})
}

func step(t *testing.T, p *publication, d *datadriven.TestData) error {
	t.Helper()
	has := func(name string) bool { return d.HasArg(name) }
	at, key := 0, false
	d.MaybeScanArgs(t, "at", &at)
	d.MaybeScanArgs(t, "key", &key)
	switch d.Cmd {
	case "metadata":
		o := amf.Object{}
		if has("video") {
			o = append(o, amf.Property{Key: "videocodecid", Value: 7.0})
		}
		if has("audio") {
			o = append(o, amf.Property{Key: "audiocodecid", Value: "mp4a"})
		}
		p.metadata(amf.Append(nil, "onMetaData", o))
		return nil
	case "config":
		switch {
		case has("video"):
			return p.videoTag(uint32(at), rtmptest.AVCConfig(rtmptest.SPS240, rtmptest.PPS240), time.Now())
		case has("mono"):
			return p.audioTag(uint32(at), rtmptest.AACConfig([]byte{0x12, 0x08}), time.Now())
		default:
			return p.audioTag(uint32(at), rtmptest.AACConfig(rtmptest.StereoASC), time.Now())
		}
	case "frame":
		if has("audio") {
			return p.audioTag(uint32(at), rtmptest.AACFrame(0x21, 20), time.Now())
		}
		nal := rtmptest.Slice(0x20, 20)
		if key {
			nal = rtmptest.IDR(0x20, 20)
		}
		return p.videoTag(uint32(at), rtmptest.AVCFrame(key, 0, nal), time.Now())
	case "close":
		p.close(nil)
		return nil
	default:
		t.Fatalf("no such command: %s", d.Cmd)
		return nil
	}
}

// A picture that grows in the middle of a stream is a new configuration on the same track, whether it comes as a
// record or in band.
func TestParameterSetsChange(t *testing.T) {
	p, out := newTestPublication(t)
	sets := func(nals ...[]byte) []byte {
		return rtmptest.AVCFrame(true, 0, append(nals, rtmptest.IDR(0x10, 20))...)
	}
	now := time.Now()
	must(t,
		p.audioTag(0, rtmptest.AACConfig(rtmptest.StereoASC), now),
		p.videoTag(0, rtmptest.AVCConfig(rtmptest.SPS240, rtmptest.PPS240), now),
		p.videoTag(0, sets(), now),
		p.videoTag(40, rtmptest.AVCConfig(rtmptest.SPS240, rtmptest.PPS240), now),
		p.videoTag(40, sets(), now),
		p.videoTag(80, rtmptest.AVCConfig(rtmptest.SPS720, rtmptest.PPS720), now),
		p.videoTag(80, sets(), now),
		p.videoTag(120, sets(rtmptest.SPS240, rtmptest.PPS240), now),
	)
	widths := []int{}
	for _, s := range out.samples {
		widths = append(widths, s.Config.Width)
	}
	if !slices.Equal(widths, []int{320, 320, 1280, 320}) || len(out.tracks) != 1 {
		t.Errorf("widths %v, %d track lists", widths, len(out.tracks))
	}
	if out.samples[0].Config != out.samples[1].Config {
		t.Error("a repeated record made a new configuration")
	}
}

// Bit flips in 1 % of the payloads cost those tags at most: the stream goes on and the damage is counted.
func TestBitFlips(t *testing.T) {
	b := serve(t, nil)
	c := b.publish(t, keyA)
	must(t, c.SetChunkSize(4096))
	begin(t, c, 0)
	rng := rand.New(rand.NewPCG(1, 2))
	const frames = 3000
	damaged := 0
	for i := range uint32(frames) {
		video := rtmptest.AVCFrame(i%50 == 0, 40, []byte{9, 0xf0}, rtmptest.IDR(0x10, 30), rtmptest.Slice(0x20, 100))
		audio := rtmptest.AACFrame(0x21, 60)
		for _, payload := range [][]byte{video, audio} {
			if rng.IntN(100) == 0 {
				damaged++
				for range 1 + rng.IntN(8) {
					payload[rng.IntN(len(payload))] ^= 1 << rng.IntN(8)
				}
			}
		}
		must(t, c.Video(40*i, video), c.Audio(40*i, audio))
	}
	must(t, c.Close())
	p := b.waitClosed(t, "stream-a")
	if p.reason != nil {
		t.Fatal(p.reason)
	}
	dropped := int(b.count(t, "dropped_tags_total", ""))
	lost := 2*frames + 2 - len(p.samples)
	t.Logf("%d of %d payloads damaged, %d tags dropped, %d samples lost", damaged, 2*frames, dropped, lost)
	if damaged < 30 || dropped < 1 || dropped > damaged || lost < dropped || lost > damaged {
		t.Error("damage is not what was dropped")
	}
}

// cutting writes to a connection in pieces of random size.
type cutting struct {
	*rtmptest.Client
	rng *rand.Rand
}

func (c cutting) send(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), 1+c.rng.IntN(700))
		if err := c.Raw(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// The same bytes give the same samples however they are cut on their way.
func TestCutsDoNotMatter(t *testing.T) {
	b := serve(t, nil)
	stream := mediaStream()
	var want []hub.Sample
	for seed := range uint64(6) {
		c := b.publish(t, keyA)
		send := c.Raw
		if seed > 0 {
			send = cutting{c, rand.New(rand.NewPCG(seed, 0))}.send
		}
		must(t, send(stream), c.Close())
		got := b.waitClosed(t, "stream-a").samples
		if seed == 0 {
			want = got
		}
		same := slices.EqualFunc(got, want, func(a, b hub.Sample) bool {
			return a.Track == b.Track && a.Time == b.Time && a.CompositionOffset == b.CompositionOffset && a.Key == b.Key &&
				bytes.Equal(a.Data, b.Data) && a.Config.Equal(b.Config)
		})
		if len(got) < 100 || !same {
			t.Fatalf("seed %d: %d samples, want %d", seed, len(got), len(want))
		}
	}
}

// mediaStream is what follows a publish: chunks of changing size, interleaved, with extended timestamps.
func mediaStream() (b []byte) {
	rng := rand.New(rand.NewPCG(7, 7))
	size := 128
	add := func(m chunk.Message) { b = chunk.Append(b, m, size) }
	for i := range 60 {
		at := uint32(0xfffe00 + 40*i)
		if i == 0 {
			add(chunk.Message{ChunkStream: 6, Type: chunk.TypeVideo, Stream: 1, Timestamp: at, Payload: rtmptest.AVCConfig(rtmptest.SPS240, rtmptest.PPS240)})
			add(chunk.Message{ChunkStream: 4, Type: chunk.TypeAudio, Stream: 1, Timestamp: at, Payload: rtmptest.AACConfig(rtmptest.StereoASC)})
		}
		add(chunk.Message{ChunkStream: 6, Type: chunk.TypeVideo, Stream: 1, Timestamp: at, Payload: rtmptest.AVCFrame(i%10 == 0, 40, rtmptest.IDR(0x10, rng.IntN(3000)))})
		add(chunk.Message{ChunkStream: 70, Type: chunk.TypeAudio, Stream: 1, Timestamp: at, Payload: rtmptest.AACFrame(byte(i)|1, 1+rng.IntN(300))})
		if i%17 == 3 {
			next := 100 + rng.IntN(2000)
			add(chunk.Message{ChunkStream: 2, Type: chunk.TypeSetChunkSize, Payload: uint32s(uint32(next))})
			size = next
		}
	}
	return b
}

func TestHeldSamplesAreBounded(t *testing.T) {
	p, out := newTestPublication(t)
	now := time.Now()
	must(t, p.videoTag(0, rtmptest.AVCConfig(rtmptest.SPS240, rtmptest.PPS240), now))
	for range maxHeld {
		must(t, p.videoTag(0, rtmptest.AVCFrame(true, 0, rtmptest.IDR(0x10, 20)), now))
	}
	if len(out.samples) != maxHeld || len(p.held) != 0 {
		t.Errorf("%d handed on, %d held", len(out.samples), len(p.held))
	}
	p, out = newTestPublication(t)
	must(t, p.videoTag(0, rtmptest.AVCConfig(rtmptest.SPS240, rtmptest.PPS240), now))
	for range 5 {
		must(t, p.videoTag(0, rtmptest.AVCFrame(true, 0, rtmptest.IDR(0x10, 4<<20)), now))
	}
	if len(out.samples) < 4 {
		t.Errorf("%d handed on of 20 MiB", len(out.samples))
	}
}

// One foreign tag may be damage, a second one at the begin is a codec; a track that plays gets more patience.
func TestForeignCodecs(t *testing.T) {
	for name, c := range map[string]struct {
		playing bool
		want    int
	}{"at the begin": {false, foreignFirst}, "while playing": {true, foreignLater}} {
		p, _ := newTestPublication(t)
		now := time.Now()
		if c.playing {
			must(t, p.videoTag(0, rtmptest.AVCConfig(rtmptest.SPS240, rtmptest.PPS240), now))
		}
		n := 1
		for p.videoTag(0, []byte("\x91hvc1\x00\x00\x00\x01"), now) == nil {
			n++
		}
		if n != c.want {
			t.Errorf("%s: refused after %d tags, want %d", name, n, c.want)
		}
	}
}

// HE-AAC's track counts samples after the band replication, as its decoder gives them.
func TestHEAAC(t *testing.T) {
	p, out := newTestPublication(t)
	now := time.Now()
	p.metadata(amf.Append(nil, "onMetaData", amf.Object{{Key: "audiocodecid", Value: 10.0}}))
	must(t, p.audioTag(0, rtmptest.AACConfig([]byte{0x2b, 0x11, 0x88, 0x00}), now), p.audioTag(0, rtmptest.AACFrame(0x21, 20), now))
	if track := out.tracks[0][0]; track.Timescale != 48000 || track.Config.FrameSamples != 2048 || track.Config.Channels != 2 {
		t.Errorf("track %+v", track)
	}
}

func TestHubErrorsEndThePublication(t *testing.T) {
	p, out := newTestPublication(t)
	out.stopped = true
	now := time.Now()
	must(t, p.videoTag(0, rtmptest.AVCConfig(rtmptest.SPS240, rtmptest.PPS240), now), p.audioTag(0, rtmptest.AACConfig(rtmptest.StereoASC), now))
	if err := p.videoTag(0, rtmptest.AVCFrame(true, 0, rtmptest.IDR(0x10, 20)), now); !errors.Is(err, hub.ErrEnded) {
		t.Error(err)
	}
}
