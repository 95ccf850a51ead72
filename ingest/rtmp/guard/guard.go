// Package guard stands between a publisher's socket and the RTMP session library: what the library reads from
// it is a chunk stream of plain, whole, well-formed messages, whatever the publisher sent.
//
//	socket ──▶ [chunk.Reader: limits] ──▶ [Conn: AMF checked and rewritten, repairs] ──▶ session library
//	socket ◀────────────────────────── deadline per write ◀──────────────────────────── session library
//
// The handshake passes unchanged. Then each good message goes on as one chunk with a full header, so the
// library never meets a continued chunk, a repeated timestamp field, AMF3, an aggregate, or a type that it does
// not know; the kinds of [Repair] list what is put right. Bytes that break a limit end the connection with a
// [Violation] that says which.
//
// A Read never spans two messages. The library therefore handles a message completely before the guard looks at
// the next one, and [Conn.Transaction], [Conn.Arrived] and [Conn.Publishing] need no lock: they belong to the
// goroutine that reads.
package guard

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"nova/ingest/rtmp/chunk"
)

// Config bounds one connection.
type Config struct {
	// SetupTimeout is the time from accepting the connection to an accepted publish, handshakes included.
	SetupTimeout time.Duration
	// MediaTimeout is the longest time between two audio or video messages of a publisher.
	MediaTimeout time.Duration
	// WriteTimeout is the longest time for one write to the peer.
	WriteTimeout time.Duration
	// MaxMessage is the longest audio, video or aggregate message of a publisher, in bytes.
	MaxMessage int
	// MaxSetupMessage is the longest message before publish, and the longest command at any time, in bytes.
	MaxSetupMessage int
	// MaxChunkStreams is the number of chunk streams.
	MaxChunkStreams int
}

// DefaultConfig holds for 8K at 100 Mb/s, and keeps what an unauthenticated peer can hold under 200 KiB.
func DefaultConfig() Config {
	return Config{
		SetupTimeout:    10 * time.Second,
		MediaTimeout:    10 * time.Second,
		WriteTimeout:    5 * time.Second,
		MaxMessage:      8 << 20,
		MaxSetupMessage: 64 << 10,
		MaxChunkStreams: 16,
	}
}

// Observer hears what the guard sees, on the goroutine that reads.
type Observer interface {
	// Received tells of each whole message and its payload's size.
	Received(messageType uint8, size int)
	// Repaired tells of each message that was put right or left out.
	Repaired(kind Repair)
}

// Conn is the guarded connection. One goroutine reads; Write may be called from another one; Interrupt, Close
// and Err from any.
type Conn struct {
	net.Conn

	// set by New
	cfg      Config
	observer Observer
	in       *bufio.Reader
	chunks   *chunk.Reader
	closed   chan struct{}

	// owned by the goroutine that reads
	handshake    int // bytes that went through
	header       [16]byte
	head, body   []byte // what Read gives out next; head is a part of header
	scratch      []byte // holds a rewritten message
	aggregate    aggregate
	publishing   bool
	stream       uint32 // the message stream that publishes
	window       uint64 // bytes between two acknowledgements
	acknowledged uint64
	transaction  float64
	arrived      time.Time
	noted        chunk.Repairs

	// guarded by mu
	mu struct {
		sync.Mutex
		err         error // the first reason to end
		interrupted bool
		closed      bool
		linger      bool
	}
}

// New guards conn and starts the clock of SetupTimeout.
func New(conn net.Conn, cfg Config, observer Observer) *Conn {
	c := &Conn{Conn: conn, cfg: cfg, observer: observer, closed: make(chan struct{}), window: defaultWindow / 2}
	c.in = bufio.NewReaderSize(conn, 16<<10)
	c.chunks = chunk.NewReader(c.in, c.limits())
	c.renew(cfg.SetupTimeout)
	return c
}

// limits are those of a stranger until the peer publishes. Twice the longest message leaves room for one video
// and one audio message under way at a time.
func (c *Conn) limits() chunk.Limits {
	media := c.cfg.MaxSetupMessage
	if c.publishing {
		media = c.cfg.MaxMessage
	}
	return chunk.Limits{
		Streams: c.cfg.MaxChunkStreams,
		Pending: 2 * media,
		Length: func(messageType uint8) int {
			switch messageType {
			case chunk.TypeAudio, chunk.TypeVideo, chunk.TypeAggregate, chunk.TypeDataAMF0, chunk.TypeDataAMF3:
				return media
			default:
				return c.cfg.MaxSetupMessage
			}
		},
	}
}

