package guard

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yutopp/go-rtmp/message"
	"go.uber.org/goleak"

	"nova/ingest/rtmp/amf"
	"nova/ingest/rtmp/chunk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script is a connection whose input is given.
type script struct {
	net.Conn
	in     io.Reader
	closed bool
}

func (s *script) Read(p []byte) (int, error)     { return s.in.Read(p) }
func (*script) Write(p []byte) (int, error)      { return len(p), nil }
func (s *script) Close() error                   { s.closed = true; return nil }
func (*script) SetReadDeadline(time.Time) error  { return nil }
func (*script) SetWriteDeadline(time.Time) error { return nil }

// tally is an Observer that counts.
type tally struct {
	repairs  []Repair
	received int
}

func (t *tally) Repaired(kind Repair) { t.repairs = append(t.repairs, kind) }
func (t *tally) Received(uint8, int)  { t.received++ }

var hello = append([]byte{3}, make([]byte, handshakeSize-1)...)

// run reads everything behind a handshake and takes the guard's output apart again.
func run(t testing.TB, in []byte, publishing bool) ([]chunk.Message, *tally, error) {
	t.Helper()
	seen := &tally{}
	c := New(&script{in: io.MultiReader(bytes.NewReader(hello), bytes.NewReader(in))}, DefaultConfig(), seen)
	if n, err := io.ReadFull(c, make([]byte, handshakeSize)); err != nil {
		t.Fatal(n, err)
	}
	if publishing {
		c.Publishing(1)
	}
	limits := chunk.Limits{Streams: 5, Pending: 9 << 20, Length: func(uint8) int { return 8 << 20 }}
	out := chunk.NewReader(bufio.NewReaderSize(c, 4096), limits)
	if err := out.SetSize(chunk.MaxSize); err != nil {
		t.Fatal(err)
	}
	var got []chunk.Message
	for {
		m, err := out.Next()
		if err != nil {
			return got, seen, c.Err()
		}
		m.Payload = bytes.Clone(m.Payload)
		got = append(got, m)
	}
}

func command(values ...any) []byte {
	return chunk.Append(nil, chunk.Message{ChunkStream: 3, Type: chunk.TypeCommandAMF0, Stream: 9, Payload: amf.Append(nil, values...)}, 128)
}

// Each command goes on in the one form that the session library reads.
func TestCommandsAreRewritten(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for name, c := range map[string]struct {
		in     []byte
		stream uint32
		want   []any
	}{
		"connect": {
			command("connect", 1.0, amf.Object{{Key: "app", Value: "live"}, {Key: "fpad", Value: 3.0}, {Key: "tcUrl", Value: long}, {Key: "type", Value: 7.0}}, "more"),
			0,
			[]any{"connect", 1.0, amf.Object{{Key: "app", Value: "live"}, {Key: "tcUrl", Value: long[:4096]}}},
		},
		"createStream":                  {command("createStream", 4.0), 0, []any{"createStream", 4.0, nil}},
		"createStream with undefined":   {command("createStream", 4.0, amf.Undefined{}), 0, []any{"createStream", 4.0, nil}},
		"releaseStream":                 {command("releaseStream", 2.0, nil, "key"), 0, []any{"releaseStream", 2.0, nil, "key"}},
		"FCPublish without a name":      {command("FCPublish", 2.0), 0, []any{"FCPublish", 2.0, nil, ""}},
		"publish":                       {command("publish", 5.0, nil, "key", "record"), 9, []any{"publish", 5.0, nil, "key", "live"}},
		"publish without a type":        {command("publish", 5.0, nil, "key"), 9, []any{"publish", 5.0, nil, "key", "live"}},
		"publish, broken UTF-8":         {command("publish", 5.0, nil, "a\xff"), 9, []any{"publish", 5.0, nil, "a\ufffd", "live"}},
		"play":                          {command("play", 5.0, nil, "key", nil, true), 9, []any{"play", 5.0, nil, "key", -2.0}},
		"deleteStream":                  {command("deleteStream", 5.0, nil, 1.0), 0, []any{"deleteStream", 5.0, nil, 1.0}},
		"deleteStream without a number": {command("deleteStream", 5.0, nil, "one"), 0, []any{"deleteStream", 5.0, nil, 0.0}},
		"closeStream":                   {command("closeStream", nil, nil), 9, []any{"closeStream", 0.0, nil}},
		"transaction that is text":      {command("createStream", "4"), 0, []any{"createStream", 0.0, nil}},
	} {
		got, _, err := run(t, c.in, false)
		if !errors.Is(err, io.EOF) || len(got) != 1 {
			t.Errorf("%s: %d messages, %v", name, len(got), err)
			continue
		}
		values, err := amf.Decode(got[0].Payload)
		if err != nil || !reflect.DeepEqual(values, c.want) || got[0].Stream != c.stream || got[0].ChunkStream != 3 {
			t.Errorf("%s: on %d: %#v, %v", name, got[0].Stream, values, err)
		}
		decodable(t, got[0])
	}
}

