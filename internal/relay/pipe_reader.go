package relay

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	mediav1 "nova/internal/pb/nova/media/v1"
)

// Limits bound what a PipeReader takes from the other end.
type Limits struct {
	// MaxMessage is the largest message in bytes; 0 means MaxMessage, the constant.
	MaxMessage int
}

// PipeReader follows the session that a Writer sends over a pipe. It is a Reader, except that its ring is the pipe:
// a slow reader holds the writer up and loses nothing.
type PipeReader struct {
	// set by NewReader
	src  io.Reader
	in   *bufio.Reader
	max  int
	feed *feed
	done chan struct{} // closed when runRead has returned
	// known is closed when info is set, or never will be.
	known chan struct{}
	start sync.Once

	// owned by runRead
	dec fromProto
	buf bytes.Buffer

	// set by runRead before it closes known
	info Info
}

// NewReader reads from r, beginning with the first call of ReadInfo or Next. It owns r from here on: Close closes
// it where it is an io.Closer.
func NewReader(r io.Reader, limits Limits) *PipeReader {
	if limits.MaxMessage <= 0 {
		limits.MaxMessage = MaxMessage
	}
	return &PipeReader{
		src:   r,
		in:    bufio.NewReaderSize(r, 64<<10),
		max:   limits.MaxMessage,
		feed:  newFeed(),
		done:  make(chan struct{}),
		known: make(chan struct{}),
	}
}

// ReadInfo waits for the session's description, which is the first thing on the pipe.
func (r *PipeReader) ReadInfo(ctx context.Context) (Info, error) {
	r.begin()
	select {
	case <-r.known:
	case <-r.feed.closed:
	case <-ctx.Done():
		return Info{}, ctx.Err()
	}
	if info := r.Info(); info != (Info{}) {
		return info, nil
	}
	_, err := r.feed.next(ctx) // no item comes without an info
	return Info{}, err
}

// Info implements Reader. It is the zero Info until ReadInfo or Next has returned without an error.
func (r *PipeReader) Info() Info {
	select {
	case <-r.known:
		return r.info
	default:
		return Info{}
	}
}

// Next implements Reader. It returns io.EOF where the pipe ended between two messages, and io.ErrUnexpectedEOF
// where it ended within one.
func (r *PipeReader) Next(ctx context.Context) (Item, error) {
	r.begin()
	return r.feed.next(ctx)
}

// Close implements Reader. A read that is under way on a file that cannot be interrupted, such as standard input on
// a terminal, goes on until something arrives; Close does not wait for it then.
func (r *PipeReader) Close() {
	if !r.feed.close() {
		return
	}
	started := true
	r.start.Do(func() { started = false })
	interrupted := false
	if d, ok := r.src.(interface{ SetReadDeadline(time.Time) error }); ok {
		interrupted = d.SetReadDeadline(time.Unix(1, 0)) == nil
	}
	if c, ok := r.src.(io.Closer); ok {
		_ = c.Close() // nothing was written to it
	}
	if started && interrupted {
		<-r.done
	}
}

func (r *PipeReader) begin() {
	r.start.Do(func() {
		// Owns: r.in, r.dec and r.buf.
		// Ends when: the pipe ends or Close is called.
		// Waited for by: Close, where the pipe can be interrupted.
		go r.runRead()
	})
}

func (r *PipeReader) runRead() {
	defer close(r.done)
	defer r.publishInfo()
	r.feed.runFeed(r.receive)
}

// receive reads up to the next item.
func (r *PipeReader) receive() (Item, error) {
	for {
		m, err := r.readMessage()
		if err != nil {
			return Item{}, err
		}
		item, ok, err := r.dec.message(m)
		if err != nil {
			return Item{}, fmt.Errorf("cannot read from the pipe: %w", err)
		}
		r.publishInfo()
		if ok {
			return item, nil
		}
	}
}

// publishInfo lets Info see what the first message said, or that there was none.
func (r *PipeReader) publishInfo() {
	select {
	case <-r.known:
	default:
		r.info = r.dec.info
		close(r.known)
	}
}

// readMessage reads one length and one message. The buffer grows with what arrives, not with what is announced.
func (r *PipeReader) readMessage() (*mediav1.SubscribeResponse, error) {
	size, err := binary.ReadUvarint(r.in)
	if err != nil {
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		return nil, fmt.Errorf("cannot read a length from the pipe: %w", err)
	}
	if size > uint64(r.max) {
		return nil, fmt.Errorf("cannot read a message of %d bytes, the limit is %d", size, r.max)
	}
	r.buf.Reset()
	if n, err := io.CopyN(&r.buf, r.in, int64(size)); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("cannot read the pipe beyond byte %d of %d of a message: %w", n, size, err)
	}
	m := &mediav1.SubscribeResponse{}
	if err := proto.Unmarshal(r.buf.Bytes(), m); err != nil {
		return nil, fmt.Errorf("cannot read a message of %d bytes: %w", size, err)
	}
	return m, nil
}
