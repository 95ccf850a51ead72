package chunk

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// The ways in which a chunk stream breaks a limit or the format.
var (
	ErrMessageTooLong = errors.New("message is longer than allowed")
	ErrTooManyStreams = errors.New("too many chunk streams")
	ErrTooMuchPending = errors.New("too many bytes in unfinished messages")
	ErrNoHeader       = errors.New("chunk stream begins without a message header")
	ErrSize           = errors.New("chunk size is out of range")
)

// Limits bound what a Reader holds for its peer.
type Limits struct {
	// Streams is the number of chunk streams.
	Streams int
	// Pending is the number of bytes in messages that are not complete yet.
	Pending int
	// Length is the longest message of a type.
	Length func(messageType uint8) int
}

// Reader takes a chunk stream apart. Not safe for concurrent use.
type Reader struct {
	// set by NewReader
	in *bufio.Reader

	limits   Limits
	size     int
	streams  map[int]*stream
	pending  int
	received uint64
	repaired Repairs
	// omitsField tells that the peer leaves the extended timestamp out of type 3 chunks.
	omitsField bool
	// given is the stream of the message that Next returned last, and spare the buffer of the one before: one for
	// all streams, so that a peer cannot have each of them hold one.
	given *stream
	spare []byte
}

// Repairs counts what the Reader put right.
type Repairs struct {
	// Extended is the number of type 3 chunks in messages with an extended timestamp.
	Extended int
	// Restarted is the number of messages that a new header cut short.
	Restarted int
}

// stream is the state of one chunk stream.
type stream struct {
	message Message
	length  int
	delta   uint32
	// extended tells that the last header had an extended timestamp, field is what it held.
	extended bool
	field    uint32
	known    bool
	active   bool
}

// NewReader reads chunks of 128 bytes (RTMP 1.0 §5.4.1) from in.
func NewReader(in *bufio.Reader, limits Limits) *Reader {
	return &Reader{in: in, limits: limits, size: 128, streams: map[int]*stream{}}
}

// SetLimits replaces the limits from the next chunk on.
func (r *Reader) SetLimits(limits Limits) { r.limits = limits }

// SetSize sets the largest payload of the chunks from here on, as the peer's Set Chunk Size says. Sizes above MaxSize
// are all the same, and encoders send them (RTMP 1.0 §5.4.1).
func (r *Reader) SetSize(size uint32) error {
	if size == 0 || size > math.MaxInt32 {
		return fmt.Errorf("%w: %d is not in 1…%d", ErrSize, size, math.MaxInt32)
	}
	r.size = int(min(size, MaxSize))
	return nil
}

// Abort forgets the unfinished message of a chunk stream (RTMP 1.0 §5.4.2).
func (r *Reader) Abort(chunkStream int) {
	if s := r.streams[chunkStream]; s != nil {
		r.drop(s)
	}
}

// Received is the number of bytes taken from the peer.
func (r *Reader) Received() uint64 { return r.received }

// Repaired is what the Reader put right so far.
func (r *Reader) Repaired() Repairs { return r.repaired }

// Next reads up to the end of the next complete message. It returns io.EOF where the peer ended between two
// chunks, io.ErrUnexpectedEOF where it ended inside of one.
func (r *Reader) Next() (Message, error) {
	r.takeBack()
	for {
		s, err := r.chunk()
		if err != nil {
			return Message{}, err
		}
		if len(s.message.Payload) < s.length {
			continue
		}
		s.active = false
		r.pending -= s.length
		r.given = s
		return s.message, nil
	}
}

// takeBack makes the buffer of the message that was given out last the spare one.
func (r *Reader) takeBack() {
	if r.given == nil {
		return
	}
	if p := r.given.message.Payload; cap(p) <= retained && cap(p) > cap(r.spare) {
		r.spare = p
	}
	r.given.message.Payload, r.given = nil, nil
}

// chunk reads one chunk and returns its stream.
func (r *Reader) chunk() (*stream, error) {
	format, id, err := r.basicHeader()
	if err != nil {
		return nil, err
	}
	s, err := r.stream(id)
	if err != nil {
		return nil, err
	}
	if format < 3 {
		err = r.messageHeader(s, format)
	} else {
		err = r.continuation(s)
	}
	if err != nil {
		return nil, fmt.Errorf("chunk stream %d: %w", id, err)
	}
	return s, r.payload(s, min(s.length-len(s.message.Payload), r.size))
}

