package ingest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.yaml.in/yaml/v3"

	"nova/ingest/auth"
	"nova/ingest/rtmp/rtmptest"
	"nova/internal/media"
	"nova/internal/obs"
	"nova/internal/relay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const key = "sk-very-secret"

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

// keyFile holds one key, for the stream "demo".
func keyFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.yaml")
	text := "- {key_sha256: " + auth.HashKey(key) + ", stream: demo, title: A demo}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// start runs an ingest until the test ends, and checks that its log and its metrics hide the key.
func start(t *testing.T, change func(*Config)) *Ingest {
	t.Helper()
	cfg := DefaultConfig()
	cfg.RTMP.Address = "127.0.0.1:0"
	change(&cfg)
	log, reg := &journal{}, prometheus.NewRegistry()
	i, err := New(cfg, obs.NewLogger(log, slog.LevelDebug), reg)
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- i.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		families, err := reg.Gather()
		if err != nil {
			t.Error(err)
		}
		for _, f := range families {
			if strings.Contains(f.String(), "very-secret") {
				t.Errorf("the key is in metric %s", f.GetName())
			}
		}
		if strings.Contains(log.String(), "very-secret") {
			t.Errorf("the key is in the log:\n%s", log)
		}
	})
	return i
}

// follow subscribes to a stream as soon as it is live.
func follow(t *testing.T, i *Ingest, stream string) relay.Reader {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for event := range i.Source().Watch(ctx) {
		if event.Live && event.Info.Stream == stream {
			r, err := i.Source().Subscribe(t.Context(), stream, relay.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(r.Close)
			return r
		}
	}
	t.Fatalf("stream %s did not go live", stream)
	return nil
}

// collect reads a session to its end.
func collect(t *testing.T, r relay.Reader) (tracks []media.Track, units []*media.AccessUnit) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		item, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			return tracks, units
		}
		if err != nil {
			t.Fatal(err)
		}
		if item.Tracks != nil {
			tracks = item.Tracks
		} else {
			units = append(units, item.Unit)
		}
	}
}

// A publish by ffmpeg comes out of the source as access units on one timeline.
func TestFFmpegToSource(t *testing.T) {
	ffmpeg, err := exec.LookPath(cmp.Or(os.Getenv("NOVA_FFMPEG"), "ffmpeg"))
	if err != nil {
		t.Skip("no ffmpeg: set NOVA_FFMPEG")
	}
	i := start(t, func(c *Config) { c.Auth.File = keyFile(t) })
	cmd := exec.CommandContext(t.Context(), ffmpeg, "-v", "error", "-re",
		"-f", "lavfi", "-i", "testsrc2=s=320x240:r=25", "-f", "lavfi", "-i", "sine=440:sample_rate=48000", "-t", "2",
		"-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "25", "-c:a", "aac", "-ac", "2",
		"-f", "flv", "rtmp://"+i.RTMPAddr().String()+"/live/"+key)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := follow(t, i, "demo")
	if info := r.Info(); info.Title != "A demo" || info.Session == "" {
		t.Errorf("info %+v", info)
	}
	if s := i.Hub().Streams(); len(s) != 1 || s[0].Stream != "demo" || s[0].Protocol != "rtmp" {
		t.Errorf("statistics %+v", s)
	}
	tracks, units := collect(t, r)
	if err := cmd.Wait(); err != nil {
		t.Errorf("ffmpeg: %v\n%s", err, &stderr)
	}
	if len(tracks) != 2 {
		t.Fatalf("tracks %+v", tracks)
	}
	last, count, keys := map[int]int64{}, map[int]int{}, 0
	for _, u := range units {
		if before, ok := last[u.Track]; ok && u.DTS <= before || u.PTS < u.DTS {
			t.Fatalf("track %d: dts %d behind %d, pts %d", u.Track, u.DTS, before, u.PTS)
		}
		last[u.Track] = u.DTS
		count[u.Track]++
		if u.Track == 1 && u.Key {
			keys++
		}
	}
	if count[1] != 50 || count[2] < 90 || keys != 2 {
		t.Errorf("%d pictures with %d keyframes, %d sounds", count[1], keys, count[2])
	}
	if seconds := float64(last[1]) / 90000; seconds < 1.9 || seconds > 2.2 {
		t.Errorf("the last picture is at %.3f s", seconds)
	}
	if n := len(i.Hub().Streams()); n != 0 {
		t.Errorf("%d streams after the end", n)
	}
}

