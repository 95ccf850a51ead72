package rtmp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"nova/ingest/rtmp/amf"
	"nova/ingest/rtmp/chunk"
	"nova/ingest/rtmp/flv"
	"nova/ingest/rtmp/guard"
	"nova/ingest/rtmp/rtmptest"
)

// amfCommand is a command message's payload with bytes of a test's own behind the values.
func amfCommand(raw []byte, values ...any) chunk.Message {
	return chunk.Message{ChunkStream: 3, Type: chunk.TypeCommandAMF0, Payload: append(amf.Append(nil, values...), raw...)}
}

func nested(depth int) []byte { return bytes.Repeat([]byte("\x03\x00\x01a"), depth) }

func uint32s(values ...uint32) (b []byte) {
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

// fatal are the inputs that end the connection, with the reason in the metric. All of them ended, stopped or
// filled the whole process when go-rtmp v0.0.7 read them itself.
var fatal = map[string]struct {
	reason guard.Reason
	// published tells that the input comes behind an accepted publish.
	published bool
	send      func(c *rtmptest.Client) error
}{
	"array length 0x7fffffff": {guard.ReasonAMF, false, func(c *rtmptest.Client) error {
		return c.Send(amfCommand([]byte("\x03\x00\x01a\x0a\x7f\xff\xff\xff"), "connect", 1.0))
	}},
	"array length 0x7fffffff after publish": {guard.ReasonAMF, true, func(c *rtmptest.Client) error {
		return c.Send(amfCommand([]byte("\x0a\x7f\xff\xff\xff"), "createStream", 7.0))
	}},
	"nesting 2 M deep": {guard.ReasonLength, false, func(c *rtmptest.Client) error {
		return c.Send(amfCommand(nested(2<<20), "connect", 1.0))
	}},
	"nesting 2 M deep after publish": {guard.ReasonLength, true, func(c *rtmptest.Client) error {
		return c.Send(amfCommand(nested(2<<20), "connect", 1.0))
	}},
	"nesting as deep as a short message holds": {guard.ReasonAMF, false, func(c *rtmptest.Client) error {
		return c.Send(amfCommand(nested(16_000), "connect", 1.0))
	}},
	"50 half-sent messages": {guard.ReasonPending, false, func(c *rtmptest.Client) error {
		return c.Raw(halfSent(50, 60<<10, 30<<10, 128))
	}},
	"50 half-sent messages of 8 MiB": {guard.ReasonLength, false, func(c *rtmptest.Client) error {
		return c.Raw(halfSent(50, 8<<20-1, 10<<10, 128))
	}},
	"50 half-sent messages after publish": {guard.ReasonPending, true, func(c *rtmptest.Client) error {
		return errors.Join(c.SetChunkSize(64<<10), c.Raw(halfSent(15, 8<<20-1, 2<<20, 64<<10)))
	}},
	"message of 9 MiB after publish": {guard.ReasonLength, true, func(c *rtmptest.Client) error {
		return c.Video(0, make([]byte, 9<<20))
	}},
	"17 chunk streams": {guard.ReasonStreams, false, func(c *rtmptest.Client) error {
		var b []byte
		for i := range 17 {
			b = chunk.Append(b, chunk.Message{ChunkStream: 100 + i, Type: chunk.TypeAudio, Payload: []byte{1}}, 128)
		}
		return c.Raw(b)
	}},
	"chunk size 0": {guard.ReasonChunkSize, false, func(c *rtmptest.Client) error {
		return c.Send(chunk.Message{ChunkStream: 2, Type: chunk.TypeSetChunkSize, Payload: uint32s(0)})
	}},
	"chunk size 0 after publish": {guard.ReasonChunkSize, true, func(c *rtmptest.Client) error {
		return c.Send(chunk.Message{ChunkStream: 2, Type: chunk.TypeSetChunkSize, Payload: uint32s(0)})
	}},
	"chunk size with its top bit set": {guard.ReasonChunkSize, false, func(c *rtmptest.Client) error {
		return c.Send(chunk.Message{ChunkStream: 2, Type: chunk.TypeSetChunkSize, Payload: uint32s(0x80000080)})
	}},
	"chunk size cut short": {guard.ReasonChunkSize, false, func(c *rtmptest.Client) error {
		return c.Send(chunk.Message{ChunkStream: 2, Type: chunk.TypeSetChunkSize, Payload: []byte{1}})
	}},
	"chunk stream without a header": {guard.ReasonHeader, false, func(c *rtmptest.Client) error {
		return c.Raw([]byte{0xc5})
	}},
	"connect without its object": {guard.ReasonCommand, false, func(c *rtmptest.Client) error {
		return c.Command(0, "connect", 1.0, nil)
	}},
	"publish without a name": {guard.ReasonCommand, false, func(c *rtmptest.Client) error {
		return c.Command(1, "publish", 5.0, nil, 7.0)
	}},
	"publish with a name of 5 KB": {guard.ReasonCommand, false, func(c *rtmptest.Client) error {
		return c.Command(1, "publish", 5.0, nil, strings.Repeat("x", 5000))
	}},
}

// halfSent begins a video message of size bytes on each of n chunk streams in turns, and sends no more than sent
// bytes of each.
func halfSent(n, size, sent, chunkSize int) (b []byte) {
	part := bytes.Repeat([]byte{0x17}, chunkSize)
	for i := range n {
		b = chunk.AppendHeader(b, chunk.Message{ChunkStream: 3 + i%15, Type: chunk.TypeVideo, Stream: 1, Payload: make([]byte, size)})
		b = append(b, part...)
		for range sent/chunkSize - 1 {
			b = append(append(b, 0xc0|byte(3+i%15)), part...)
		}
	}
	return b
}

func TestFatalInput(t *testing.T) {
	b := serve(t, nil)
	bystander := b.publish(t, keyB)
	begin(t, bystander, 0)
	b.waitSamples(t, "stream-b", 2)
	clock, before := uint32(0), map[guard.Reason]float64{}
	for name, trap := range fatal {
		t.Run(name, func(t *testing.T) {
			before[trap.reason]++
			c := b.dial(t)
			must(t, c.Connect("live"))
			if trap.published {
				must(t, c.Publish(keyA))
			}
			// Sending may fail: the server closes in the middle of it.
			if err := trap.send(c); err != nil && !isClosed(err) {
				t.Fatal(err)
			}
			if _, err := c.Expect(func(chunk.Message) bool { return false }); !isClosed(err) {
				t.Errorf("not closed: %v", err)
			}
			if trap.published {
				if p := b.waitClosed(t, "stream-a"); p.reason == nil {
					t.Error("the publication ended without a reason")
				}
			}
			clock += 40
			must(t, bystander.Video(clock, rtmptest.AVCFrame(false, 0, rtmptest.Slice(0x20, 20))))
			b.waitSamples(t, "stream-b", 2+int(clock/40))
		})
	}
	b.stop()
	for reason, n := range before {
		if got := b.count(t, "refused_total", string(reason)); got != n {
			t.Errorf("%v closed for %q, want %v", got, reason, n)
		}
	}
	if n := strings.Count(b.journal.String(), `"msg":"connection closed"`); n != len(fatal) {
		t.Errorf("%d lines in the log for %d connections:\n%s", n, len(fatal), b.journal)
	}
}

// isClosed tells that the peer closed the connection: properly, or on top of bytes that were on their way.
func isClosed(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &op) && !op.Timeout()
}

