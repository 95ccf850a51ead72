package rtmp

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nova/ingest/auth"
	"nova/ingest/rtmp/chunk"
	"nova/ingest/rtmp/rtmptest"
	"nova/internal/media"
)

func TestPublish(t *testing.T) {
	b := serve(t, nil)
	c := b.publish(t, keyA)
	begin(t, c, 1000)
	must(t, c.Video(1040, rtmptest.AVCFrame(false, 80, rtmptest.Slice(0x20, 200))))
	got := b.waitSamples(t, "stream-a", 3)
	p := b.wait(t, "stream-a", "publication", func(*recording) bool { return true })
	if p.pub.Title != "Title" || p.pub.Protocol != "rtmp" || p.pub.ClockRate != 1000 || p.pub.ClockBits != 32 {
		t.Errorf("publication %+v", p.pub)
	}
	tracks := p.tracks[0]
	if len(p.tracks) != 1 || len(tracks) != 2 {
		t.Fatalf("track lists %+v", p.tracks)
	}
	if v := tracks[0]; v.ID != 1 || v.Name != media.SourceVideo || v.Timescale != 90000 || v.Config.Width != 320 {
		t.Errorf("video track %+v", v)
	}
	if a := tracks[1]; a.ID != 2 || a.Name != media.SourceAudio || a.Timescale != 48000 || a.Config.Channels != 2 {
		t.Errorf("audio track %+v", a)
	}
	if s := got[0]; s.Track != 1 || s.Time != 1000 || !s.Key || s.Config != tracks[0].Config || time.Since(s.Arrived) > time.Minute ||
		!bytes.Equal(s.Data, rtmptest.NALs(rtmptest.IDR(0x10, 300))) {
		t.Errorf("first sample %+v", s)
	}
	if s := got[1]; s.Track != 2 || s.Time != 1000 || len(s.Data) != 100 || s.Config != tracks[1].Config {
		t.Errorf("second sample %+v", s)
	}
	if s := got[2]; s.Track != 1 || s.Time != 1040 || s.CompositionOffset != 80 || s.Key {
		t.Errorf("third sample %+v", s)
	}
}

