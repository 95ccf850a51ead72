package relay

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"reflect"
	"testing"
	"testing/iotest"
	"time"

	"nova/internal/media"
)

// session is a short session as it stands on a pipe.
func session(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out)
	if err := w.WriteInfo(Info{Stream: "demo", Session: "s"}); err != nil {
		t.Fatal(err)
	}
	units := writer{gop: 2}
	for _, item := range []Item{{Tracks: avTracks}, {Unit: units.unit(0)}, {Unit: units.unit(1), Lost: 3}} {
		if err := w.WriteItem(item); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// However the bytes are cut into reads, the same items come out.
func TestPipeReaderIgnoresHowReadsAreCut(t *testing.T) {
	var want []Item
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"at once": func(r io.Reader) io.Reader { return r }, "one byte": iotest.OneByteReader,
		"half": iotest.HalfReader, "error with data": iotest.DataErrReader,
	} {
		r := NewReader(wrap(bytes.NewReader(session(t))), Limits{})
		items := readAll(t, r)
		if len(items) != 3 || items[2].Lost != 3 || r.Info().Session != "s" {
			t.Fatalf("%s: %+v of %+v", name, items, r.Info())
		}
		if want == nil {
			want = items
		}
		if !reflect.DeepEqual(items, want) {
			t.Errorf("%s: other items", name)
		}
		r.Close()
	}
}

// A pipe that ends within a message was cut, wherever that is; one that ends between two has ended properly.
func TestPipeReaderTellsEndFromCut(t *testing.T) {
	whole := session(t)
	ends := map[int]bool{}
	for at := 0; at < len(whole); {
		ends[at] = true
		size, n := binary.Uvarint(whole[at:])
		at += n + int(size)
	}
	ends[len(whole)] = true
	for n := range len(whole) + 1 {
		r := NewReader(bytes.NewReader(whole[:n]), Limits{})
		var err error
		for err == nil {
			_, err = r.Next(within(t))
		}
		if proper := err == io.EOF; proper != ends[n] || (!proper && !errors.Is(err, io.ErrUnexpectedEOF)) { //nolint:errorlint // the end is the bare io.EOF
			t.Errorf("%d of %d bytes: %v", n, len(whole), err)
		}
		r.Close()
	}
}

func TestPipeReaderLimitsMessages(t *testing.T) {
	announce := binary.AppendUvarint(nil, MaxMessage+1)
	r := NewReader(io.MultiReader(bytes.NewReader(announce), neverEnding{}), Limits{})
	defer r.Close()
	if _, err := r.Next(within(t)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a message of 16 MiB and a byte: %v", err)
	}
	small := NewReader(bytes.NewReader(session(t)), Limits{MaxMessage: 20})
	defer small.Close()
	if _, err := small.Next(within(t)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a message of more than 20 bytes: %v", err)
	}
}

// What is announced is not allocated before it arrives.
func TestPipeReaderAllocatesWhatArrives(t *testing.T) {
	announce := binary.AppendUvarint(nil, MaxMessage)
	n := testing.AllocsPerRun(1, func() {
		r := NewReader(bytes.NewReader(append(announce, 1, 2, 3)), Limits{})
		if _, err := r.Next(t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
		if got := r.buf.Cap(); got > 1<<20 {
			t.Errorf("%d bytes allocated for 3", got)
		}
	})
	if n > 100 {
		t.Errorf("%v allocations", n)
	}
}

type neverEnding struct{}

func (neverEnding) Read(p []byte) (int, error) { return len(p), nil }

func TestWriterLimitsMessages(t *testing.T) {
	w := NewWriter(io.Discard)
	if err := w.WriteItem(Item{Unit: &media.AccessUnit{Data: make([]byte, MaxMessage)}}); err == nil {
		t.Error("a unit beyond the limit must be refused")
	}
	if err := w.WriteItem(Item{Unit: &media.AccessUnit{Data: make([]byte, MaxUnit)}}); err != nil {
		t.Errorf("a unit that a hub takes must fit: %v", err)
	}
}

// One write per item, with the configurations in it: no other process sees half of one.
func TestWriterWritesOncePerItem(t *testing.T) {
	var out countingWriter
	w := NewWriter(&out)
	units := writer{gop: 1}
	_ = w.WriteInfo(Info{Stream: "demo"})
	_ = w.WriteItem(Item{Tracks: avTracks})
	_ = w.WriteItem(Item{Unit: units.unit(0)})
	if out != 3 {
		t.Errorf("%d writes, want 3", out)
	}
	u := Item{Unit: units.unit(0)}
	if n := testing.AllocsPerRun(100, func() { _ = w.WriteItem(u) }); n > 0 {
		t.Errorf("%v allocations per unit", n)
	}
}

type countingWriter int

func (c *countingWriter) Write(p []byte) (int, error) {
	*c++
	return len(p), nil
}

func TestWriterReportsABrokenPipe(t *testing.T) {
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	in.Close()
	defer out.Close()
	if err := NewWriter(out).WriteInfo(Info{Stream: "demo"}); err == nil {
		t.Error("the other end is closed")
	}
}

func TestPipeReaderInfo(t *testing.T) {
	in, out := net.Pipe()
	defer out.Close()
	r := NewReader(in, Limits{})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	if _, err := r.ReadInfo(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ReadInfo: %v, want the context's error", err)
	}
	if r.Info() != (Info{}) {
		t.Error("nothing has arrived yet")
	}
	go func() { _ = NewWriter(out).WriteInfo(Info{Stream: "demo"}) }()
	if info, err := r.ReadInfo(within(t)); err != nil || info.Stream != "demo" || r.Info() != info {
		t.Errorf("ReadInfo: %+v, %v", info, err)
	}
	r.Close()
	if _, err := r.ReadInfo(within(t)); err != nil {
		t.Errorf("what is known stays known: %v", err)
	}
	empty := NewReader(bytes.NewReader(nil), Limits{})
	if _, err := empty.ReadInfo(within(t)); !errors.Is(err, io.EOF) {
		t.Errorf("an empty pipe: %v", err)
	}
	unread := NewReader(in, Limits{})
	unread.Close()
	if _, err := unread.ReadInfo(within(t)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed before it began: %v", err)
	}
}

// Any bytes end in an error or in the end; no panic, no item that breaks a rule.
func FuzzPipeReader(f *testing.F) {
	whole := session(f)
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte{})
	f.Add([]byte{0})
	f.Add(binary.AppendUvarint(nil, 1<<63))
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/3] ^= 0x55
	f.Add(flipped)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewReader(bytes.NewReader(data), Limits{MaxMessage: 1 << 16})
		defer r.Close()
		for {
			item, err := r.Next(context.Background())
			if err != nil {
				return
			}
			if (item.Tracks == nil) == (item.Unit == nil) || item.Lost < 0 || r.Info().Stream == "" {
				t.Fatalf("item %+v", item)
			}
			for _, tr := range item.Tracks {
				if tr.Timescale <= 0 || tr.Kind < media.Video || tr.Kind > media.Image {
					t.Fatalf("track %+v", tr)
				}
			}
		}
	})
}
