package relay

import (
	"context"
	"errors"
	"io"
	"net/http"

	"connectrpc.com/connect"

	mediav1 "nova/internal/pb/nova/media/v1"
	"nova/internal/pb/nova/media/v1/mediav1connect"
)

// Offer is what a server hands out. A *Hub is one.
type Offer interface {
	Source
	// Follow is what is live now, and what changes from there on, as Watch sends it: no change can fall in between.
	Follow(ctx context.Context) (live []Info, changes <-chan Event)
}

// The bounds of the ring that a remote reader may ask for: a few times the defaults, so that one request cannot take
// the hub's memory.
const (
	maxRemoteUnits = 4 * DefaultMaxUnits
	maxRemoteBytes = 4 * DefaultMaxBytes
)

// maxRequest bounds a request in bytes: a stream's id and the names of some tracks.
const maxRequest = 64 << 10

// NewServer serves src over gRPC (and the Connect protocol). Mount the handler under the path; the server has to
// speak HTTP/2, see ConfigureServer. A call ends when its session ends, or with the server's base context.
func NewServer(src Offer, opts ...connect.HandlerOption) (path string, handler http.Handler) {
	opts = append([]connect.HandlerOption{
		connect.WithCompression("gzip", nil, nil), // media does not compress: refuse what clients offer by default
		connect.WithReadMaxBytes(maxRequest),
	}, opts...)
	return mediav1connect.NewRelayHandler(&server{src: src}, opts...)
}

type server struct{ src Offer }

// Subscribe implements mediav1connect.RelayHandler.
func (s *server) Subscribe(
	ctx context.Context,
	req *connect.Request[mediav1.SubscribeRequest],
	stream *connect.ServerStream[mediav1.SubscribeResponse],
) error {
	r, err := s.src.Subscribe(ctx, req.Msg.GetStream(), Options{
		Tracks:   req.Msg.GetTracks(),
		MaxUnits: int(min(req.Msg.GetMaxUnits(), maxRemoteUnits)),
		MaxBytes: int(min(req.Msg.GetMaxBytes(), maxRemoteBytes)),
	})
	if err != nil {
		return toConnect(err)
	}
	defer r.Close()
	enc := newToProto()
	if err := sendAll(stream, enc.info(r.Info())); err != nil {
		return err
	}
	for {
		item, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return toConnect(err)
		}
		messages, err := enc.item(item)
		if err != nil {
			return toConnect(err)
		}
		if err := sendAll(stream, messages); err != nil {
			return err
		}
	}
}

func sendAll(stream *connect.ServerStream[mediav1.SubscribeResponse], messages []*mediav1.SubscribeResponse) error {
	for _, m := range messages {
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	return nil
}

// Watch implements mediav1connect.RelayHandler.
func (s *server) Watch(
	ctx context.Context,
	_ *connect.Request[mediav1.WatchRequest],
	stream *connect.ServerStream[mediav1.WatchResponse],
) error {
	ctx, cancel := context.WithCancel(ctx)
	live, events := s.src.Follow(ctx)
	defer func() {
		cancel()
		for range events { // until the watcher has returned
		}
	}()
	snapshot := &mediav1.Snapshot{Live: infosToProto(live)}
	if err := stream.Send(&mediav1.WatchResponse{Change: &mediav1.WatchResponse_Snapshot{Snapshot: snapshot}}); err != nil {
		return err
	}
	for e := range events {
		m := &mediav1.WatchResponse{Change: &mediav1.WatchResponse_Ended{Ended: infoToProto(e.Info)}}
		if e.Live {
			m.Change = &mediav1.WatchResponse_Live{Live: infoToProto(e.Info)}
		}
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return toConnect(err)
	}
	return nil
}

// toConnect is the code that a client maps back.
func toConnect(err error) error {
	switch {
	case errors.Is(err, ErrNotFound):
		return connect.NewError(connect.CodeNotFound, err)
	case errors.Is(err, context.DeadlineExceeded):
		return connect.NewError(connect.CodeDeadlineExceeded, err)
	default:
		return connect.NewError(connect.CodeUnavailable, err)
	}
}
