package chunk

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"
	"testing/iotest"
)

var generous = Limits{Streams: 16, Pending: 1 << 20, Length: func(uint8) int { return 1 << 20 }}

// readAll gives all messages with payloads of their own, and the error after them.
func readAll(in io.Reader, limits Limits) ([]Message, *Reader, error) {
	r := NewReader(bufio.NewReader(in), limits)
	var got []Message
	for {
		m, err := r.Next()
		if err != nil {
			return got, r, err
		}
		m.Payload = append([]byte{}, m.Payload...)
		got = append(got, m)
		if m.Type == TypeSetChunkSize && len(m.Payload) == 4 {
			if err := r.SetSize(binary.BigEndian.Uint32(m.Payload)); err != nil {
				return got, r, err
			}
		}
	}
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + 1)
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	var stream []byte
	var want []Message
	for i, id := range []int{2, 3, 63, 64, 319, 320, 65599, 3} {
		for j, n := range []int{0, 1, 127, 128, 129, 5000} {
			m := Message{ChunkStream: id, Type: TypeVideo, Stream: 1, Payload: pattern(n)}
			m.Timestamp = []uint32{0, 0xfffffe, 0xffffff, 0x1000000, 0xffffffff, 17_000_000}[j] - uint32(i%2)
			stream, want = Append(stream, m, 128), append(want, m)
		}
	}
	got, r, err := readAll(bytes.NewReader(stream), generous)
	if !errors.Is(err, io.EOF) || !reflect.DeepEqual(got, want) {
		t.Fatalf("%d messages of %d, %v", len(got), len(want), err)
	}
	if r.Received() != uint64(len(stream)) {
		t.Errorf("received %d bytes of %d", r.Received(), len(stream))
	}
}

func join(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		}
	}
	return b
}

