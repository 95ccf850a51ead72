package packager

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"nova/internal/relay"
)

// feed is one of the two hubs that a session reads.
type feed uint8

const (
	fromSource feed = iota
	fromRenditions
	feeds
)

// feedItem is one step of a feed. The first of a feed that opens is a track list.
type feedItem struct {
	feed feed
	item relay.Item
	// ended tells that the feed's stream is over; the renditions' may begin again.
	ended bool
}

// retryInterval is the pause before a broken connection to a hub is tried again.
const retryInterval = 500 * time.Millisecond

// errOtherSession tells that the hub is at another session of the stream.
var errOtherSession = errors.New("another session")

// runSource reads the source until the session ends. A connection that broke is tried again for as long as the
// renditions may take to drain.
func (s *session) runSource(ctx context.Context, running *sync.WaitGroup) {
	defer running.Done()
	last := time.Now()
	for ctx.Err() == nil {
		got, err := s.follow(ctx, s.p.ingest, fromSource)
		if got {
			last = time.Now()
		}
		if over(err) || time.Since(last) > s.p.cfg.DrainTimeout {
			break
		}
		sleep(ctx, retryInterval)
	}
	s.send(ctx, feedItem{feed: fromSource, ended: true})
}

// runRenditions reads the renditions whenever the transcoder offers them, until ctx ends.
func (s *session) runRenditions(ctx context.Context, running *sync.WaitGroup) {
	defer running.Done()
	for ctx.Err() == nil {
		got, err := s.follow(ctx, s.p.renditions, fromRenditions)
		if got {
			s.send(ctx, feedItem{feed: fromRenditions, ended: true})
		}
		if !over(err) {
			sleep(ctx, retryInterval)
			continue
		}
		select {
		case <-s.renditionsLive:
		case <-ctx.Done():
		}
	}
}

// over tells that the hub does not have the session any more, or not yet: not that it cannot be reached.
func over(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, relay.ErrNotFound) || errors.Is(err, errOtherSession)
}

// follow subscribes to the session's stream in a hub and sends on what it reads. It tells whether it got
// anything, and why it ended.
func (s *session) follow(ctx context.Context, source relay.Source, f feed) (got bool, err error) {
	r, err := source.Subscribe(ctx, s.info.Stream, relay.Options{})
	if err != nil {
		return false, err
	}
	defer r.Close()
	if r.Info().Session != s.info.Session {
		return false, errOtherSession
	}
	for {
		it, err := r.Next(ctx)
		if err != nil {
			return got, err
		}
		got = true
		if !s.send(ctx, feedItem{feed: f, item: it}) {
			return got, ctx.Err()
		}
	}
}

func (s *session) send(ctx context.Context, it feedItem) bool {
	select {
	case s.items <- it:
		return true
	case <-ctx.Done():
		return false
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