// decodable checks that the session library reads m without an error.
func decodable(t *testing.T, m chunk.Message) {
	t.Helper()
	var decoded message.Message
	if err := message.NewDecoder(bytes.NewReader(m.Payload)).Decode(message.TypeID(m.Type), &decoded); err != nil {
		t.Fatalf("type %d, %x: %v", m.Type, m.Payload, err)
	}
	var body message.AMFConvertible
	switch d := decoded.(type) {
	case *message.CommandMessage:
		if err := message.CmdBodyDecoderFor(d.CommandName, d.TransactionID)(d.Body, message.NewAMFDecoder(d.Body, d.Encoding), &body); err != nil {
			t.Fatalf("command %x: %v", m.Payload, err)
		}
	case *message.DataMessage:
		if err := message.DataBodyDecoderFor(d.Name)(d.Body, message.NewAMFDecoder(d.Body, d.Encoding), &body); err != nil {
			t.Fatalf("data %x: %v", m.Payload, err)
		}
	}
}

func TestTransactionIsThatOfTheMessageRead(t *testing.T) {
	in := append(command("releaseStream", 21.0, nil, "k"), command("FCPublish", 22.0, nil, "k")...)
	c := New(&script{in: io.MultiReader(bytes.NewReader(hello), bytes.NewReader(in))}, DefaultConfig(), &tally{})
	must(t, discard(c, handshakeSize))
	for _, want := range []int64{21, 22} {
		// A read with room for everything gets one message, so that the guard is not ahead of its reader.
		b := make([]byte, 4096)
		n, err := c.Read(b)
		must(t, err)
		if c.Transaction() != want || c.Arrived().IsZero() || !bytes.Contains(b[:n], []byte("\x00\x01k")) {
			t.Errorf("transaction %d, %d bytes", c.Transaction(), n)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func discard(r io.Reader, n int64) error {
	_, err := io.CopyN(io.Discard, r, n)
	return err
}

func TestMediaBeforePublishIsLeftOut(t *testing.T) {
	var in []byte
	for _, kind := range []uint8{chunk.TypeAudio, chunk.TypeVideo, chunk.TypeDataAMF0} {
		in = chunk.Append(in, chunk.Message{ChunkStream: 4, Type: kind, Stream: 1, Payload: []byte{0x17, 0, 1}}, 128)
	}
	got, seen, err := run(t, in, false)
	if len(got) != 0 || !slices.Equal(seen.repairs, []Repair{RepairEarlyMedia, RepairEarlyMedia, RepairEarlyMedia}) || !errors.Is(err, io.EOF) {
		t.Errorf("%d messages, repairs %v, %v", len(got), seen.repairs, err)
	}
}

func TestMetadataForms(t *testing.T) {
	o := amf.Object{{Key: "width", Value: 320.0}, {Key: "encoder", Value: "x"}}
	want := amf.Append(nil, "@setDataFrame", "onMetaData", o)
	for name, values := range map[string][]any{
		"with @setDataFrame":    {"@setDataFrame", "onMetaData", o},
		"without @setDataFrame": {"onMetaData", o},
		"with more values":      {"@setDataFrame", "onMetaData", o, 1.0},
	} {
		in := chunk.Append(nil, chunk.Message{ChunkStream: 4, Type: chunk.TypeDataAMF0, Stream: 3, Payload: amf.Append(nil, values...)}, 128)
		got, _, _ := run(t, in, true)
		if len(got) != 1 || !bytes.Equal(got[0].Payload, want) || got[0].Stream != 1 {
			t.Errorf("%s: %v", name, got)
			continue
		}
		decodable(t, got[0])
	}
}

func TestHandshakeIsPassedThrough(t *testing.T) {
	in := bytes.Clone(hello)
	for i := range in[1:] {
		in[1+i] = byte(i * 3)
	}
	c := New(&script{in: bytes.NewReader(in)}, DefaultConfig(), &tally{})
	got := make([]byte, handshakeSize)
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, in) {
		t.Error("handshake differs", err)
	}
	for first, want := range map[byte]string{
		0x16: "TLS on the plain port", 'G': "HTTP", 6: "RTMPE", 0: "version 0",
	} {
		c := New(&script{in: bytes.NewReader([]byte{first, 0, 0})}, DefaultConfig(), &tally{})
		_, err := c.Read(make([]byte, 1))
		var v *Violation
		if !errors.As(err, &v) || v.Reason != ReasonHandshake || !strings.Contains(err.Error(), want) {
			t.Errorf("first byte 0x%02x: %v", first, err)
		}
	}
}

func TestReasons(t *testing.T) {
	for want, err := range map[Reason]error{
		ReasonLength: chunk.ErrMessageTooLong, ReasonStreams: chunk.ErrTooManyStreams, ReasonPending: chunk.ErrTooMuchPending,
		ReasonHeader: chunk.ErrNoHeader, ReasonChunkSize: chunk.ErrSize, ReasonAMF: amf.ErrTooDeep, ReasonConnection: io.ErrUnexpectedEOF,
	} {
		var v *Violation
		if !errors.As(classify(err), &v) || v.Reason != want || !errors.Is(v, err) {
			t.Errorf("%v: %v", err, classify(err))
		}
	}
	var v *Violation
	if err := classify(io.EOF); !errors.Is(err, io.EOF) || errors.As(err, &v) {
		t.Error(err)
	}
}

// The clock of each phase runs on its own: silence ends it, and media of a publisher restarts it.
func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		start := time.Now()
		c := New(server, DefaultConfig(), &tally{})
		feed := func(b []byte) {
			if _, err := client.Write(b); err != nil {
				t.Error(err)
			}
		}
		go feed(hello)
		must(t, discard(c, handshakeSize))
		time.Sleep(9 * time.Second) // the bubble's clock
		c.Publishing(1)
		video := chunk.Append(nil, chunk.Message{ChunkStream: 4, Type: chunk.TypeVideo, Stream: 1, Payload: []byte{0x17, 1}}, 128)
		for range 3 {
			go feed(video)
			must(t, discard(c, 14))
			time.Sleep(9 * time.Second)
		}
		ping := chunk.Append(nil, chunk.Message{ChunkStream: 2, Type: chunk.TypeUserControl, Payload: []byte{0, 6, 0, 0, 0, 0}}, 128)
		go feed(ping)
		must(t, discard(c, 18))
		_, err := c.Read(make([]byte, 1))
		var v *Violation
		if !errors.As(err, &v) || v.Reason != ReasonIdle || time.Since(start) != 37*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		must(t, c.Close())
		must(t, client.Close())
	})
}