func ext(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// Headers used below: chunk stream 4, video (9), message stream 1, length 200 = 128 + 72 or 5.
const (
	long  = "\x00\x00\xc8\x09\x01\x00\x00\x00"
	short = "\x00\x00\x05\x09\x01\x00\x00\x00"
)

func TestForms(t *testing.T) {
	p := pattern(200)
	type result struct {
		timestamps []uint32
		lengths    []int
	}
	for name, c := range map[string]struct {
		in       []byte
		want     result
		repaired Repairs
	}{
		"type 3 begins a message with the last delta": {
			join("\x04\x00\x00\x64", short, p[:5], "\x44\x00\x00\x0a\x00\x00\x05\x09", p[:5], "\xc4", p[:5], "\xc4", p[:5]),
			result{[]uint32{100, 110, 120, 130}, []int{5, 5, 5, 5}},
			Repairs{},
		},
		"type 3 behind type 0 takes its timestamp as delta": {
			join("\x04\x00\x00\x17", short, p[:5], "\xc4", p[:5]),
			result{[]uint32{23, 46}, []int{5, 5}},
			Repairs{},
		},
		"type 2 changes the delta alone": {
			join("\x04\x00\x00\x64", short, p[:5], "\x84\x00\x00\x21", p[:5]),
			result{[]uint32{100, 133}, []int{5, 5}},
			Repairs{},
		},
		"extended timestamp repeated on type 3": {
			join("\x04\xff\xff\xff", long, ext(17_000_000), p[:128], "\xc4", ext(17_000_000), p[128:]),
			result{[]uint32{17_000_000}, []int{200}},
			Repairs{Extended: 1},
		},
		"extended timestamp left out of type 3": {
			join("\x04\xff\xff\xff", long, ext(17_000_000), p[:128], "\xc4", p[128:]),
			result{[]uint32{17_000_000}, []int{200}},
			Repairs{Extended: 1},
		},
		"extended delta repeated as the absolute time": {
			join("\x04\x00\x00\x64", short, p[:5], "\x44\xff\xff\xff\x00\x00\xc8\x09", ext(0x1000000), p[:128], "\xc4", ext(0x1000064), p[128:]),
			result{[]uint32{100, 0x1000064}, []int{5, 200}},
			Repairs{Extended: 1},
		},
		"timestamps wrap at 2^32": {
			join("\x04\xff\xff\xff", short, ext(0xfffffff0), p[:5], "\x84\x00\x00\x20", p[:5]),
			result{[]uint32{0xfffffff0, 0x10}, []int{5, 5}},
			Repairs{},
		},
		"a new header cuts the unfinished message short": {
			join("\x04\x00\x00\x64", long, p[:128], "\x04\x00\x00\x65", short, p[:5]),
			result{[]uint32{101}, []int{5}},
			Repairs{Restarted: 1},
		},
		"type 1 as the first header": {
			join("\x44\x00\x00\x0a\x00\x00\x05\x09", p[:5]),
			result{[]uint32{10}, []int{5}},
			Repairs{},
		},
		"two messages in turns": {
			join("\x04\x00\x00\x01", long, p[:128], "\x05\x00\x00\x02", short, p[:5], "\xc4", p[128:]),
			result{[]uint32{2, 1}, []int{5, 200}},
			Repairs{},
		},
	} {
		got, r, err := readAll(bytes.NewReader(c.in), generous)
		if !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
		var is result
		for _, m := range got {
			is.timestamps, is.lengths = append(is.timestamps, m.Timestamp), append(is.lengths, len(m.Payload))
			if !bytes.Equal(m.Payload, p[:len(m.Payload)]) {
				t.Errorf("%s: payload at %d differs", name, m.Timestamp)
			}
		}
		if !reflect.DeepEqual(is, c.want) || r.Repaired() != c.repaired {
			t.Errorf("%s: got %v %+v, want %v %+v", name, is, r.Repaired(), c.want, c.repaired)
		}
	}
}

// A peer that leaves the field out must not have its last message wait for the next one.
func TestOmittedFieldDoesNotWait(t *testing.T) {
	in, out := io.Pipe()
	defer in.Close()
	r := NewReader(bufio.NewReader(in), generous)
	header := "\x04\xff\xff\xff\x00\x00\x82\x09\x01\x00\x00\x00" // 130 bytes: 2 in the last chunk
	p := pattern(200)
	go func() {
		_, _ = out.Write(join("\x04\xff\xff\xff", long, ext(17_000_000), p[:128], "\xc4", p[128:]))
		_, _ = out.Write(join(header, ext(17_000_040), p[:128], "\xc4", p[128:130]))
	}()
	for range 2 {
		if m, err := r.Next(); err != nil || !bytes.Equal(m.Payload, p[:len(m.Payload)]) {
			t.Fatal(m, err)
		}
	}
}

func TestAbort(t *testing.T) {
	p := pattern(200)
	in := join("\x04\x00\x00\x01", long, p[:128], "\x02\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00", "\x04\x00\x00\x07", short, p[:5])
	r := NewReader(bufio.NewReader(bytes.NewReader(in)), generous)
	if m, err := r.Next(); err != nil || m.Type != TypeAbort {
		t.Fatal(m, err)
	}
	r.Abort(4)
	r.Abort(99)
	m, err := r.Next()
	if err != nil || m.Timestamp != 7 || r.pending != 0 || r.Repaired().Restarted != 0 {
		t.Errorf("got %+v, %v, %d bytes pending", m, err, r.pending)
	}
}

func TestLimits(t *testing.T) {
	limits := Limits{Streams: 4, Pending: 300, Length: func(mt uint8) int {
		if mt == TypeVideo {
			return 1 << 20
		}
		return 200
	}}
	halfSent := func(n int) (b []byte) {
		for i := range n {
			b = AppendHeader(b, Message{ChunkStream: 3 + i, Type: TypeVideo, Payload: pattern(1000)})
			b = append(b, pattern(128)...)
		}
		return b
	}
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"message over its type's length": {Append(nil, Message{ChunkStream: 3, Type: TypeCommandAMF0, Payload: pattern(201)}, 128), ErrMessageTooLong},
		"unfinished messages":            {halfSent(3), ErrTooMuchPending},
		"chunk streams":                  {halfSentStreams(5), ErrTooManyStreams},
		"type 3 first":                   {[]byte("\xc4\x00"), ErrNoHeader},
		"type 2 first":                   {[]byte("\x84\x00\x00\x01"), ErrNoHeader},
		"cut inside a header":            {[]byte("\x04\x00"), io.ErrUnexpectedEOF},
		"cut inside a payload":           {join("\x04\x00\x00\x64", short, "ab"), io.ErrUnexpectedEOF},
		"chunk size 0":                   {Append(nil, Message{ChunkStream: 2, Type: TypeSetChunkSize, Payload: ext(0)}, 128), ErrSize},
		"chunk size with its top bit":    {Append(nil, Message{ChunkStream: 2, Type: TypeSetChunkSize, Payload: ext(0x80000080)}, 128), ErrSize},
	} {
		if _, _, err := readAll(bytes.NewReader(c.in), limits); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// The standard allows sizes up to 31 bits, and encoders that want whole messages send the largest one.
func TestSizesBeyondTheLongestMessage(t *testing.T) {
	for _, size := range []uint32{MaxSize, MaxSize + 1, 0x7fffffff} {
		m := Message{ChunkStream: 4, Type: TypeVideo, Stream: 1, Payload: pattern(70_000)}
		in := Append(nil, Message{ChunkStream: 2, Type: TypeSetChunkSize, Payload: ext(size)}, 128)
		got, _, err := readAll(bytes.NewReader(Append(in, m, MaxSize)), generous)
		if !errors.Is(err, io.EOF) || len(got) != 2 || !reflect.DeepEqual(got[1], m) {
			t.Errorf("size %#x: %d messages, %v", size, len(got), err)
		}
	}
}

// Messages that are over cost one buffer, however many chunk streams they came on.
func TestFinishedMessagesAreNotHeld(t *testing.T) {
	var in []byte
	for i := range 16 {
		in = Append(in, Message{ChunkStream: 3 + i, Type: TypeCommandAMF0, Payload: pattern(60_000)}, 128)
	}
	got, r, err := readAll(bytes.NewReader(in), generous)
	if !errors.Is(err, io.EOF) || len(got) != 16 {
		t.Fatal(len(got), err)
	}
	held := cap(r.spare)
	for _, s := range r.streams {
		held += cap(s.message.Payload)
	}
	if held > 2*60_000 {
		t.Errorf("%d bytes held for messages that are over", held)
	}
}

// halfSentStreams begins a small message on each of n chunk streams.
func halfSentStreams(n int) (b []byte) {
	for i := range n {
		b = append(b, Append(nil, Message{ChunkStream: 3 + i, Type: TypeAudio, Payload: pattern(1)}, 128)...)
	}
	return b
}

// An announced length alone costs nothing: memory follows the bytes that came.
func TestAnnouncedLengthIsNotAllocated(t *testing.T) {
	in := Append(nil, Message{ChunkStream: 4, Type: TypeVideo, Payload: make([]byte, 8<<20)}, MaxSize)[:12+1000]
	limits := Limits{Streams: 16, Pending: 16 << 20, Length: func(uint8) int { return 8 << 20 }}
	r := NewReader(bufio.NewReader(bytes.NewReader(in)), limits)
	if err := r.SetSize(MaxSize); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	if c := cap(r.streams[4].message.Payload); c > 2*step {
		t.Errorf("%d bytes allocated for 1000 received", c)
	}
}

// session is a random but valid stream of messages in chunks of changing size.
func session(rng *rand.Rand) []byte {
	var b []byte
	size := 128
	for range 40 {
		m := Message{
			ChunkStream: []int{3, 4, 6, 70, 400}[rng.IntN(5)], Type: []uint8{TypeAudio, TypeVideo}[rng.IntN(2)],
			Stream: 1, Timestamp: rng.Uint32() >> rng.IntN(24), Payload: pattern(rng.IntN(3000)),
		}
		b = Append(b, m, size)
		if rng.IntN(10) == 0 {
			set := 1 + rng.IntN(4096)
			b = Append(b, Message{ChunkStream: 2, Type: TypeSetChunkSize, Payload: ext(uint32(set))}, size)
			size = set
		}
	}
	return b
}

// cut hands out its input in pieces of random size.
type cut struct {
	rng  *rand.Rand
	left []byte
}

func (c *cut) Read(p []byte) (int, error) {
	if len(c.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 1+c.rng.IntN(1500))], c.left)
	c.left = c.left[n:]
	return n, nil
}