// repaired are the inputs that the publication survives. Each comes between a stream's begin and its third
// sample.
var repaired = map[string]struct {
	kind guard.Repair
	send func(c *rtmptest.Client) error
}{
	"zero-length video": {guard.RepairEmpty, func(c *rtmptest.Client) error { return c.Video(10, nil) }},
	"zero-length audio": {guard.RepairEmpty, func(c *rtmptest.Client) error { return c.Audio(10, nil) }},
	"AMF3 command": {guard.RepairAMF3Form, func(c *rtmptest.Client) error {
		return c.Send(chunk.Message{ChunkStream: 3, Type: chunk.TypeCommandAMF3, Payload: append([]byte{0}, amf.Append(nil, "FCPublish", 9.0, nil, keyA)...)})
	}},
	"AMF3 command with AMF3 values": {guard.RepairAMF3, func(c *rtmptest.Client) error {
		return c.Send(chunk.Message{ChunkStream: 3, Type: chunk.TypeCommandAMF3, Payload: append(append([]byte{0}, amf.Append(nil, "publish", 9.0)...), 0x11, 0x01)})
	}},
	"AMF3 data": {guard.RepairAMF3Form, func(c *rtmptest.Client) error {
		return c.Send(chunk.Message{ChunkStream: 3, Type: chunk.TypeDataAMF3, Stream: 1, Payload: append([]byte{0}, amf.Append(nil, "onMetaData", amf.Object{})...)})
	}},
	"AMF3 data with AMF3 values": {guard.RepairAMF3, func(c *rtmptest.Client) error {
		return c.Send(chunk.Message{ChunkStream: 3, Type: chunk.TypeDataAMF3, Stream: 1, Payload: append(amf.Append(nil, "onMetaData"), 0x11, 0x0a)})
	}},
	"shared object":            {guard.RepairUnknown, plain(chunk.TypeSharedObjectAMF0, []byte("\x00\x01x"))},
	"shared object in AMF3":    {guard.RepairUnknown, plain(chunk.TypeSharedObjectAMF3, []byte("\x00\x01x"))},
	"message type 99":          {guard.RepairUnknown, plain(99, []byte("hello"))},
	"message type 0":           {guard.RepairUnknown, plain(0, nil)},
	"user control 31":          {guard.RepairUserControl, plain(chunk.TypeUserControl, []byte{0, 31, 0, 0, 0, 1})},
	"user control 32":          {guard.RepairUserControl, plain(chunk.TypeUserControl, []byte{0, 32, 0, 0, 0, 1})},
	"user control cut short":   {guard.RepairUserControl, plain(chunk.TypeUserControl, []byte{0})},
	"ping cut short":           {guard.RepairUserControl, plain(chunk.TypeUserControl, []byte{0, 6, 1})},
	"window cut short":         {guard.RepairControl, plain(chunk.TypeWindowAckSize, []byte{1})},
	"abort cut short":          {guard.RepairControl, plain(chunk.TypeAbort, []byte{1})},
	"abort of nothing":         {guard.RepairAborted, plain(chunk.TypeAbort, uint32s(0xffffffff))},
	"unknown command":          {guard.RepairUnknownCommand, func(c *rtmptest.Client) error { return c.Command(0, "_checkbw", 9.0, nil) }},
	"result of nothing":        {guard.RepairUnknownCommand, func(c *rtmptest.Client) error { return c.Command(0, "_result", 99.0, nil) }},
	"command that is a number": {guard.RepairUnknownCommand, func(c *rtmptest.Client) error { return c.Command(0, 1.0, 2.0) }},
	"empty command":            {guard.RepairUnknownCommand, plain(chunk.TypeCommandAMF0, nil)},
	"onMetaData without @setDataFrame": {guard.RepairMetadata, func(c *rtmptest.Client) error {
		return c.Send(chunk.Message{ChunkStream: 5, Type: chunk.TypeDataAMF0, Stream: 1, Payload: amf.Append(nil, "onMetaData", amf.Object{{Key: "width", Value: 320.0}})})
	}},
	"onTextData":                          {guard.RepairData, plain(chunk.TypeDataAMF0, amf.Append(nil, "onTextData", amf.Object{}))},
	"metadata nested 2 M deep":            {guard.RepairData, plain(chunk.TypeDataAMF0, append(amf.Append(nil, "onMetaData"), nested(2<<20-100)...))},
	"metadata nested 1000 deep":           {guard.RepairData, plain(chunk.TypeDataAMF0, append(amf.Append(nil, "onMetaData"), nested(1000)...))},
	"metadata with a 0x7fffffff array":    {guard.RepairData, plain(chunk.TypeDataAMF0, append(amf.Append(nil, "onMetaData"), "\x0a\x7f\xff\xff\xff"...))},
	"metadata cut short":                  {guard.RepairData, plain(chunk.TypeDataAMF0, []byte("\x02\x00"))},
	"aggregate of noise":                  {guard.RepairBadAggregate, plain(chunk.TypeAggregate, []byte("\x09\x00\xff\xff\x00\x00\x00\x00\x00\x00\x00x"))},
	"aggregate cut in its header":         {guard.RepairBadAggregate, plain(chunk.TypeAggregate, []byte("\x09"))},
	"aggregate of a command":              {guard.RepairUnknown, plain(chunk.TypeAggregate, tag(chunk.TypeCommandAMF0, 0, []byte("x")))},
	"video on stream 0":                   {guard.RepairStreamID, onStream(0)},
	"video on a stream that is not there": {guard.RepairStreamID, onStream(77)},
	"new header inside a message": {guard.RepairRestarted, func(c *rtmptest.Client) error {
		return c.Raw(append(chunk.AppendHeader(nil, chunk.Message{ChunkStream: 6, Type: chunk.TypeVideo, Stream: 1, Payload: make([]byte, 500)}), make([]byte, 128)...))
	}},
	"abort inside a message": {guard.RepairAborted, func(c *rtmptest.Client) error {
		return errors.Join(
			c.Raw(append(chunk.AppendHeader(nil, chunk.Message{ChunkStream: 6, Type: chunk.TypeVideo, Stream: 1, Payload: make([]byte, 500)}), make([]byte, 128)...)),
			c.Send(chunk.Message{ChunkStream: 2, Type: chunk.TypeAbort, Payload: uint32s(6)}),
		)
	}},
	"ping": {guard.RepairPing, func(c *rtmptest.Client) error {
		if err := c.Send(chunk.Message{ChunkStream: 2, Type: chunk.TypeUserControl, Payload: []byte{0, 6, 1, 2, 3, 4}}); err != nil {
			return err
		}
		_, err := c.Expect(func(m chunk.Message) bool {
			return m.Type == chunk.TypeUserControl && bytes.Equal(m.Payload, []byte{0, 7, 1, 2, 3, 4})
		})
		return err
	}},
}