// Publishing lifts the limits of a stranger: the peer may send media on the message stream.
func (c *Conn) Publishing(stream uint32) {
	c.publishing, c.stream = true, stream
	c.chunks.SetLimits(c.limits())
	c.renew(c.cfg.MediaTimeout)
}

// Transaction is the transaction id of the command that was read last.
func (c *Conn) Transaction() int64 { return int64(c.transaction) }

// Arrived is when the message that was read last was complete.
func (c *Conn) Arrived() time.Time { return c.arrived }

// Read gives the session library its next bytes.
func (c *Conn) Read(p []byte) (int, error) {
	if c.handshake < handshakeSize {
		n, err := c.readHandshake(p)
		return n, c.end(err)
	}
	for len(c.head)+len(c.body) == 0 {
		if err := c.next(); err != nil {
			return 0, c.end(err)
		}
	}
	n := copy(p, c.head)
	c.head = c.head[n:]
	m := copy(p[n:], c.body)
	c.body = c.body[m:]
	return n + m, nil
}

// next moves on until a message is ready in head and body, or tells that none came this time.
func (c *Conn) next() error {
	if c.aggregate.more() {
		return c.nextOfAggregate()
	}
	if received := c.chunks.Received(); received-c.acknowledged >= c.window {
		c.acknowledged = received
		c.askForAck(uint32(received))
		return nil
	}
	m, err := c.chunks.Next()
	c.noteRepairs()
	if err != nil {
		return err
	}
	c.arrived = time.Now()
	c.observer.Received(m.Type, len(m.Payload))
	return c.accept(m)
}

// emit makes m the message that Read gives out. The chunk streams are the guard's own few, so that the library
// keeps few buffers.
func (c *Conn) emit(m chunk.Message) {
	switch m.Type {
	case chunk.TypeCommandAMF0:
		m.ChunkStream = 3
	case chunk.TypeAudio:
		m.ChunkStream = 4
	case chunk.TypeDataAMF0:
		m.ChunkStream = 5
	case chunk.TypeVideo:
		m.ChunkStream = 6
	default:
		m.ChunkStream = 2
	}
	c.head, c.body = chunk.AppendHeader(c.header[:0], m), m.Payload
}

// Write sends p to the peer within WriteTimeout.
func (c *Conn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.cfg.WriteTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// renew moves the read deadline, unless the connection was interrupted.
func (c *Conn) renew(timeout time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.mu.interrupted {
		_ = c.SetReadDeadline(time.Now().Add(timeout)) // fails on a closed socket only, which Read will tell
	}
}

// Interrupt makes the reader return err from its next read on: the gentle way to end a connection from outside.
func (c *Conn) Interrupt(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.err == nil {
		c.mu.err = err
	}
	c.mu.interrupted = true
	_ = c.SetReadDeadline(time.Unix(1, 0)) // as in renew
}

// Fail records why the session ends, for Err, where the reason is not the guard's own.
func (c *Conn) Fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.err == nil {
		c.mu.err = err
	}
}

// Linger lets Close wait for the peer to read what was written to it, such as the reason of a refusal: closing
// a socket with unread input would cut it off.
func (c *Conn) Linger() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.linger = true
}

// Err is the first reason for which the connection ended; nil while none is known. io.EOF is the peer's proper
// end.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.err
}

// Closed is closed once Close was called: the session library is done with the connection.
func (c *Conn) Closed() <-chan struct{} { return c.closed }

// end turns a reader's error into the one to report, and keeps the first.
func (c *Conn) end(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = c.idle()
	}
	c.Fail(classify(err))
	return c.Err()
}

func (c *Conn) idle() error {
	if c.publishing {
		return &Violation{ReasonIdle, fmt.Errorf("no audio or video for %v", c.cfg.MediaTimeout)}
	}
	return &Violation{ReasonIdle, fmt.Errorf("no publish within %v of the connection", c.cfg.SetupTimeout)}
}

// lingerTime bounds how long Close waits for a peer that was told to go.
const lingerTime = 500 * time.Millisecond

// Close closes the socket. Idempotent.
func (c *Conn) Close() error {
	c.mu.Lock()
	first, linger := !c.mu.closed, c.mu.linger
	c.mu.closed, c.mu.interrupted = true, true
	c.mu.Unlock()
	if !first {
		return nil
	}
	defer close(c.closed)
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && linger && half.CloseWrite() == nil {
		_ = c.SetReadDeadline(time.Now().Add(lingerTime)) // as in renew
		_, _ = io.CopyN(io.Discard, c.Conn, 1<<20)        // whatever ends it, the socket is closed next
	}
	return c.Conn.Close()
}
