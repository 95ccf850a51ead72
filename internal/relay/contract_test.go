package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"nova/internal/media"
)

// backend is one way to a hub's streams. The contract below holds for each.
type backend struct {
	name string
	// connect returns a Source of what hub holds.
	connect func(t *testing.T, hub *Hub) Source
	// watches tells that the backend can watch.
	watches bool
}

var backends = []backend{
	{"local", func(_ *testing.T, hub *Hub) Source { return hub }, true},
	{"grpc", func(t *testing.T, hub *Hub) Source {
		client, _ := serveGRPC(t, hub)
		return client
	}, true},
	{"pipe", func(t *testing.T, hub *Hub) Source { return &pipeSource{t: t, hub: hub} }, false},
}

// serveGRPC is a client of a server of its own. stop ends the server with all its connections.
func serveGRPC(t *testing.T, hub *Hub) (client *Client, stop func()) {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(NewServer(hub))
	ctx, cancel := context.WithCancel(context.Background())
	srv := httptest.NewUnstartedServer(mux)
	srv.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	ConfigureServer(srv.Config)
	srv.Start()
	hc := NewHTTPClient()
	stop = sync.OnceFunc(func() {
		cancel()
		srv.CloseClientConnections()
		hc.CloseIdleConnections()
		srv.Close()
	})
	t.Cleanup(stop)
	return NewClient(hc, srv.URL, discard), stop
}

// pipeSource sends each subscription through a pipe of the operating system.
type pipeSource struct {
	t   *testing.T
	hub *Hub
}

func (p *pipeSource) Subscribe(ctx context.Context, stream string, opts Options) (Reader, error) {
	from, err := p.hub.Subscribe(ctx, stream, opts)
	if err != nil {
		return nil, err
	}
	in, out, err := os.Pipe()
	if err != nil {
		from.Close()
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer out.Close()
		w := NewWriter(out)
		err := w.WriteInfo(from.Info())
		for err == nil {
			var item Item
			if item, err = from.Next(context.Background()); err == nil {
				err = w.WriteItem(item)
			}
		}
	}()
	p.t.Cleanup(func() {
		from.Close()
		in.Close()
		<-done
	})
	r := NewReader(in, Limits{})
	if _, err := r.ReadInfo(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

func (p *pipeSource) Watch(context.Context) <-chan Event { panic("a pipe carries one stream") }

// eachBackend runs the test over each backend.
func eachBackend(t *testing.T, test func(t *testing.T, hub *Hub, src Source)) {
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			hub := newTestHub(t)
			test(t, hub, b.connect(t, hub))
		})
	}
}