func plain(messageType uint8, payload []byte) func(c *rtmptest.Client) error {
	return func(c *rtmptest.Client) error {
		return c.Send(chunk.Message{ChunkStream: 7, Type: messageType, Stream: 1, Payload: payload})
	}
}

func onStream(id uint32) func(c *rtmptest.Client) error {
	return func(c *rtmptest.Client) error {
		return c.Send(chunk.Message{ChunkStream: 6, Type: chunk.TypeVideo, Stream: id, Timestamp: 20, Payload: rtmptest.AVCConfig(rtmptest.SPS240, rtmptest.PPS240)})
	}
}

// tag is an FLV tag with its back pointer.
func tag(kind byte, timestamp uint32, payload []byte) []byte {
	b := []byte{kind, byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), byte(timestamp >> 16), byte(timestamp >> 8), byte(timestamp), byte(timestamp >> 24), 0, 0, 0}
	return binary.BigEndian.AppendUint32(append(b, payload...), uint32(11+len(payload)))
}

func TestRepairedInput(t *testing.T) {
	b := serve(t, nil)
	for name, trap := range repaired {
		t.Run(name, func(t *testing.T) {
			before := b.count(t, "repairs_total", string(trap.kind))
			c := b.publish(t, keyA)
			begin(t, c, 0)
			b.waitSamples(t, "stream-a", 2)
			must(t, trap.send(c), c.Video(40, rtmptest.AVCFrame(false, 0, rtmptest.Slice(0x20, 200))))
			got := b.waitSamples(t, "stream-a", 3)
			if len(got) != 3 || got[2].Time != 40 || !bytes.Equal(got[2].Data, rtmptest.NALs(rtmptest.Slice(0x20, 200))) {
				t.Errorf("third sample of %d: %+v", len(got), got[2])
			}
			if n := b.count(t, "repairs_total", string(trap.kind)) - before; n != 1 {
				t.Errorf("%v repairs of kind %s", n, trap.kind)
			}
			must(t, c.Close())
			b.waitClosed(t, "stream-a")
		})
	}
}

