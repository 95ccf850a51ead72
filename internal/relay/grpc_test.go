package relay

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	"nova/internal/media"
)

func TestClientTellsABrokenConnectionFromTheEnd(t *testing.T) {
	hub := newTestHub(t)
	s := openStream(t, hub, "demo")
	s.SetTracks(avTracks)
	client, stop := serveGRPC(t, hub)
	r := subscribe(t, client, "demo", Options{})
	if _, err := r.Next(within(t)); err != nil {
		t.Fatal(err)
	}
	stop()
	for range 2 {
		_, err := r.Next(within(t))
		if !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			t.Errorf("Next: %v, want io.ErrUnexpectedEOF", err)
		}
	}
}

func TestClientWithoutAServer(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	url := srv.URL
	srv.Close()
	hc := NewHTTPClient()
	defer hc.CloseIdleConnections()
	client := NewClient(hc, url, discard)
	if _, err := client.Subscribe(within(t), "demo", Options{}); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("Subscribe: %v, want an error that is not ErrNotFound", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Subscribe(ctx, "demo", Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Subscribe: %v, want the context's error", err)
	}
}

// offer is a hub that the test exchanges under a running server's address.
type offer struct{ hub atomic.Pointer[Hub] }

func (o *offer) Subscribe(ctx context.Context, id string, opts Options) (Reader, error) {
	return o.hub.Load().Subscribe(ctx, id, opts)
}
func (o *offer) Watch(ctx context.Context) <-chan Event { return o.hub.Load().Watch(ctx) }
func (o *offer) Follow(ctx context.Context) ([]Info, <-chan Event) {
	return o.hub.Load().Follow(ctx)
}

// A watch outlives its server, and tells what changed while it was away: "gone" ended, "new" began, "anew" did both,
// and "same" is not mentioned.
func TestClientWatchReconnects(t *testing.T) {
	before, after := newTestHub(t), newTestHub(t)
	for _, id := range []string{"gone", "anew", "same"} {
		openStream(t, before, id)
	}
	openStream(t, after, "same")
	openStream(t, after, "new")
	if _, err := after.Open(Info{Stream: "anew", Session: "second"}); err != nil {
		t.Fatal(err)
	}

	src := &offer{}
	src.hub.Store(before)
	path, handler := NewServer(src)
	mux := http.NewServeMux()
	mux.Handle(path, handler)
	srv := httptest.NewUnstartedServer(mux)
	ConfigureServer(srv.Config)
	srv.Start()
	defer srv.Close()
	hc := NewHTTPClient()
	defer hc.CloseIdleConnections()
	ctx, cancel := context.WithCancel(t.Context())
	events := NewClient(hc, srv.URL, discard).Watch(ctx)

	next := func() Event {
		t.Helper()
		select {
		case e := <-events:
			return e
		case <-within(t).Done():
			t.Fatal("no event")
			return Event{}
		}
	}
	for range 3 {
		if e := next(); !e.Live {
			t.Fatalf("event %+v before anything ended", e)
		}
	}
	src.hub.Store(after)
	srv.CloseClientConnections()
	got := map[string]int{}
	for range 4 {
		e := next()
		kind := "ended "
		if e.Live {
			kind = "live "
		}
		got[kind+e.Info.Stream+" "+e.Info.Session]++
	}
	for _, want := range []string{
		"ended gone session-of-gone", "ended anew session-of-anew", "live anew second", "live new session-of-new",
	} {
		if got[want] != 1 {
			t.Errorf("events %v, want %q once", got, want)
		}
	}
	cancel()
	for e := range events {
		t.Errorf("one more event: %+v", e)
	}
}

func TestServerRefusesLongRequests(t *testing.T) {
	hub := newTestHub(t)
	openStream(t, hub, "demo")
	client, _ := serveGRPC(t, hub)
	_, err := client.Subscribe(within(t), "demo", Options{Tracks: []string{strings.Repeat("x", maxRequest)}})
	if connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("Subscribe: %v", err)
	}
}

func TestServerBoundsWhatARemoteReaderMayAskFor(t *testing.T) {
	hub := newTestHub(t)
	openStream(t, hub, "demo")
	client, _ := serveGRPC(t, hub)
	subscribe(t, client, "demo", Options{MaxUnits: 1 << 30, MaxBytes: 1 << 40})
	s := hub.mu.streams["demo"]
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.mu.readers[0]; r.maxUnits != maxRemoteUnits || r.maxBytes != maxRemoteBytes {
		t.Errorf("a ring of %d units and %d bytes", r.maxUnits, r.maxBytes)
	}
}

// The largest unit that a hub takes passes the message limit of the connection.
func TestClientGetsTheLargestUnit(t *testing.T) {
	hub := newTestHub(t)
	s := openStream(t, hub, "demo")
	s.SetTracks(avTracks)
	client, _ := serveGRPC(t, hub)
	r := subscribe(t, client, "demo", Options{})
	s.Write(&media.AccessUnit{Track: 1, Key: true, Data: make([]byte, MaxUnit), Arrived: time.Now()})
	s.Close()
	if got := units(readAll(t, r)); len(got) != 1 || len(got[0].Data) != MaxUnit {
		t.Errorf("%d units", len(got))
	}
}
