package rtmp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"nova/ingest/auth"
	"nova/ingest/hub"
	"nova/ingest/rtmp/rtmptest"
	"nova/internal/media"
	"nova/internal/obs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The keys that the test server takes. The streams are named stream-a and so on.
const (
	keyA   = "sk-aaaa-very-secret"
	keyB   = "sk-bbbb-very-secret"
	secret = "very-secret"
)

// keys grants each key its stream. A key that begins with "wrong" is denied, "broken" is a backend that is away.
type keys struct {
	mu   sync.Mutex
	done []string
}

func (k *keys) AuthorizePublish(_ context.Context, req auth.Request) (auth.Grant, error) {
	switch {
	case strings.HasPrefix(req.Key, "wrong"):
		return auth.Grant{}, auth.ErrDenied
	case strings.HasPrefix(req.Key, "broken"):
		return auth.Grant{}, errors.New("backend is away")
	}
	return auth.Grant{Stream: "stream-" + req.Key[3:4], Title: "Title"}, nil
}

func (k *keys) PublishDone(_ context.Context, _ auth.Request, grant auth.Grant) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.done = append(k.done, grant.Stream)
	return nil
}

// recorder is a hub that keeps what it gets.
type recorder struct {
	mu      sync.Mutex
	changed chan struct{}
	all     map[string][]*recording
}

// recording is one publication.
type recording struct {
	*recorder
	pub     hub.Publication
	tracks  [][]media.Track
	samples []hub.Sample
	closed  bool
	reason  error
	stopped bool // as by hub.Stop
}

func newRecorder() *recorder {
	return &recorder{changed: make(chan struct{}), all: map[string][]*recording{}}
}

// touch wakes those that wait. The caller holds mu.
func (r *recorder) touch() {
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *recorder) Publish(pub hub.Publication) (Publisher, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if list := r.all[pub.Stream]; len(list) > 0 && !list[len(list)-1].closed {
		return nil, fmt.Errorf("stream %q: %w", pub.Stream, hub.ErrBusy)
	}
	p := &recording{recorder: r, pub: pub}
	r.all[pub.Stream] = append(r.all[pub.Stream], p)
	r.touch()
	return p, nil
}

func (p *recording) SetTracks(tracks []media.Track) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tracks = append(p.tracks, tracks)
	p.touch()
}

func (p *recording) Write(s hub.Sample) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped || p.closed {
		return hub.ErrEnded
	}
	p.samples = append(p.samples, s)
	p.touch()
	return nil
}

func (p *recording) Close(reason error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed, p.reason = true, reason
	p.touch()
}

// wait returns the stream's latest publication once it is as ok wants it. ok is called under the recorder's lock.
func (r *recorder) wait(t *testing.T, stream, what string, ok func(p *recording) bool) *recording {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		r.mu.Lock()
		var last *recording
		if list := r.all[stream]; len(list) > 0 {
			last = list[len(list)-1]
		}
		if last != nil && ok(last) {
			r.mu.Unlock()
			return last
		}
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-limit:
			r.mu.Lock()
			defer r.mu.Unlock()
			if last == nil {
				t.Fatalf("stream %s: no publication while waiting for %s", stream, what)
			}
			t.Fatalf("stream %s: no %s: %d track lists, %d samples, closed %v (%v)", stream, what, len(last.tracks), len(last.samples), last.closed, last.reason)
		}
	}
}

func (r *recorder) waitSamples(t *testing.T, stream string, n int) []hub.Sample {
	t.Helper()
	p := r.wait(t, stream, fmt.Sprint(n, " samples"), func(p *recording) bool { return len(p.samples) >= n })
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]hub.Sample{}, p.samples...)
}

func (r *recorder) waitClosed(t *testing.T, stream string) *recording {
	t.Helper()
	return r.wait(t, stream, "end", func(p *recording) bool { return p.closed })
}

// journal is a log that tests read.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// bench is a running server with what it needs.
type bench struct {
	*recorder
	server  *Server
	keys    *keys
	journal *journal
	reg     *prometheus.Registry
	address string
	secure  string
	stop    func()
}

// serve runs a server until the test ends, and then checks that no key is in its log or its metrics.
func serve(t *testing.T, change func(*Config)) *bench {
	t.Helper()
	return serveWith(t, nil, change)
}

func serveWith(t *testing.T, a auth.Authorizer, change func(*Config)) *bench {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Address = "127.0.0.1:0"
	cfg.TLS.Address = "127.0.0.1:0"
	if change != nil {
		change(&cfg)
	}
	b := &bench{recorder: newRecorder(), keys: &keys{}, journal: &journal{}, reg: prometheus.NewRegistry()}
	if a == nil {
		a = b.keys
	}
	var err error
	if b.server, err = New(cfg, b.recorder, a, obs.NewLogger(b.journal, slog.LevelDebug), b.reg); err != nil {
		t.Fatal(err)
	}
	if err := b.server.Listen(); err != nil {
		t.Fatal(err)
	}
	if a := b.server.Addr("rtmp"); a != nil {
		b.address = a.String()
	}
	if a := b.server.Addr("rtmps"); a != nil {
		b.secure = a.String()
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.server.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() {
		b.stop()
		b.checkNoSecret(t)
	})
	return b
}

func (b *bench) checkNoSecret(t *testing.T) {
	t.Helper()
	if text := b.journal.String(); strings.Contains(text, secret) {
		t.Errorf("a stream key is in the log:\n%s", text)
	}
	families, err := b.reg.Gather()
	if err != nil {
		t.Error(err)
	}
	for _, f := range families {
		if strings.Contains(f.String(), secret) {
			t.Errorf("a stream key is in the metric %s", f.GetName())
		}
	}
}

// count is the sum of a counter's or gauge's children with a label of this value; of all where value is "".
func (b *bench) count(t *testing.T, name, value string) float64 {
	t.Helper()
	families, err := b.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != "nova_ingest_rtmp_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			if value == "" || len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == value {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// publish is a client that has been accepted. It is closed at the test's end.
func (b *bench) publish(t *testing.T, key string) *rtmptest.Client {
	t.Helper()
	c, err := rtmptest.Dialed(t.Context(), b.address, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// dial is a client that has shaken hands.
func (b *bench) dial(t *testing.T) *rtmptest.Client {
	t.Helper()
	c, err := rtmptest.Dial(t.Context(), b.address, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// begin sends both configurations and a keyframe: the least that makes a stream of two samples.
func begin(t *testing.T, c *rtmptest.Client, at uint32) {
	t.Helper()
	must(t,
		c.Video(at, rtmptest.AVCConfig(rtmptest.SPS240, rtmptest.PPS240)),
		c.Audio(at, rtmptest.AACConfig(rtmptest.StereoASC)),
		c.Video(at, rtmptest.AVCFrame(true, 0, rtmptest.IDR(0x10, 300))),
		c.Audio(at, rtmptest.AACFrame(0x21, 100)),
	)
}

// status is the code of a refusal; "" where err is none.
func status(err error) string {
	var s *rtmptest.StatusError
	if errors.As(err, &s) {
		return s.Code
	}
	return ""
}