// An aggregate gives its messages, with timestamps that count from the message's.
func TestAggregate(t *testing.T) {
	b := serve(t, nil)
	c := b.publish(t, keyA)
	begin(t, c, 0)
	b.waitSamples(t, "stream-a", 2)
	var body []byte
	body = append(body, tag(chunk.TypeVideo, 500, rtmptest.AVCFrame(false, 0, rtmptest.Slice(0x20, 20)))...)
	body = append(body, tag(chunk.TypeAudio, 510, rtmptest.AACFrame(0x21, 30))...)
	body = append(body, tag(chunk.TypeDataAMF0, 510, amf.Append(nil, "onMetaData", amf.Object{}))...)
	body = append(body, tag(chunk.TypeVideo, 540, rtmptest.AVCFrame(false, 0, rtmptest.Slice(0x30, 20)))...)
	must(t, c.Send(chunk.Message{ChunkStream: 6, Type: chunk.TypeAggregate, Stream: 1, Timestamp: 100, Payload: body}))
	got := b.waitSamples(t, "stream-a", 5)[2:]
	for i, want := range []uint64{100, 110, 140} {
		if got[i].Time != want {
			t.Errorf("sample %d at %d, want %d", i, got[i].Time, want)
		}
	}
	if n := b.count(t, "repairs_total", string(guard.RepairAggregate)); n != 1 {
		t.Errorf("%v aggregates counted", n)
	}
}