func (r *Reader) basicHeader() (format byte, id int, err error) {
	first, err := r.in.ReadByte()
	if err != nil {
		return 0, 0, err // io.EOF here is the proper end
	}
	r.received++
	format, id = first>>6, int(first&0x3f)
	if id > 1 {
		return format, id, nil
	}
	b, err := r.take(1 + id)
	if err != nil {
		return 0, 0, err
	}
	high := 0
	if id == 1 {
		high = int(b[1]) << 8
	}
	return format, 64 + int(b[0]) + high, nil
}

func (r *Reader) stream(id int) (*stream, error) {
	if s := r.streams[id]; s != nil {
		return s, nil
	}
	if len(r.streams) >= r.limits.Streams {
		return nil, fmt.Errorf("%w: %d is over %d", ErrTooManyStreams, len(r.streams)+1, r.limits.Streams)
	}
	s := &stream{message: Message{ChunkStream: id}}
	r.streams[id] = s
	return s, nil
}

// messageHeader reads a header of type 0, 1 or 2, which begins a message (RTMP 1.0 §5.3.1.2).
func (r *Reader) messageHeader(s *stream, format byte) error {
	if !s.known && format == 2 {
		return ErrNoHeader // type 1 is taken as a first header: librtmp begins its ping replies so
	}
	if s.active {
		r.repaired.Restarted++
		r.drop(s)
	}
	b, err := r.take([]int{11, 7, 3}[format])
	if err != nil {
		return err
	}
	s.field = uint24(b)
	s.extended = s.field == noTimestamp
	if format < 2 {
		s.length = int(uint24(b[3:]))
		s.message.Type = b[6]
	}
	if format == 0 {
		s.message.Stream = binary.LittleEndian.Uint32(b[7:])
	}
	if s.extended {
		if b, err = r.take(4); err != nil {
			return err
		}
		s.field = binary.BigEndian.Uint32(b)
	}
	// The field is the delta of type 3 chunks that begin a message, even behind a type 0 (§5.3.1.2.4).
	s.delta = s.field
	if format == 0 {
		s.message.Timestamp = 0
	}
	s.known = true
	return r.begin(s)
}

// begin starts a message whose header s holds.
func (r *Reader) begin(s *stream) error {
	if longest := r.limits.Length(s.message.Type); s.length > longest {
		return fmt.Errorf("%w: %d bytes of type %d, at most %d", ErrMessageTooLong, s.length, s.message.Type, longest)
	}
	s.message.Timestamp += s.delta
	s.active = true
	s.message.Payload, r.spare = r.spare[:0], nil
	return nil
}

// continuation handles a type 3 chunk: the next part of a message, or the begin of one like the last.
func (r *Reader) continuation(s *stream) error {
	if !s.known {
		return ErrNoHeader
	}
	begins := !s.active
	if begins {
		if err := r.begin(s); err != nil {
			return err
		}
	}
	if !s.extended {
		return nil
	}
	if !begins {
		r.repaired.Extended++
	}
	return r.repeatedField(s)
}

// repeatedField skips the extended timestamp of a type 3 chunk. Encoders disagree whether it is there, so the
// four bytes are compared with the field's last value: payload that happens to be equal is one in 2^32.
func (r *Reader) repeatedField(s *stream) error {
	if r.omitsField && s.length-len(s.message.Payload) < 4 {
		return nil // looking four bytes ahead would wait for the message after this one
	}
	b, err := r.in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if len(b) == 4 {
		if v := binary.BigEndian.Uint32(b); v == s.field || v == s.message.Timestamp {
			_, err := r.take(4)
			return err
		}
	}
	r.omitsField = true
	return nil
}

// The steps in which a payload's buffer grows, so that memory follows the bytes that came and not the length
// that was announced, and the size up to which a buffer is kept for the next message.
const (
	step     = 64 << 10
	retained = 256 << 10
)

func (r *Reader) payload(s *stream, n int) error {
	if r.pending+n > r.limits.Pending {
		return fmt.Errorf("%w: more than %d", ErrTooMuchPending, r.limits.Pending)
	}
	for n > 0 {
		part := min(n, step)
		at := len(s.message.Payload)
		s.message.Payload = slices.Grow(s.message.Payload, part)[:at+part]
		got, err := io.ReadFull(r.in, s.message.Payload[at:])
		r.received += uint64(got)
		r.pending += part
		if err != nil {
			return unexpected(err)
		}
		n -= part
	}
	return nil
}

func (r *Reader) drop(s *stream) {
	if s.active {
		r.pending -= len(s.message.Payload)
		s.message.Payload, s.active = nil, false
	}
}

// take reads n bytes, n ≤ 11. They are valid until the next read.
func (r *Reader) take(n int) ([]byte, error) {
	b, err := r.in.Peek(n)
	if err != nil {
		return nil, unexpected(err)
	}
	r.received += uint64(n)
	_, err = r.in.Discard(n)
	return b, err
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