func TestInterrupt(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	c := New(server, DefaultConfig(), &tally{})
	ended := make(chan error)
	go func() {
		_, err := c.Read(make([]byte, 1))
		ended <- err
	}()
	reason := errors.New("the reason")
	c.Interrupt(reason)
	if err := <-ended; !errors.Is(err, reason) {
		t.Error(err)
	}
	c.Publishing(1) // must not bring the deadline back to life
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, reason) {
		t.Error(err)
	}
	must(t, c.Close())
	must(t, c.Close())
	<-c.Closed()
}

// Whatever comes in, what goes on is whole messages in single chunks, of the types that a session needs, within
// the limits, and readable for the session library.
func FuzzGuard(f *testing.F) {
	f.Add(command("connect", 1.0, amf.Object{{Key: "app", Value: "live"}}), false)
	f.Add(command("publish", 1.0, nil, "key"), true)
	f.Add(chunk.Append(nil, chunk.Message{ChunkStream: 4, Type: chunk.TypeVideo, Stream: 1, Timestamp: 17_000_000, Payload: make([]byte, 300)}, 128), true)
	f.Add(chunk.Append(nil, chunk.Message{ChunkStream: 4, Type: chunk.TypeAggregate, Stream: 1, Payload: []byte("\x09\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00x\x00\x00\x00\x0c\x12\x00\x00")}, 128), true)
	f.Add(chunk.Append(nil, chunk.Message{ChunkStream: 4, Type: chunk.TypeDataAMF3, Stream: 1, Payload: append([]byte{0}, amf.Append(nil, "onMetaData", amf.Array{nil})...)}, 128), true)
	f.Add(chunk.Append(nil, chunk.Message{ChunkStream: 2, Type: chunk.TypeUserControl, Payload: []byte{0, 6, 0, 0, 0, 1}}, 128), false)
	f.Add(chunk.Append(nil, chunk.Message{ChunkStream: 2, Type: chunk.TypeSetChunkSize, Payload: binary.BigEndian.AppendUint32(nil, 0)}, 128), false)
	f.Fuzz(func(t *testing.T, in []byte, publishing bool) {
		got, _, err := run(t, in, publishing)
		if err == nil {
			t.Fatal("ended without a reason")
		}
		for _, m := range got {
			switch m.Type {
			case chunk.TypeAudio, chunk.TypeVideo:
				if !publishing || len(m.Payload) == 0 || m.Stream != 1 {
					t.Fatalf("media on %d, %d bytes", m.Stream, len(m.Payload))
				}
			case chunk.TypeCommandAMF0, chunk.TypeUserControl, chunk.TypeAck:
				decodable(t, m)
			case chunk.TypeDataAMF0:
				// The library keeps the metadata's bytes; only its first name is read.
				decodable(t, m)
			default:
				t.Fatalf("type %d went through", m.Type)
			}
		}
	})
}