func TestCallbackAuthorizes(t *testing.T) {
	var calls sync.Map
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Store(r.PostFormValue("call"), r.PostFormValue("name"))
		if r.PostFormValue("name") != key {
			w.WriteHeader(http.StatusForbidden)
		}
		w.Header().Set(auth.HeaderStream, "named")
	}))
	defer server.Close()
	i := start(t, func(c *Config) {
		c.Auth.Callback.URL, c.Auth.Callback.DoneURL = server.URL, server.URL
	})
	address := i.RTMPAddr().String()
	var refused *rtmptest.StatusError
	if _, err := rtmptest.Dialed(t.Context(), address, "other", nil); !errors.As(err, &refused) {
		t.Errorf("another key: %v", err)
	}
	c, err := rtmptest.Dialed(t.Context(), address, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s := i.Hub().Streams(); len(s) != 1 || s[0].Stream != "named" {
		t.Errorf("streams %+v", s)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for limit := time.Now().Add(10 * time.Second); ; {
		if name, ok := calls.Load("publish_done"); ok {
			if name != key {
				t.Errorf("told of the end of %v", name)
			}
			return
		}
		if time.Now().After(limit) {
			t.Fatal("the callback was not told of the end")
		}
	}
}

// Without a file and a callback, nobody may publish.
func TestNobodyByDefault(t *testing.T) {
	i := start(t, func(*Config) {})
	var refused *rtmptest.StatusError
	if _, err := rtmptest.Dialed(t.Context(), i.RTMPAddr().String(), key, nil); !errors.As(err, &refused) {
		t.Error(err)
	}
	if i.RTMPSAddr() != nil {
		t.Error("RTMPS listens without a certificate")
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := DefaultConfig()
	cfg.RTMP.Address = l.Addr().String()
	i, err := New(cfg, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	err = i.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()) || !strings.Contains(err.Error(), "in use") {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Config){
		"rtmp.apps":             func(c *Config) { c.RTMP.Apps = nil },
		"auth.callback.timeout": func(c *Config) { c.Auth.Callback.Timeout = 0 },
		"auth.throttle.burst":   func(c *Config) { c.Auth.Throttle.Burst = 0 },
		"hub.health.max_gop":    func(c *Config) { c.Hub.Health.MaxGOP = 0 },
		"auth.file":             func(c *Config) { c.Auth.File = "missing.yaml" },
	} {
		c := DefaultConfig()
		change(&c)
		if _, err := New(c, slog.New(slog.DiscardHandler), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// FuzzConfig feeds the YAML form of the configuration: whatever it says is refused by name, or makes an ingest.
func FuzzConfig(f *testing.F) {
	f.Add("rtmp: {address: ':1935', apps: [live], max_connections: 3}")
	f.Add("auth: {file: keys.yaml, throttle: {burst: 0}}")
	f.Add("rtmp: {setup_timeout: 10s, tls: {certificate: a, key: b}}")
	f.Fuzz(func(t *testing.T, text string) {
		cfg := DefaultConfig()
		d := yaml.NewDecoder(strings.NewReader(text))
		d.KnownFields(true)
		if d.Decode(&cfg) != nil || cfg.Auth.File != "" {
			return
		}
		if _, err := New(cfg, slog.New(slog.DiscardHandler), nil); (err == nil) != (cfg.Validate() == nil) {
			t.Fatalf("New: %v, Validate: %v", err, cfg.Validate())
		}
	})
}
