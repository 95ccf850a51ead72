package playlist

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"nova/internal/media"
	"nova/packager/playlist/playlisttest"
	"nova/packager/present"
)

// TestPlaylists renders what testdata describes. Every result is also read back by the strict parser, unless the
// case says that it breaks a rule.
func TestPlaylists(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var text []byte
			var err error
			switch d.Cmd {
			case "media":
				text = Media(header(d), segments(t, d.Input), d.HasArg("ended"))
				_, err = playlisttest.ParseMedia(text)
			case "multivariant":
				text = Multivariant(renditions(t, d.Input))
				_, err = playlisttest.ParseMultivariant(text)
			default:
				d.Fatalf(t, "unknown command %q", d.Cmd)
			}
			if err != nil {
				return string(text) + "breaks a rule: " + err.Error() + "\n"
			}
			return string(text)
		})
	})
}

func header(d *datadriven.TestData) Header {
	h := Header{TargetDuration: 4 * time.Second}
	for _, a := range d.CmdArgs {
		n := int64(0)
		if len(a.Vals) == 1 {
			n, _ = strconv.ParseInt(a.Vals[0], 10, 64)
		}
		switch a.Key {
		case "sequence":
			h.Sequence = n
		case "discontinuities":
			h.DiscontinuitySequence = n
		case "target":
			h.TargetDuration = time.Duration(n) * time.Millisecond
		case "type":
			h.Type = Type(a.Vals[0])
		}
	}
	return h
}

// segments reads lines such as "12 2.002 init-0 discontinuity gap", one after the other in time.
func segments(t testing.TB, input string) []present.Segment {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	var list []present.Segment
	for _, line := range strings.Split(input, "\n") {
		f := strings.Fields(line)
		seq, err := strconv.ParseInt(f[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		length, err := time.ParseDuration(f[1] + "s")
		if err != nil {
			t.Fatal(err)
		}
		s := present.Segment{Seq: seq, Name: fmt.Sprintf("x7-%d.m4s", seq), Duration: length, Start: at}
		for _, word := range f[2:] {
			switch word {
			case "discontinuity":
				s.Discontinuity = true
			case "gap":
				s.Gap = true
			default:
				s.InitName = "x7-" + word + ".mp4"
			}
		}
		at = at.Add(length)
		list = append(list, s)
	}
	return list
}

// renditions reads lines such as "720p video avc1.64001f 1280x720 29.97 2500000 2100000" and
// "audio audio mp4a.40.2 2 130000 128000".
func renditions(t testing.TB, input string) []present.Rendition {
	var list []present.Rendition
	for _, line := range strings.Split(input, "\n") {
		r := present.Rendition{Kind: media.Audio}
		var err error
		if strings.Contains(line, " video ") {
			r.Kind = media.Video
			_, err = fmt.Sscanf(line, "%s video %s %dx%d %f %d %d",
				&r.Name, &r.Codecs, &r.Width, &r.Height, &r.FrameRate, &r.Bandwidth, &r.AverageBandwidth)
		} else {
			_, err = fmt.Sscanf(line, "%s audio %s %d %d %d",
				&r.Name, &r.Codecs, &r.Channels, &r.Bandwidth, &r.AverageBandwidth)
		}
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		list = append(list, r)
	}
	return list
}

// A playlist that grows piece by piece is the same text as one rendered at once, and reads back as what it was
// made of.
func TestPiecesMakeTheWhole(t *testing.T) {
	for seed := range uint64(100) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		list := randomSegments(rnd)
		h := Header{TargetDuration: 4 * time.Second, Type: Event}
		text, initName := AppendHeader(nil, h), ""
		for i := range list {
			text, initName = AppendSegment(text, &list[i], initName)
		}
		text = AppendEnd(text)
		if whole := Media(h, list, true); !bytes.Equal(text, whole) {
			t.Fatalf("seed %d:\n%s\nat once\n%s", seed, text, whole)
		}
		m, err := playlisttest.ParseMedia(text)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		for i, got := range m.Segments {
			want := list[i]
			if got.URI != want.Name || got.Duration.Round(time.Microsecond) != want.Duration.Round(time.Microsecond) ||
				got.Gap != want.Gap || got.Discontinuity != want.Discontinuity || got.Seq != want.Seq {
				t.Fatalf("seed %d: segment %+v, want %+v", seed, got, want)
			}
		}
	}
}

func randomSegments(rnd *rand.Rand) []present.Segment {
	at := time.Unix(1_700_000_000, 0)
	init := 0
	var list []present.Segment
	for seq := range rnd.Int64N(50) + 1 {
		s := present.Segment{Seq: seq, Name: fmt.Sprintf("p-%d.m4s", seq), Start: at}
		s.Duration = time.Duration(rnd.Int64N(4_400_000)+1) * time.Microsecond
		s.Discontinuity = seq > 0 && rnd.IntN(5) == 0
		if s.Discontinuity {
			init++
		}
		s.Gap = rnd.IntN(4) == 0
		s.InitName = fmt.Sprintf("p-init-%d.mp4", init)
		at = at.Add(s.Duration)
		list = append(list, s)
	}
	return list
}

func BenchmarkMedia(b *testing.B) {
	list := randomSegments(rand.New(rand.NewPCG(1, 1)))
	b.ReportAllocs()
	for b.Loop() {
		Media(Header{TargetDuration: 4 * time.Second}, list, false)
	}
}