func BenchmarkGuard(b *testing.B) {
	in := chunk.Append(nil, chunk.Message{ChunkStream: 4, Type: chunk.TypeVideo, Stream: 1, Payload: make([]byte, 50_000)}, 4096)
	sized := chunk.Append(nil, chunk.Message{ChunkStream: 2, Type: chunk.TypeSetChunkSize, Payload: binary.BigEndian.AppendUint32(nil, 4096)}, 128)
	source := bytes.NewReader(nil)
	c := New(&script{in: io.MultiReader(bytes.NewReader(hello), bytes.NewReader(sized), source)}, DefaultConfig(), &tally{})
	if err := discard(c, handshakeSize); err != nil {
		b.Fatal(err)
	}
	c.Publishing(1)
	buf := make([]byte, 64<<10)
	source.Reset(in)
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		source.Reset(in)
		for left := 50_012; left > 0; {
			n, err := c.Read(buf)
			if err != nil {
				b.Fatal(err)
			}
			left -= n
		}
	}
}

// A peer that is told why it has to go reads that, and then the end, though its own bytes were not all read:
// closing at once would reset the connection.
func TestLinger(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	must(t, err)
	defer client.Close()
	server, err := l.Accept()
	must(t, err)
	_, err = client.Write(make([]byte, 100_000))
	must(t, err)
	c := New(server, DefaultConfig(), &tally{})
	_, err = c.Write([]byte("the reason"))
	must(t, err)
	c.Linger()
	ended := make(chan error, 1)
	go func() { ended <- c.Close() }()
	got, err := io.ReadAll(client)
	if err != nil || string(got) != "the reason" {
		t.Errorf("read %q, %v", got, err)
	}
	must(t, client.Close())
	must(t, <-ended)
}
