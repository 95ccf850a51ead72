// Package rtmptest is a bare RTMP publisher for tests: it speaks the handshake and the commands, and otherwise
// sends whatever bytes a test wants sent.
package rtmptest

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"nova/ingest/rtmp/amf"
	"nova/ingest/rtmp/chunk"
)

// Client is one connection. Reading and writing may be done by one goroutine each.
type Client struct {
	net.Conn
	// ChunkSize is what Send uses. Set it together with sending Set Chunk Size.
	ChunkSize int
	// Stream is what createStream gave.
	Stream uint32

	in     *chunk.Reader
	writes sync.Mutex
}

// StatusError is an onStatus or an _error of level "error".
type StatusError struct{ Code, Description string }

func (e *StatusError) Error() string { return e.Code + ": " + e.Description }

// patience is the longest wait for anything: a test that needs more has failed.
const patience = 15 * time.Second

// Dial connects and shakes hands. A nil config means RTMP, otherwise RTMPS.
func Dial(ctx context.Context, address string, config *tls.Config) (*Client, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if config != nil {
		conn = tls.Client(conn, config)
	}
	c, err := Handshake(conn)
	if err != nil {
		_ = conn.Close() // the first error counts
		return nil, err
	}
	return c, nil
}

// Handshake shakes hands on conn.
func Handshake(conn net.Conn) (*Client, error) {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	hello := make([]byte, 1+1536)
	hello[0] = 3
	if _, err := conn.Write(hello); err != nil {
		return nil, fmt.Errorf("cannot send C0 and C1: %w", err)
	}
	reply := make([]byte, 1+1536+1536)
	if _, err := io.ReadFull(conn, reply); err != nil {
		return nil, fmt.Errorf("cannot read S0, S1 and S2: %w", err)
	}
	if _, err := conn.Write(reply[1 : 1+1536]); err != nil {
		return nil, fmt.Errorf("cannot send C2: %w", err)
	}
	limits := chunk.Limits{Streams: 64, Pending: 1 << 20, Length: func(uint8) int { return 1 << 20 }}
	return &Client{Conn: conn, ChunkSize: 128, in: chunk.NewReader(bufio.NewReader(conn), limits)}, nil
}

// Raw sends bytes as they are.
func (c *Client) Raw(b []byte) error {
	c.writes.Lock()
	defer c.writes.Unlock()
	_, err := c.Write(b)
	return err
}

// Send sends one message in chunks.
func (c *Client) Send(m chunk.Message) error { return c.Raw(chunk.Append(nil, m, c.ChunkSize)) }

// SetChunkSize announces and uses a chunk size.
func (c *Client) SetChunkSize(size uint32) error {
	err := c.Send(chunk.Message{ChunkStream: 2, Type: chunk.TypeSetChunkSize, Payload: binary.BigEndian.AppendUint32(nil, size)})
	c.ChunkSize = int(size)
	return err
}

// Command sends an AMF0 command.
func (c *Client) Command(stream uint32, values ...any) error {
	return c.Send(chunk.Message{ChunkStream: 3, Type: chunk.TypeCommandAMF0, Stream: stream, Payload: amf.Append(nil, values...)})
}

// Video sends a video message.
func (c *Client) Video(timestamp uint32, payload []byte) error {
	return c.Send(chunk.Message{ChunkStream: 6, Type: chunk.TypeVideo, Stream: c.Stream, Timestamp: timestamp, Payload: payload})
}

// Audio sends an audio message.
func (c *Client) Audio(timestamp uint32, payload []byte) error {
	return c.Send(chunk.Message{ChunkStream: 4, Type: chunk.TypeAudio, Stream: c.Stream, Timestamp: timestamp, Payload: payload})
}

// Expect reads messages until one is accepted. Set Chunk Size is followed on the way.
func (c *Client) Expect(accept func(m chunk.Message) bool) (chunk.Message, error) {
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return chunk.Message{}, err
	}
	for {
		m, err := c.in.Next()
		if err != nil {
			return m, err
		}
		if m.Type == chunk.TypeSetChunkSize && len(m.Payload) == 4 {
			if err := c.in.SetSize(binary.BigEndian.Uint32(m.Payload)); err != nil {
				return m, err
			}
		}
		if accept(m) {
			return m, nil
		}
	}
}

// Reply reads until a command of one of the names, or an error status, and returns the command's values.
func (c *Client) Reply(names ...string) ([]any, error) {
	var values []any
	_, err := c.Expect(func(m chunk.Message) bool {
		if m.Type != chunk.TypeCommandAMF0 {
			return false
		}
		v, err := amf.Decode(m.Payload)
		if err != nil || len(v) < 1 {
			return false
		}
		values = v
		if statusOf(v) != nil {
			return true
		}
		for _, name := range names {
			if v[0] == name {
				return true
			}
		}
		return false
	})
	if err != nil {
		return nil, err
	}
	if status := statusOf(values); status != nil {
		return values, status
	}
	return values, nil
}

// statusOf is the error that a command carries; nil where it carries none.
func statusOf(values []any) error {
	if len(values) < 4 {
		return nil
	}
	info, _ := values[3].(amf.Object)
	if info.Get("level") != "error" {
		return nil
	}
	code, _ := info.Get("code").(string)
	text, _ := info.Get("description").(string)
	return &StatusError{Code: code, Description: text}
}

// Connect sends connect with some more properties than are needed, as encoders do.
func (c *Client) Connect(app string, more ...amf.Property) error {
	o := amf.Object{
		{Key: "app", Value: app},
		{Key: "type", Value: "nonprivate"},
		{Key: "flashVer", Value: "FMLE/3.0 (rtmptest)"},
		{Key: "tcUrl", Value: "rtmp://localhost/" + app},
	}
	if err := c.Command(0, "connect", 1.0, append(o, more...)); err != nil {
		return err
	}
	_, err := c.Reply("_result")
	return err
}

// Publish sends what follows connect, up to the answer of publish.
func (c *Client) Publish(key string) error {
	for i, name := range []string{"releaseStream", "FCPublish"} {
		if err := c.Command(0, name, float64(2+i), nil, key); err != nil {
			return err
		}
	}
	if err := c.Command(0, "createStream", 4.0, nil); err != nil {
		return err
	}
	for c.Stream == 0 {
		values, err := c.Reply("_result")
		if err != nil {
			return err
		}
		if id, ok := values[3].(float64); ok && values[1] == 4.0 {
			c.Stream = uint32(id)
		}
	}
	if err := c.Command(c.Stream, "publish", 5.0, nil, key, "live"); err != nil {
		return err
	}
	_, err := c.Reply("onStatus")
	return err
}

// Dialed is Dial, Connect and Publish to rtmp://address/live/key.
func Dialed(ctx context.Context, address, key string, config *tls.Config) (*Client, error) {
	c, err := Dial(ctx, address, config)
	if err != nil {
		return nil, err
	}
	if err := c.Connect("live"); err == nil {
		err = c.Publish(key)
		if err == nil {
			return c, nil
		}
		_ = c.Close() // the first error counts
		return nil, err
	}
	_ = c.Close() // the first error counts
	return nil, err
}