// Each proper way to end is an end without a reason, and the authorizer hears of it.
func TestEnds(t *testing.T) {
	for name, end := range map[string]func(c *rtmptest.Client) error{
		"FCUnpublish":  func(c *rtmptest.Client) error { return c.Command(0, "FCUnpublish", 6.0, nil, keyA) },
		"deleteStream": func(c *rtmptest.Client) error { return c.Command(0, "deleteStream", 6.0, nil, float64(c.Stream)) },
		"deleteStream of another stream": func(c *rtmptest.Client) error {
			return c.Command(c.Stream, "deleteStream", 6.0, nil, 77.0)
		},
		"closeStream": func(c *rtmptest.Client) error { return c.Command(c.Stream, "closeStream", 6.0, nil) },
		"close":       func(c *rtmptest.Client) error { return c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			b := serve(t, nil)
			c := b.publish(t, keyA)
			begin(t, c, 0)
			b.waitSamples(t, "stream-a", 2)
			must(t, end(c))
			if p := b.waitClosed(t, "stream-a"); p.reason != nil || len(p.samples) != 2 {
				t.Errorf("%d samples, closed for %v", len(p.samples), p.reason)
			}
			b.stop()
			if len(b.keys.done) != 1 || b.keys.done[0] != "stream-a" {
				t.Errorf("the authorizer heard of %v", b.keys.done)
			}
			if b.count(t, "publishers", "") != 0 || b.count(t, "connections", "") != 0 {
				t.Error("gauges did not return to 0")
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		app, key     string
		code, reason string
	}{
		"wrong key":          {"live", "wrong-very-secret", "NetStream.Publish.Unauthorized", "key"},
		"wrong key, query":   {"live", "wrong-very-secret?x=very-secret", "NetStream.Publish.Unauthorized", "key"},
		"backend away":       {"live", "broken-very-secret", "NetStream.Publish.Failed", "authorizer"},
		"unknown app":        {"vod", keyA, "NetStream.Publish.BadName", "app"},
		"no key":             {"live", "", "NetStream.Publish.BadName", "name"},
		"nothing but query":  {"live", "?token=very-secret", "NetStream.Publish.BadName", "name"},
		"published by other": {"live", keyB, "NetStream.Publish.BadName", "busy"},
	} {
		t.Run(name, func(t *testing.T) {
			b := serve(t, nil)
			if c.reason == "busy" {
				b.publish(t, keyB)
			}
			client := b.dial(t)
			must(t, client.Connect(c.app))
			if err := client.Publish(c.key); status(err) != c.code {
				t.Errorf("got %v, want %s", err, c.code)
			}
			if _, err := client.Expect(func(chunk.Message) bool { return false }); !errors.Is(err, io.EOF) {
				t.Errorf("the connection was not closed: %v", err)
			}
			if n := b.count(t, "refused_total", c.reason); n != 1 {
				t.Errorf("%v refusals for %q", n, c.reason)
			}
			b.stop()
			if !strings.Contains(b.journal.String(), `"msg":"publish refused"`) {
				t.Errorf("no line in the log:\n%s", b.journal)
			}
		})
	}
}

func TestPlayIsRefused(t *testing.T) {
	b := serve(t, nil)
	c := b.dial(t)
	must(t, c.Connect("live"), c.Command(0, "createStream", 4.0, nil))
	if _, err := c.Reply("_result"); err != nil {
		t.Fatal(err)
	}
	must(t, c.Command(1, "play", 5.0, nil, keyA, -2.0, -1.0, true))
	if _, err := c.Reply("onStatus"); status(err) != "NetStream.Play.Failed" || !strings.Contains(err.Error(), "HLS") {
		t.Error(err)
	}
}

func TestOnePublishPerConnection(t *testing.T) {
	b := serve(t, nil)
	c := b.publish(t, keyA)
	begin(t, c, 0)
	b.waitSamples(t, "stream-a", 2)
	must(t, c.Command(0, "createStream", 8.0, nil), c.Command(2, "publish", 9.0, nil, keyB, "live"))
	if _, err := c.Reply("onStatus"); status(err) != "NetStream.Publish.BadName" {
		t.Error(err)
	}
	if p := b.waitClosed(t, "stream-a"); p.reason == nil {
		t.Error("ended without a reason")
	}
	if len(b.all["stream-b"]) != 0 {
		t.Error("the second publish began")
	}
}

// The hub may end a publication: the publisher is told and disconnected.
func TestHubStopsPublication(t *testing.T) {
	b := serve(t, nil)
	c := b.publish(t, keyA)
	begin(t, c, 0)
	p := b.wait(t, "stream-a", "samples", func(p *recording) bool { return len(p.samples) == 2 })
	b.mu.Lock()
	p.stopped = true
	b.mu.Unlock()
	must(t, c.Video(40, rtmptest.AVCFrame(false, 0, rtmptest.Slice(0x20, 20))))
	if _, err := c.Reply("onStatus"); status(err) != "NetStream.Publish.Failed" {
		t.Error(err)
	}
	b.waitClosed(t, "stream-a")
}

func TestThrottle(t *testing.T) {
	cfg := auth.DefaultThrottleConfig()
	cfg.Burst, cfg.Wait = 2, time.Hour
	cfg.MaxWait = time.Hour
	throttle, err := auth.NewThrottle(cfg, &keys{})
	must(t, err)
	b := serveWith(t, throttle, nil)
	for range 3 {
		if _, err := rtmptest.Dialed(t.Context(), b.address, "wrong-very-secret", nil); status(err) != "NetStream.Publish.Unauthorized" {
			t.Fatal(err)
		}
	}
	if _, err := rtmptest.Dialed(t.Context(), b.address, keyA, nil); status(err) != "NetStream.Publish.Unauthorized" || !strings.Contains(err.Error(), "wait") {
		t.Errorf("a good key from a throttled address: %v", err)
	}
	if k, n := b.count(t, "refused_total", "key"), b.count(t, "refused_total", "throttled"); k != 3 || n != 1 {
		t.Errorf("%v wrong keys, %v throttled", k, n)
	}
}

// A name may carry a query, as OBS and ffmpeg send what follows the key in the address.
func TestKeyForms(t *testing.T) {
	for name, want := range map[string]string{
		"abc": "abc", "abc?x=1": "abc", "/abc": "abc", "abc/?a=b?c": "abc", "?x": "", " ": "", "a/b": "a/b",
	} {
		if got := streamKey(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	b := serve(t, nil)
	c := b.dial(t)
	must(t, c.Connect("live/?token=very-secret"), c.Publish(keyA+"?token=very-secret"))
	begin(t, c, 0)
	b.waitSamples(t, "stream-a", 2)
}

// certificateFiles writes a self-made certificate for 127.0.0.1 and returns its pool.
func certificateFiles(t *testing.T) (certificate, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nova test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	must(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	parsed, err := x509.ParseCertificate(der)
	must(t, err)
	pool = x509.NewCertPool()
	pool.AddCert(parsed)
	dir := t.TempDir()
	certificate, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	must(t,
		os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600),
	)
	return certificate, key, pool
}

func TestRTMPS(t *testing.T) {
	certificate, key, pool := certificateFiles(t)
	b := serve(t, func(c *Config) { c.TLS.Certificate, c.TLS.Key = certificate, key })
	c, err := rtmptest.Dialed(t.Context(), b.secure, keyA, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"})
	must(t, err)
	defer c.Close()
	begin(t, c, 0)
	b.waitSamples(t, "stream-a", 2)
	if p := b.all["stream-a"][0]; p.pub.Protocol != "rtmps" {
		t.Errorf("protocol %q", p.pub.Protocol)
	}
	if _, err := rtmptest.Dial(t.Context(), b.secure, nil); err == nil {
		t.Error("plain RTMP on the TLS port was taken")
	}
	if _, err := rtmptest.Dial(t.Context(), b.address, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}); err == nil {
		t.Error("TLS on the plain port was taken")
	}
	b.stop()
	if !strings.Contains(b.journal.String(), "TLS on the plain port") {
		t.Errorf("no hint in the log:\n%s", b.journal)
	}
}

// A renewed certificate is used without a restart; broken files leave the old one in use.
func TestCertificateReload(t *testing.T) {
	file, key, _ := certificateFiles(t)
	c, err := newCertificate(TLSConfig{Certificate: file, Key: key}, serve(t, nil).server.log)
	must(t, err)
	first, err := c.get(nil)
	must(t, err)
	must(t, os.WriteFile(file, []byte("broken"), 0o600), os.Chtimes(file, time.Time{}, time.Now().Add(time.Minute)))
	if second, err := c.get(nil); err != nil || second != first {
		t.Errorf("broken file: %v, %v", second, err)
	}
	file2, key2, _ := certificateFiles(t)
	for i, files := range [][2]string{{file2, file}, {key2, key}} { // a handshake may fall between the two
		if between, err := c.get(nil); err != nil || between != first {
			t.Errorf("before file %d: %v", i, err)
		}
		text, err := os.ReadFile(files[0])
		must(t, err, os.WriteFile(files[1], text, 0o600), os.Chtimes(files[1], time.Time{}, time.Now().Add(time.Duration(i+2)*time.Minute)))
	}
	if third, err := c.get(nil); err != nil || third == first {
		t.Errorf("renewed file: %v", err)
	}
	if _, err := newCertificate(TLSConfig{Certificate: "missing.pem", Key: key}, c.log); err == nil || !strings.Contains(err.Error(), "tls.certificate") {
		t.Error(err)
	}
}

func TestConnectionLimits(t *testing.T) {
	b := serve(t, func(c *Config) { c.MaxConnectionsPerIP = 2 })
	first := b.dial(t)
	b.dial(t)
	if _, err := rtmptest.Dial(t.Context(), b.address, nil); err == nil {
		t.Fatal("the third connection was taken")
	}
	if n := b.count(t, "refused_total", "connections_per_ip"); n != 1 {
		t.Errorf("%v refusals", n)
	}
	// A place that was given back is free again. The server notices the close in its own time.
	must(t, first.Close())
	for limit := time.Now().Add(10 * time.Second); ; {
		c, err := rtmptest.Dial(t.Context(), b.address, nil)
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(limit) {
			t.Fatal("the place was not given back")
		}
	}
}

func TestLimiterTotal(t *testing.T) {
	l := newLimiter(2, 2)
	a, c := auth.Network(addressOf(fakeConn("192.0.2.1:1"))), auth.Network(addressOf(fakeConn("[2001:db8::1]:1")))
	for i, want := range []string{"", "", refusedConnections} {
		if got := l.take(a); i < 2 && got != want {
			t.Errorf("take %d: %q", i, got)
		}
	}
	if got := l.take(c); got != refusedConnections {
		t.Errorf("over the total: %q", got)
	}
	l.give(a)
	if got := l.take(c); got != "" {
		t.Errorf("a place that was given back: %q", got)
	}
	if got := addressOf(fakeConn("pipe")); got.IsValid() {
		t.Errorf("address of a pipe: %v", got)
	}
}

// fakeConn is a connection from an address.
type fakeConn string

func (f fakeConn) Network() string      { return "tcp" }
func (f fakeConn) String() string       { return string(f) }
func (f fakeConn) RemoteAddr() net.Addr { return f }

func (fakeConn) Read([]byte) (int, error)         { return 0, io.EOF }
func (fakeConn) Write(p []byte) (int, error)      { return len(p), nil }
func (fakeConn) Close() error                     { return nil }
func (fakeConn) LocalAddr() net.Addr              { return nil }
func (fakeConn) SetDeadline(time.Time) error      { return nil }
func (fakeConn) SetReadDeadline(time.Time) error  { return nil }
func (fakeConn) SetWriteDeadline(time.Time) error { return nil }

// Stopping ends publications without a reason, tells publishers, and returns.
func TestStop(t *testing.T) {
	b := serve(t, nil)
	c := b.publish(t, keyA)
	begin(t, c, 0)
	b.waitSamples(t, "stream-a", 2)
	idle := b.dial(t)
	b.stop()
	if p := b.waitClosed(t, "stream-a"); p.reason != nil {
		t.Errorf("ended for %v", p.reason)
	}
	values, err := c.Reply("onStatus")
	if err != nil || !strings.Contains(fmt.Sprint(values...), "server is stopping") {
		t.Errorf("the publisher was told %v, %v", values, err)
	}
	if _, err := idle.Read(make([]byte, 1)); err == nil {
		t.Error("an idle connection was left open")
	}
	if _, err := net.DialTimeout("tcp", b.address, time.Second); err == nil {
		t.Error("still listening")
	}
}

func TestPortInUse(t *testing.T) {
	b := serve(t, nil)
	cfg := DefaultConfig()
	cfg.Address = b.address
	s, err := New(cfg, b.recorder, b.keys, b.server.log, nil)
	must(t, err)
	err = s.Run(context.Background())
	_, port, _ := net.SplitHostPort(b.address)
	if err == nil || !strings.Contains(err.Error(), port) || !strings.Contains(err.Error(), "set rtmp.address to another port") {
		t.Errorf("got %v", err)
	}
}

func TestValidate(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Fatal(err)
	}
	for field, change := range map[string]func(*Config){
		"address":                func(c *Config) { c.Address = "" },
		"address:":               func(c *Config) { c.Address = "1935" },
		"tls":                    func(c *Config) { c.TLS.Certificate = "cert.pem" },
		"tls.address":            func(c *Config) { c.TLS = TLSConfig{Address: "1", Certificate: "c", Key: "k"} },
		"apps":                   func(c *Config) { c.Apps = nil },
		"max_connections":        func(c *Config) { c.MaxConnections = 0 },
		"max_connections_per_ip": func(c *Config) { c.MaxConnectionsPerIP = 0 },
		"max_message":            func(c *Config) { c.MaxMessage = 1 << 24 },
		"setup_timeout":          func(c *Config) { c.SetupTimeout = 0 },
		"media_timeout":          func(c *Config) { c.MediaTimeout = 2 * time.Hour },
		"write_timeout":          func(c *Config) { c.WriteTimeout = -1 },
		"track_wait":             func(c *Config) { c.TrackWait = 0 },
	} {
		c := DefaultConfig()
		change(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), field) {
			t.Errorf("%s: got %v", field, err)
		}
		if _, err := New(c, newRecorder(), &keys{}, nil, nil); err == nil {
			t.Errorf("%s: New took it", field)
		}
	}
}