// The same bytes give the same messages however the network cuts them.
func TestCutsDoNotMatter(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		in := session(rng)
		want, _, err := readAll(bytes.NewReader(in), generous)
		if !errors.Is(err, io.EOF) || len(want) < 40 {
			t.Fatal(len(want), err)
		}
		for name, reader := range map[string]io.Reader{
			"one byte": iotest.OneByteReader(bytes.NewReader(in)),
			"random":   &cut{rng: rng, left: in},
		} {
			if got, _, err := readAll(reader, generous); !errors.Is(err, io.EOF) || !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, %s cuts: %d messages of %d, %v", seed, name, len(got), len(want), err)
			}
		}
	}
}

// No bytes make the Reader panic, hold more than its limits allow, or return a message over them.
func FuzzReader(f *testing.F) {
	f.Add(session(rand.New(rand.NewPCG(1, 2))))
	f.Add([]byte("\xc4\x00"))
	f.Add(join("\x04\xff\xff\xff", long, ext(17_000_000), pattern(128), "\xc4", ext(17_000_000), pattern(72)))
	f.Add(Append(nil, Message{ChunkStream: 2, Type: TypeSetChunkSize, Payload: ext(0)}, 128))
	limits := Limits{Streams: 4, Pending: 4096, Length: func(uint8) int { return 2048 }}
	f.Fuzz(func(t *testing.T, in []byte) {
		got, r, err := readAll(bytes.NewReader(in), limits)
		if err == nil {
			t.Fatal("ended without an error")
		}
		for _, m := range got {
			if len(m.Payload) > 2048 {
				t.Fatalf("message of %d bytes", len(m.Payload))
			}
		}
		held := 0
		for _, s := range r.streams {
			if s.active {
				held += len(s.message.Payload)
			}
		}
		if held > 4096 || len(r.streams) > 4 || r.Received() > uint64(len(in)) {
			t.Fatal(fmt.Sprint(held, len(r.streams), r.Received(), len(in)))
		}
	})
}

func BenchmarkReader(b *testing.B) {
	in := Append(nil, Message{ChunkStream: 4, Type: TypeVideo, Stream: 1, Payload: pattern(100_000)}, 4096)
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	source := bytes.NewReader(in)
	r := NewReader(bufio.NewReader(source), generous)
	_ = r.SetSize(4096)
	for b.Loop() {
		source.Reset(in)
		if _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
	}
}