func subscribe(t *testing.T, src Source, stream string, opts Options) Reader {
	t.Helper()
	r, err := src.Subscribe(within(t), stream, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func TestContractOrder(t *testing.T) {
	eachBackend(t, func(t *testing.T, hub *Hub, src Source) {
		s := openStream(t, hub, "demo")
		r := subscribe(t, src, "demo", Options{})
		if got := r.Info(); got.Stream != "demo" || got.Session != s.Info().Session || got.Title != "A title" ||
			!got.Start.Equal(s.Info().Start) {
			t.Errorf("info %+v, want %+v", got, s.Info())
		}
		s.SetTracks(avTracks)
		w := writer{stream: s, gop: 10}
		w.write(50)
		more := slices.Concat(avTracks, []media.Track{{ID: 3, Kind: media.Image, Name: media.Poster, Timescale: 90000}})
		s.SetTracks(more)
		w.write(50)
		s.Close()

		items := readAll(t, r)
		if len(items) != 102 {
			t.Fatalf("%d items, want two track lists and 100 units", len(items))
		}
		if !reflect.DeepEqual(items[0].Tracks, avTracks) || !reflect.DeepEqual(items[51].Tracks, more) {
			t.Errorf("track lists %v and %v are not where they were set", items[0].Tracks, items[51].Tracks)
		}
		for i, u := range units(items) {
			if want := w.unit(i); !reflect.DeepEqual(u, want) {
				t.Fatalf("unit %d is %+v, want %+v", i, u, want)
			}
		}
	})
}

func TestContractConfigIsSharedByUnits(t *testing.T) {
	eachBackend(t, func(t *testing.T, hub *Hub, src Source) {
		s := openStream(t, hub, "demo")
		r := subscribe(t, src, "demo", Options{})
		s.SetTracks(avTracks)
		changed := &media.CodecConfig{Codec: media.H264, Width: 640, Height: 360, SPS: [][]byte{{9}}}
		w := writer{stream: s, gop: 1}
		for i, c := range []*media.CodecConfig{videoConfig, videoConfig, changed, changed, nil} {
			u := w.unit(2 * i)
			u.Config = c
			s.Write(u)
		}
		s.Close()
		got := units(readAll(t, r))
		if got[0].Config != got[1].Config || got[2].Config != got[3].Config || got[1].Config == got[2].Config {
			t.Error("a configuration must stay the same pointer until it changes")
		}
		if !reflect.DeepEqual(got[0].Config, videoConfig) || !reflect.DeepEqual(got[2].Config, changed) || got[4].Config != nil {
			t.Errorf("configurations %+v, %+v, %+v", got[0].Config, got[2].Config, got[4].Config)
		}
	})
}

func TestContractJoinBeginsWithTheLastGOP(t *testing.T) {
	eachBackend(t, func(t *testing.T, hub *Hub, src Source) {
		s := openStream(t, hub, "demo")
		s.SetTracks(avTracks)
		w := writer{stream: s, gop: 10}
		w.write(25*2 + 1) // 25 whole pictures with their sound, and one picture: the last keyframe is picture 20
		r := subscribe(t, src, "demo", Options{})
		w.write(9)
		s.Close()
		items := readAll(t, r)
		if !reflect.DeepEqual(items[0].Tracks, avTracks) {
			t.Errorf("begins with %+v, want the track list", items[0])
		}
		for i, u := range units(items) {
			if number(u) != 40+i {
				t.Fatalf("unit %d has number %d, want %d", i, number(u), 40+i)
			}
		}
		if got := len(units(items)); got != 20 {
			t.Errorf("%d units, want those of picture 20 to 29", got)
		}
	})
}

func TestContractTrackFilter(t *testing.T) {
	eachBackend(t, func(t *testing.T, hub *Hub, src Source) {
		s := openStream(t, hub, "demo")
		s.SetTracks(avTracks)
		w := writer{stream: s, gop: 10}
		w.write(10)
		r := subscribe(t, src, "demo", Options{Tracks: []string{media.SourceAudio, "none"}})
		w.write(10)
		s.Close()
		items := readAll(t, r)
		if !reflect.DeepEqual(items[0].Tracks, avTracks[1:]) {
			t.Errorf("tracks %+v, want the sound alone", items[0].Tracks)
		}
		if got := len(units(items)); got != 10 {
			t.Errorf("%d units, want 10", got)
		}
		for _, u := range units(items) {
			if u.Track != 2 {
				t.Errorf("a unit of track %d", u.Track)
			}
		}
	})
}

// A slow reader gets whole groups of pictures, each unit that it does not get is counted where it is missing, and
// the other readers do not notice.
func TestContractSlowReaderLosesWholeGOPs(t *testing.T) {
	eachBackend(t, func(t *testing.T, hub *Hub, src Source) {
		s := openStream(t, hub, "demo")
		s.SetTracks(avTracks)
		slow := subscribe(t, src, "demo", Options{MaxUnits: 48})
		var fast [2][]Item
		var wg sync.WaitGroup
		for i := range fast {
			r := subscribe(t, src, "demo", Options{})
			wg.Go(func() { fast[i] = readAll(t, r) })
		}
		// More than the connection and the ring hold together, less than what a default ring holds.
		const n = 400
		w := writer{stream: s, gop: 10, size: 64 << 10}
		w.write(n)
		s.Close()
		wg.Wait()
		for _, items := range fast {
			if got := units(items); len(got) != n {
				t.Errorf("a fast reader got %d of %d units", len(got), n)
			}
		}
		checkLoss(t, readAll(t, slow), true)
	})
}

// checkLoss proves that each gap is announced with its exact size and ends with a keyframe.
func checkLoss(t *testing.T, items []Item, wantLoss bool) {
	t.Helper()
	next, total, behind := 0, 0, false
	for _, item := range items {
		next += item.Lost
		total += item.Lost
		behind = behind || item.Lost > 0
		if item.Unit == nil {
			continue
		}
		if got := number(item.Unit); got != next {
			t.Fatalf("unit %d, want %d: Lost is wrong", got, next)
		}
		if behind && (item.Unit.Track != 1 || !item.Unit.Key) {
			t.Fatalf("resumes with unit %d, which is no keyframe", number(item.Unit))
		}
		behind = false
		next++
	}
	if wantLoss && total == 0 {
		t.Error("nothing was lost: the test proves nothing")
	}
}

func TestContractNotFound(t *testing.T) {
	eachBackend(t, func(t *testing.T, hub *Hub, src Source) {
		openStream(t, hub, "over").Close()
		for _, id := range []string{"never", "over"} {
			if _, err := src.Subscribe(within(t), id, Options{}); !errors.Is(err, ErrNotFound) {
				t.Errorf("stream %q: %v, want ErrNotFound", id, err)
			}
		}
	})
}

func TestContractNextCanBeGivenUp(t *testing.T) {
	eachBackend(t, func(t *testing.T, hub *Hub, src Source) {
		s := openStream(t, hub, "demo")
		s.SetTracks(avTracks)
		r := subscribe(t, src, "demo", Options{})
		if _, err := r.Next(within(t)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := r.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Next returned %v, want the context's error", err)
		}
		w := writer{stream: s, gop: 1}
		w.write(2)
		s.Close()
		if got := len(readAll(t, r)); got != 2 {
			t.Errorf("%d items after giving up, want 2", got)
		}
	})
}

func TestContractClose(t *testing.T) {
	eachBackend(t, func(t *testing.T, hub *Hub, src Source) {
		s := openStream(t, hub, "demo")
		s.SetTracks(avTracks)
		r := subscribe(t, src, "demo", Options{})
		waiting := make(chan error)
		go func() {
			_, err := r.Next(context.Background()) // the track list
			for err == nil {
				_, err = r.Next(context.Background())
			}
			waiting <- err
		}()
		r.Close()
		r.Close()
		if err := <-waiting; !errors.Is(err, net.ErrClosed) {
			t.Errorf("a waiting Next returned %v, want net.ErrClosed", err)
		}
		if _, err := r.Next(within(t)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Next returned %v, want net.ErrClosed", err)
		}
	})
}

func TestContractEnd(t *testing.T) {
	eachBackend(t, func(t *testing.T, hub *Hub, src Source) {
		s := openStream(t, hub, "demo")
		r := subscribe(t, src, "demo", Options{})
		s.Close()
		for range 2 {
			if _, err := r.Next(within(t)); err != io.EOF { //nolint:errorlint // the end is the bare io.EOF
				t.Errorf("Next returned %v, want io.EOF", err)
			}
		}
	})
}

func TestContractWatch(t *testing.T) {
	for _, b := range backends {
		if !b.watches {
			continue
		}
		t.Run(b.name, func(t *testing.T) {
			hub := newTestHub(t)
			one := openStream(t, hub, "one")
			ctx, cancel := context.WithCancel(t.Context())
			events := b.connect(t, hub).Watch(ctx)
			expect := func(id string, live bool) {
				t.Helper()
				select {
				case e := <-events:
					if e.Info.Stream != id || e.Live != live {
						t.Fatalf("event %+v, want %q live=%v", e, id, live)
					}
				case <-within(t).Done():
					t.Fatalf("no event for %q", id)
				}
			}
			expect("one", true)
			two := openStream(t, hub, "two")
			expect("two", true)
			one.Close()
			expect("one", false)
			two.Close()
			openStream(t, hub, "two")
			cancel()
			for range events { // closed at last
			}
		})
	}
}