// Encoders that send absolute timestamps pass 4 h 39 m, where the extended field begins, on 128-byte chunks,
// with and without the field on continued chunks. Past 49 days the timestamps wrap.
func TestExtendedTimestamps(t *testing.T) {
	for _, omit := range []bool{false, true} {
		b := serve(t, nil)
		c := b.publish(t, keyA)
		c.ChunkSize = 128
		times := []uint32{0xfffffe - 40, 0xfffffe, 0xffffff, 0x1000000, 17_000_000, 0xfffffff0, 24}
		begin(t, c, times[0])
		for _, at := range times[1:] {
			m := chunk.Message{ChunkStream: 6, Type: chunk.TypeVideo, Stream: 1, Timestamp: at, Payload: rtmptest.AVCFrame(true, 0, rtmptest.IDR(0x10, 1000))}
			bytes := chunk.Append(nil, m, 128)
			if omit {
				bytes = withoutField(m)
			}
			must(t, c.Raw(bytes))
		}
		got := b.waitSamples(t, "stream-a", 2+len(times)-1)[2:]
		for i, at := range times[1:] {
			if got[i].Time != uint64(at) || len(got[i].Data) != 1007 {
				t.Errorf("field left out %v: sample %d at %d of %d bytes, want %d", omit, i, got[i].Time, len(got[i].Data), at)
			}
		}
	}
}

// withoutField writes m in 128-byte chunks whose continuations have no extended timestamp.
func withoutField(m chunk.Message) []byte {
	b := chunk.AppendHeader(nil, m)
	for rest := m.Payload; len(rest) > 0; {
		n := min(128, len(rest))
		b = append(b, rest[:n]...)
		if rest = rest[n:]; len(rest) > 0 {
			b = append(b, 0xc0|byte(m.ChunkStream))
		}
	}
	return b
}

