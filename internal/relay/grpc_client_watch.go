package relay

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"connectrpc.com/connect"

	"nova/internal/obs"
	mediav1 "nova/internal/pb/nova/media/v1"
)

// Backoff of a watch that lost its server.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 5 * time.Second
)

// Watch implements Source. While the server is away nothing is reported; when it is back, the streams that are gone
// are reported as ended.
func (c *Client) Watch(ctx context.Context) <-chan Event {
	w := &clientWatch{client: c, events: make(chan Event), told: make(map[string]Info)}
	// Owns: w.told and the sending side of w.events.
	// Ends when: ctx ends.
	// Waited for by: the caller, who sees the channel closed.
	go w.runWatch(ctx)
	return w.events
}

type clientWatch struct {
	// set by Watch
	client *Client
	events chan Event

	// owned by runWatch
	told    map[string]Info
	backoff time.Duration
}

func (w *clientWatch) runWatch(ctx context.Context) {
	defer close(w.events)
	for ctx.Err() == nil {
		err := w.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		w.backoff = min(max(2*w.backoff, minBackoff), maxBackoff)
		wait := w.backoff/2 + rand.N(w.backoff/2) //nolint:gosec // spreads the clients of a server that comes back, no secret
		w.client.log.Warn("lost the hub, trying again", "wait", wait, obs.Err(err))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// follow watches over one connection until it breaks.
func (w *clientWatch) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := w.client.rpc.Watch(ctx, connect.NewRequest(&mediav1.WatchRequest{}))
	if err != nil {
		cancel()
		return err
	}
	defer func() {
		cancel()
		_ = stream.Close() // cancelled: it has nothing to say
	}()
	for stream.Receive() {
		if err := w.take(ctx, stream.Msg()); err != nil {
			return err
		}
	}
	if err := stream.Err(); err != nil {
		return err
	}
	return errors.New("the server ended the watch")
}

// take turns one message into the events that the caller does not know yet.
func (w *clientWatch) take(ctx context.Context, m *mediav1.WatchResponse) error {
	switch v := m.GetChange().(type) {
	case *mediav1.WatchResponse_Snapshot:
		w.backoff = 0
		live := make(map[string]Info, len(v.Snapshot.GetLive()))
		for _, info := range v.Snapshot.GetLive() {
			live[info.GetStream()] = infoFromProto(info)
		}
		return w.tellAll(ctx, difference(w.told, live))
	case *mediav1.WatchResponse_Live:
		return w.tellAll(ctx, w.began(infoFromProto(v.Live)))
	case *mediav1.WatchResponse_Ended:
		info := infoFromProto(v.Ended)
		if old, ok := w.told[info.Stream]; ok && old.Session == info.Session {
			return w.tellAll(ctx, []Event{{Info: old}})
		}
	}
	return nil
}

// began is what to tell of a session that is live: nothing where that is known.
func (w *clientWatch) began(info Info) []Event {
	old, ok := w.told[info.Stream]
	switch {
	case !ok:
		return []Event{{Info: info, Live: true}}
	case old.Session != info.Session:
		return []Event{{Info: old}, {Info: info, Live: true}}
	default:
		return nil
	}
}

func (w *clientWatch) tellAll(ctx context.Context, events []Event) error {
	for _, e := range events {
		select {
		case w.events <- e:
		case <-ctx.Done():
			return ctx.Err()
		}
		if e.Live {
			w.told[e.Info.Stream] = e.Info
		} else {
			delete(w.told, e.Info.Stream)
		}
	}
	return nil
}
