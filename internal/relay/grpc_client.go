package relay

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"connectrpc.com/connect"

	"nova/internal/obs"
	mediav1 "nova/internal/pb/nova/media/v1"
	"nova/internal/pb/nova/media/v1/mediav1connect"
)

// Client is the Source of a hub elsewhere. Safe for concurrent use; each subscription is a stream of its own.
type Client struct {
	rpc mediav1connect.RelayClient
	log *slog.Logger
}

// NewClient reads from the server at baseURL ("http://host:port"). NewHTTPClient makes a fitting hc.
func NewClient(hc connect.HTTPClient, baseURL string, log *slog.Logger, opts ...connect.ClientOption) *Client {
	opts = append([]connect.ClientOption{
		connect.WithGRPC(),
		connect.WithReadMaxBytes(MaxMessage),
		connect.WithAcceptCompression("gzip", nil, nil), // media does not compress
	}, opts...)
	return &Client{
		rpc: mediav1connect.NewRelayClient(hc, baseURL, opts...),
		log: log.With(obs.KeyComp, "relay", "server", baseURL),
	}
}

// Subscribe implements Source. It returns when the server has answered; ctx is not used beyond that.
func (c *Client) Subscribe(ctx context.Context, stream string, opts Options) (Reader, error) {
	r, err := c.subscribe(ctx, stream, opts)
	if err == nil {
		return r, nil
	}
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case connect.CodeOf(err) == connect.CodeNotFound:
		err = ErrNotFound
	}
	return nil, fmt.Errorf("cannot subscribe to stream %q: %w", stream, err)
}

func (c *Client) subscribe(ctx context.Context, stream string, opts Options) (*clientReader, error) {
	// The call outlives ctx, which only bounds the way to the first answer.
	callCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	giveUp := context.AfterFunc(ctx, cancel)
	r, err := c.open(callCtx, stream, opts)
	if err != nil {
		giveUp()
		cancel()
		return nil, err
	}
	r.cancel = cancel
	if !giveUp() {
		_ = r.stream.Close() // cancelled: it has nothing to say
		return nil, ctx.Err()
	}
	// Owns: r.stream and r.dec.
	// Ends when: the call ends or Close cancels it.
	// Waited for by: Close.
	go r.runReceive()
	return r, nil
}

// open calls the server and reads the info.
func (c *Client) open(ctx context.Context, stream string, opts Options) (*clientReader, error) {
	call, err := c.rpc.Subscribe(ctx, connect.NewRequest(&mediav1.SubscribeRequest{
		Stream:   stream,
		Tracks:   opts.Tracks,
		MaxUnits: uint32(max(opts.MaxUnits, 0)),
		MaxBytes: uint64(max(opts.MaxBytes, 0)),
	}))
	if err != nil {
		return nil, err
	}
	r := &clientReader{stream: call, feed: newFeed(), done: make(chan struct{})}
	if !call.Receive() {
		err := call.Err()
		_ = call.Close() // the call has ended
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if _, _, err := r.dec.message(call.Msg()); err != nil {
		_ = call.Close() // ctx is about to be cancelled
		return nil, err
	}
	r.info = r.dec.info
	return r, nil
}

// clientReader is one subscription. Its ring is the server's: what this end does not fetch piles up there.
type clientReader struct {
	// set by subscribe
	info   Info
	stream *connect.ServerStreamForClient[mediav1.SubscribeResponse]
	cancel context.CancelFunc
	feed   *feed
	done   chan struct{} // closed when runReceive has returned

	// owned by runReceive
	dec fromProto
}

// Info implements Reader.
func (r *clientReader) Info() Info { return r.info }

// Next implements Reader.
func (r *clientReader) Next(ctx context.Context) (Item, error) { return r.feed.next(ctx) }

// Close implements Reader.
func (r *clientReader) Close() {
	r.feed.close()
	r.cancel()
	<-r.done
}

func (r *clientReader) runReceive() {
	defer close(r.done)
	r.feed.runFeed(r.receive)
	r.cancel()
	_ = r.stream.Close() // the call is cancelled or has ended
}

// receive reads up to the next item.
func (r *clientReader) receive() (Item, error) {
	for r.stream.Receive() {
		item, ok, err := r.dec.message(r.stream.Msg())
		if err != nil {
			return Item{}, fmt.Errorf("cannot read stream %q: %w", r.info.Stream, err)
		}
		if ok {
			return item, nil
		}
	}
	if err := r.stream.Err(); err != nil {
		return Item{}, fmt.Errorf("cannot read stream %q: %w: %w", r.info.Stream, io.ErrUnexpectedEOF, notEOF{err})
	}
	return Item{}, io.EOF
}

// notEOF keeps an error's text and hides what it wraps: a broken connection may wrap io.EOF, which would look like
// the proper end of a session.
type notEOF struct{ error }