// Whatever odd properties an encoder puts into connect, it connects.
func TestOddConnect(t *testing.T) {
	b := serve(t, nil)
	for name, p := range map[string]amf.Property{
		"fpad as a number":     {Key: "fpad", Value: 0.0},
		"undefined":            {Key: "swfUrl", Value: amf.Undefined{}},
		"long string":          {Key: "pageUrl", Value: strings.Repeat("x", 60_000)},
		"long app query":       {Key: "tcUrl", Value: strings.Repeat("x", 60_000)},
		"fourCcList":           {Key: "fourCcList", Value: amf.Array{"av01", "hvc1", "vp09"}},
		"capsEx":               {Key: "capsEx", Value: 15.0},
		"video codecs as text": {Key: "videoCodecs", Value: "all"},
		"negative encoding":    {Key: "objectEncoding", Value: -1.0},
		"AMF3 encoding":        {Key: "objectEncoding", Value: 3.0},
		"an object":            {Key: "videoFourCcInfoMap", Value: amf.Object{{Key: "*", Value: 1.0}}},
		"type as a number":     {Key: "type", Value: 1.0},
		"invalid UTF-8":        {Key: "flashVer", Value: "\xff\xfe"},
	} {
		c := b.dial(t)
		if err := errors.Join(c.Connect("live", p), c.Publish(keyA)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		must(t, c.Close())
		b.waitClosed(t, "stream-a")
	}
}

// What the server announces: its chunk size, both windows, and answers to releaseStream and FCPublish.
func TestAnnouncements(t *testing.T) {
	b := serve(t, nil)
	c := b.dial(t)
	must(t, c.Command(0, "connect", 1.0, amf.Object{{Key: "app", Value: "live"}}))
	seen := map[uint8][]byte{}
	_, err := c.Expect(func(m chunk.Message) bool {
		seen[m.Type] = bytes.Clone(m.Payload)
		return m.Type == chunk.TypeCommandAMF0
	})
	must(t, err)
	if !bytes.Equal(seen[chunk.TypeSetChunkSize], uint32s(65536)) ||
		!bytes.Equal(seen[chunk.TypeWindowAckSize], uint32s(2_500_000)) ||
		!bytes.Equal(seen[chunk.TypeSetPeerBandwidth], append(uint32s(2_500_000), 2)) {
		t.Errorf("announced %x", seen)
	}
	must(t, c.Command(0, "releaseStream", 22.0, nil, keyA))
	if v, err := c.Reply("_result"); err != nil || v[1] != 22.0 {
		t.Error(v, err)
	}
	must(t, c.Command(0, "FCPublish", 23.0, nil, keyA))
	if v, err := c.Reply("_result"); err != nil || v[1] != 23.0 {
		t.Error(v, err)
	}
	if _, err := c.Reply("onFCPublish"); err != nil {
		t.Error(err)
	}
}

// Acknowledgements follow the window that the publisher names, and count its own bytes.
func TestAcknowledgements(t *testing.T) {
	b := serve(t, nil)
	c := b.publish(t, keyA)
	must(t, c.Send(chunk.Message{ChunkStream: 2, Type: chunk.TypeWindowAckSize, Payload: uint32s(200_000)}))
	begin(t, c, 0)
	var acks []uint32
	for at := range uint32(4) {
		must(t, c.Video(40*at, rtmptest.AVCFrame(true, 0, rtmptest.IDR(0x10, 110_000))))
		_, err := c.Expect(func(m chunk.Message) bool {
			if m.Type == chunk.TypeAck {
				acks = append(acks, binary.BigEndian.Uint32(m.Payload))
			}
			return m.Type == chunk.TypeAck
		})
		must(t, err)
	}
	for i := range acks {
		if low := uint32(i+1) * 110_000; acks[i] < low || acks[i] > low+5000 {
			t.Errorf("acknowledgement %d says %d bytes", i, acks[i])
		}
	}
}

// Silence ends a connection at each of its steps.
func TestDeadlines(t *testing.T) {
	b := serve(t, func(c *Config) { c.SetupTimeout, c.MediaTimeout = 300*time.Millisecond, 300*time.Millisecond })
	for name, step := range map[string]func() net.Conn{
		"silent": func() net.Conn {
			conn, err := net.Dial("tcp", b.address)
			must(t, err)
			return conn
		},
		"half a handshake": func() net.Conn {
			conn, err := net.Dial("tcp", b.address)
			must(t, err)
			_, err = conn.Write(append([]byte{3}, make([]byte, 700)...))
			must(t, err)
			return conn
		},
		"no connect": func() net.Conn { return b.dial(t) },
		"no publish": func() net.Conn {
			c := b.dial(t)
			must(t, c.Connect("live"))
			return c
		},
		"no media": func() net.Conn {
			c := b.publish(t, keyA)
			begin(t, c, 0)
			return c
		},
	} {
		conn := step()
		start := time.Now()
		must(t, conn.SetReadDeadline(start.Add(15*time.Second)))
		_, err := io.Copy(io.Discard, conn)
		if err != nil && !isClosed(err) {
			t.Errorf("%s: not closed in 15 s: %v", name, err)
		}
		_ = conn.Close()
	}
	if p := b.waitClosed(t, "stream-a"); p.reason == nil || !strings.Contains(p.reason.Error(), "no audio or video") {
		t.Errorf("publication ended for %v", p.reason)
	}
}

// Bytes other than media do not keep a publisher alive.
func TestPingsAreNotMedia(t *testing.T) {
	b := serve(t, func(c *Config) { c.MediaTimeout = 300 * time.Millisecond })
	c := b.publish(t, keyA)
	begin(t, c, 0)
	for {
		err := c.Send(chunk.Message{ChunkStream: 2, Type: chunk.TypeUserControl, Payload: []byte{0, 6, 1, 2, 3, 4}})
		if err == nil {
			_, err = c.Expect(func(m chunk.Message) bool { return m.Type == chunk.TypeUserControl })
		}
		if err != nil {
			break
		}
	}
	b.waitClosed(t, "stream-a")
}

// Fifty connections hold little memory, whatever they announce: first with fifty half-sent messages each, which
// closes them, then with as much as a stranger may leave half-sent.
func TestHalfSentMessagesAreBounded(t *testing.T) {
	b := serve(t, func(c *Config) { c.MaxConnectionsPerIP = 100 })
	before := heap()
	const sockets = 50
	for _, messages := range []int{50, 4} {
		for range sockets {
			c := b.dial(t)
			must(t, c.Connect("live"))
			if err := c.Raw(halfSent(messages, 60<<10, 30<<10, 128)); err != nil && !isClosed(err) {
				t.Fatal(err)
			}
			if messages == 50 {
				if _, err := c.Expect(func(chunk.Message) bool { return false }); !isClosed(err) {
					t.Fatal(err)
				}
				continue
			}
			must(t, repaired["ping"].send(c)) // the answer comes once all before it was read
		}
		used := heap() - before
		t.Logf("%d sockets with %d half-sent messages hold %d KiB each, client and server together", sockets, messages, used/sockets>>10)
		if used > sockets*600<<10 {
			t.Errorf("%d MiB in use", used>>20)
		}
	}
}

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

// Samples own their bytes: what comes later does not change what came before.
func TestSamplesAreCopies(t *testing.T) {
	b := serve(t, nil)
	c := b.publish(t, keyA)
	begin(t, c, 0)
	for i := range uint32(50) {
		must(t, c.Video(40*i, rtmptest.AVCFrame(false, 0, rtmptest.Slice(byte(i)<<4|1, 300))), c.Audio(40*i, rtmptest.AACFrame(byte(i)|1, 60)))
	}
	video, audio := 0, 0
	for _, s := range b.waitSamples(t, "stream-a", 102)[2:] {
		want := bytes.Repeat([]byte{byte(audio) | 1}, 60)
		if s.Track == videoTrack {
			want = rtmptest.NALs(rtmptest.Slice(byte(video)<<4|1, 300))
			video++
		} else {
			audio++
		}
		if !bytes.Equal(s.Data, want) {
			t.Fatalf("track %d, sample %d/%d was overwritten", s.Track, video, audio)
		}
	}
}

func extendedVideo(first byte, fourCC flv.FourCC, body ...byte) []byte {
	return append(append([]byte{first}, fourCC...), body...)
}

// H.264 and AAC may come with the extended header; other codecs are refused in words that a person understands.
func TestEnhancedRTMP(t *testing.T) {
	b := serve(t, nil)
	c := b.publish(t, keyA)
	must(t,
		c.Video(0, extendedVideo(0x90, flv.FourCCAVC, rtmptest.AVCRecord(rtmptest.SPS240, rtmptest.PPS240)...)),
		c.Audio(0, append([]byte("\x90mp4a"), rtmptest.StereoASC...)),
		c.Video(0, extendedVideo(0x91, flv.FourCCAVC, append([]byte{0, 0, 40}, rtmptest.NALs(rtmptest.IDR(0x10, 30))...)...)),
		c.Video(40, extendedVideo(0xa3, flv.FourCCAVC, rtmptest.NALs(rtmptest.Slice(0x10, 30))...)),
		c.Audio(40, []byte("\x91mp4a\x21\x10")),
	)
	got := b.waitSamples(t, "stream-a", 3)
	if got[0].CompositionOffset != 40 || !got[0].Key || got[1].Key || got[2].Track != audioTrack {
		t.Errorf("samples %+v", got)
	}
	for want, send := range map[string]func(c *rtmptest.Client, at uint32) error{
		"HEVC video": func(c *rtmptest.Client, at uint32) error {
			return c.Video(at, extendedVideo(0x91, flv.FourCCHEVC, 0, 0, 0, 1))
		},
		"AV1 video":   func(c *rtmptest.Client, at uint32) error { return c.Video(at, extendedVideo(0x91, flv.FourCCAV1, 1)) },
		"VP9 video":   func(c *rtmptest.Client, at uint32) error { return c.Video(at, extendedVideo(0x91, flv.FourCCVP9, 1)) },
		"VP6 video":   func(c *rtmptest.Client, at uint32) error { return c.Video(at, []byte{0x14, 1, 2}) },
		"Opus audio":  func(c *rtmptest.Client, at uint32) error { return c.Audio(at, []byte("\x91Opus\x01")) },
		"MP3 audio":   func(c *rtmptest.Client, at uint32) error { return c.Audio(at, []byte{0x2f, 1, 2}) },
		"Speex audio": func(c *rtmptest.Client, at uint32) error { return c.Audio(at, []byte{0xb2, 1, 2}) },
	} {
		c := b.publish(t, keyB)
		must(t, send(c, 0), send(c, 20))
		if _, err := c.Reply("onStatus"); status(err) != "NetStream.Publish.Failed" || !strings.Contains(err.Error(), want+" is not transcoded") {
			t.Errorf("%s: %v", want, err)
		}
		b.waitClosed(t, "stream-b")
	}
	b.stop()
	if n := strings.Count(b.journal.String(), "is not transcoded by this server"); n < 7 {
		t.Errorf("%d lines in the log:\n%s", n, b.journal)
	}
}

// Behind the fmt-0 header of a message, type 3 begins the next one with the timestamp as its delta, as ffmpeg
// means it.
func TestType3BeginsMessage(t *testing.T) {
	b := serve(t, nil)
	c := b.publish(t, keyA)
	begin(t, c, 0)
	frame := rtmptest.AACFrame(0x21, 40)
	must(t, c.Audio(21, frame), c.Raw(append([]byte{0xc4}, frame...)), c.Raw(append([]byte{0xc4}, frame...)))
	got := b.waitSamples(t, "stream-a", 5)[2:]
	if fmt.Sprint(got[0].Time, got[1].Time, got[2].Time) != "21 42 63" {
		t.Errorf("times %d %d %d", got[0].Time, got[1].Time, got[2].Time)
	}
}
