package auth

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

// fixed answers the same to everybody and counts.
type fixed struct {
	err   error
	asked int
	done  int
}

func (f *fixed) AuthorizePublish(context.Context, Request) (Grant, error) {
	f.asked++
	if f.err != nil {
		return Grant{}, f.err
	}
	return Grant{Stream: "s"}, nil
}

func (f *fixed) PublishDone(context.Context, Request, Grant) error {
	f.done++
	return f.err
}

func TestChain(t *testing.T) {
	away := errors.New("away")
	for name, c := range map[string]struct {
		chain Chain
		want  error
	}{
		"empty denies":                     {nil, ErrDenied},
		"all deny":                         {Chain{&fixed{err: ErrDenied}, &fixed{err: ErrDenied}}, ErrDenied},
		"a later grant":                    {Chain{&fixed{err: ErrDenied}, &fixed{}}, nil},
		"a grant behind one that is off":   {Chain{&fixed{err: away}, &fixed{}}, nil},
		"one that is off, one that denies": {Chain{&fixed{err: away}, &fixed{err: ErrDenied}}, away},
	} {
		grant, err := c.chain.AuthorizePublish(t.Context(), Request{Key: "k"})
		if !errors.Is(err, c.want) || (err == nil) != (grant.Stream == "s") {
			t.Errorf("%s: %+v, %v", name, grant, err)
		}
	}
	first, second := &fixed{}, &fixed{}
	if _, err := (Chain{first, second}).AuthorizePublish(t.Context(), Request{}); err != nil || second.asked != 0 {
		t.Error("asked on after a grant")
	}
}

// Who did not grant does not hear of the end, and so of the key: the callback's server is none of a file's keys'
// business.
func TestChainTellsTheOneThatGranted(t *testing.T) {
	denies, grants := &fixed{err: ErrDenied}, &fixed{}
	for name, c := range map[string]struct {
		chain Chain
		told  int
	}{
		"granted by the first":   {Chain{grants, denies}, 1},
		"granted by the second":  {Chain{denies, grants}, 1},
		"granted by one without": {Chain{deaf{}, grants}, 0},
	} {
		denies.done, grants.done = 0, 0
		grant, err := c.chain.AuthorizePublish(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		if err := Done(t.Context(), c.chain, request, grant); err != nil || grants.done != c.told || denies.done != 0 {
			t.Errorf("%s: told %d and %d times, %v", name, grants.done, denies.done, err)
		}
	}
}

// deaf grants and does not want to hear of the end.
type deaf struct{}

func (deaf) AuthorizePublish(context.Context, Request) (Grant, error) { return Grant{Stream: "s"}, nil }

func TestStreamIdentities(t *testing.T) {
	for id, good := range map[string]bool{
		"demo": true, "Ab-1_x": true, strings.Repeat("a", 64): true,
		"": false, "-a": false, "_a": false, "a/b": false, "a.b": false, "a b": false, "ä": false, strings.Repeat("a", 65): false, "a\n": false,
	} {
		if err := CheckStream(id); (err == nil) != good {
			t.Errorf("%q: %v", id, err)
		}
	}
	a, b := PublicID("key one"), PublicID("key two")
	if a == b || a != PublicID("key one") || CheckStream(a) != nil || strings.Contains(HashKey("key one"), a) {
		t.Errorf("public ids %q and %q", a, b)
	}
	if got := HashKey("abc"); got != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Errorf("HashKey: %s", got)
	}
}

func write(t *testing.T, path, text string, at time.Time) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, at, at)); err != nil {
		t.Fatal(err)
	}
}

func entry(key, stream string) string {
	return "- key_sha256: " + HashKey(key) + "\n  stream: " + stream + "\n  title: The " + stream + "\n"
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	start := time.Now().Add(-time.Hour)
	write(t, path, entry("one", "first")+entry("two", "second"), start)
	f, err := NewFile(path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	check := func(key string, want Grant, wantErr error) {
		t.Helper()
		if got, err := f.AuthorizePublish(t.Context(), Request{Key: key}); got != want || !errors.Is(err, wantErr) {
			t.Errorf("key %q: %+v, %v", key, got, err)
		}
	}
	check("one", Grant{Stream: "first", Title: "The first"}, nil)
	check("two", Grant{Stream: "second", Title: "The second"}, nil)
	check("three", Grant{}, ErrDenied)
	check("", Grant{}, ErrDenied)

	write(t, path, entry("three", "third"), start.Add(time.Minute))
	check("three", Grant{Stream: "third", Title: "The third"}, nil)
	check("one", Grant{}, ErrDenied)

	write(t, path, "- key_sha256: broken\n", start.Add(2*time.Minute))
	check("three", Grant{Stream: "third", Title: "The third"}, nil)

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	check("three", Grant{Stream: "third", Title: "The third"}, nil)

	write(t, path, "", start.Add(3*time.Minute))
	check("three", Grant{}, ErrDenied)
}

func TestFileErrorsNameTheEntry(t *testing.T) {
	hash := HashKey("very-secret")
	for text, want := range map[string]string{
		"- key_sha256: 12\n  stream: a\n":                                        "entry 1: key_sha256",
		entry("k", "a") + "- key_sha256: " + hash + "\n":                         "entry 2: stream",
		"- key_sha256: " + hash + "\n  stream: a/b\n":                            "entry 1: stream",
		"- key_sha256: " + hash + "\n  stream: a\n  key: very-secret\n":          "not a list of entries",
		"key_sha256: " + hash + "\n":                                             "not a list of entries",
		"- key_sha256: " + hash + "\n  stream: [" + strings.Repeat("[", 100_000): "not a list of entries",
	} {
		path := filepath.Join(t.TempDir(), "keys.yaml")
		write(t, path, text, time.Now())
		_, err := NewFile(path, quiet)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), hash) || strings.Contains(err.Error(), "very-secret") {
			t.Errorf("%.40q…: %v", text, err)
		}
	}
	if _, err := NewFile(filepath.Join(t.TempDir(), "none.yaml"), quiet); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// backend is an HTTP server that answers as told and keeps what it was asked.
type backend struct {
	*httptest.Server
	answer func(w http.ResponseWriter)
	form   url.Values
	header http.Header
	body   string
	path   string
}

func newBackend(t *testing.T) *backend {
	b := &backend{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		b.body, b.header, b.path = string(text), r.Header, r.URL.Path
		if b.form, err = url.ParseQuery(b.body); err != nil {
			t.Error(err)
		}
		b.answer(w)
	}))
	t.Cleanup(b.Close)
	return b
}

func newTestCallback(t *testing.T, b *backend) *Callback {
	t.Helper()
	cfg := DefaultCallbackConfig()
	cfg.URL, cfg.DoneURL, cfg.Secret = b.URL+"/on_publish", b.URL+"/done", "shared"
	c, err := NewCallback(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

var request = Request{Key: "k&y=1", App: "live", Protocol: "rtmp", RemoteIP: ip("192.0.2.7"), Agent: "FMLE/3.0", URL: "rtmp://host/live"}

func TestCallbackAnswers(t *testing.T) {
	b := newBackend(t)
	c := newTestCallback(t, b)
	public := PublicID(request.Key)
	temporary := errors.New("temporary")
	for name, v := range map[string]struct {
		code    int
		headers map[string]string
		body    string
		want    Grant
		err     error
	}{
		"200 alone":              {200, nil, "", Grant{Stream: public}, nil},
		"204":                    {204, nil, "", Grant{Stream: public}, nil},
		"headers":                {200, map[string]string{"X-Nova-Stream": "demo", "X-Nova-Title": "A demo"}, "", Grant{Stream: "demo", Title: "A demo"}, nil},
		"JSON":                   {200, map[string]string{"Content-Type": "application/json; charset=utf-8"}, `{"stream":"demo","title":"A demo","more":1}`, Grant{Stream: "demo", Title: "A demo"}, nil},
		"header before JSON":     {200, map[string]string{"Content-Type": "application/json", "X-Nova-Stream": "demo"}, `{"stream":"other"}`, Grant{Stream: "demo"}, nil},
		"text is no JSON":        {200, map[string]string{"Content-Type": "text/plain"}, `{"stream":"demo"}`, Grant{Stream: public}, nil},
		"broken JSON":            {200, map[string]string{"Content-Type": "application/json"}, `{"stream":`, Grant{}, temporary},
		"stream not valid":       {200, map[string]string{"X-Nova-Stream": "../etc"}, "", Grant{}, temporary},
		"long title is cut":      {200, map[string]string{"X-Nova-Title": strings.Repeat("x", 500)}, "", Grant{Stream: public, Title: strings.Repeat("x", 200)}, nil},
		"redirection renames":    {302, map[string]string{"Location": "demo"}, "", Grant{Stream: "demo"}, nil},
		"rename with a slash":    {301, map[string]string{"Location": "/demo"}, "", Grant{Stream: "demo"}, nil},
		"redirection elsewhere":  {302, map[string]string{"Location": "rtmp://other/live/x"}, "", Grant{}, temporary},
		"redirection to nowhere": {302, nil, "", Grant{}, temporary},
		"403":                    {403, nil, "", Grant{}, ErrDenied},
		"404":                    {404, nil, "", Grant{}, ErrDenied},
		"429":                    {429, nil, "", Grant{}, temporary},
		"500":                    {500, nil, "", Grant{}, temporary},
		"503":                    {503, nil, "", Grant{}, temporary},
	} {
		b.answer = func(w http.ResponseWriter) {
			for k, value := range v.headers {
				w.Header().Set(k, value)
			}
			w.WriteHeader(v.code)
			_, _ = io.WriteString(w, v.body)
		}
		got, err := c.AuthorizePublish(t.Context(), request)
		expected := errors.Is(err, v.err)
		if errors.Is(v.err, temporary) {
			expected = err != nil && !errors.Is(err, ErrDenied)
		}
		if !expected || got != v.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if err != nil && strings.Contains(err.Error(), request.Key) {
			t.Errorf("%s: the key is in the error", name)
		}
	}
}

func TestCallbackRequest(t *testing.T) {
	b := newBackend(t)
	c := newTestCallback(t, b)
	b.answer = func(w http.ResponseWriter) { w.WriteHeader(204) }
	if _, err := c.AuthorizePublish(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{
		"call": "publish", "app": "live", "name": "k&y=1", "addr": "192.0.2.7", "flashver": "FMLE/3.0", "tcurl": "rtmp://host/live",
	} {
		if got := b.form.Get(field); got != want {
			t.Errorf("%s: %q, want %q", field, got, want)
		}
	}
	if b.header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Error(b.header)
	}
	at := b.header.Get("X-Nova-Timestamp")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > time.Minute {
		t.Errorf("timestamp %q", at)
	}
	if got := b.header.Get("X-Nova-Signature"); got != Sign("shared", at, []byte(b.body)) || got == Sign("other", at, []byte(b.body)) {
		t.Errorf("signature %q", got)
	}
	if err := Done(t.Context(), c, request, Grant{}); err != nil || b.form.Get("call") != "publish_done" || b.path != "/done" {
		t.Errorf("done: %v %v %v", b.path, b.form, err)
	}
	b.answer = func(w http.ResponseWriter) { w.WriteHeader(500) }
	if err := Done(t.Context(), c, request, Grant{}); err == nil {
		t.Error("a failed notification went unnoticed")
	}
}

// Sign is fixed by what other programs compute: echo -ne "1700000000\nname=k" | openssl dgst -sha256 -hmac shared.
func TestSign(t *testing.T) {
	want := "sha256=51b464ab028cfc840840dba2e4bd936306725d6e9765cf542a0d14b895151042"
	if got := Sign("shared", "1700000000", []byte("name=k")); got != want {
		t.Errorf("got %s", got)
	}
}

func TestCallbackThatIsAway(t *testing.T) {
	b := newBackend(t)
	c := newTestCallback(t, b)
	release := make(chan struct{})
	b.answer = func(http.ResponseWriter) { <-release }
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.AuthorizePublish(ctx, request); err == nil || errors.Is(err, ErrDenied) {
		t.Error(err)
	}
	close(release)
	b.Close()
	c.cfg.URL += "?token=very-secret"
	if _, err := c.AuthorizePublish(t.Context(), request); err == nil || errors.Is(err, ErrDenied) || strings.Contains(err.Error(), "very-secret") {
		t.Error(err)
	}
}

func TestCallbackConfig(t *testing.T) {
	for want, change := range map[string]func(*CallbackConfig){
		"url":             func(c *CallbackConfig) { c.URL = "ftp://host/" },
		"done_url":        func(c *CallbackConfig) { c.URL, c.DoneURL = "http://host/", "host" },
		"done_url: needs": func(c *CallbackConfig) { c.DoneURL = "http://host/" },
		"timeout":         func(c *CallbackConfig) { c.Timeout = 0 },
	} {
		c := DefaultCallbackConfig()
		change(&c)
		if _, err := NewCallback(c); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := &fixed{err: ErrDenied}
		cfg := ThrottleConfig{Burst: 3, Refill: time.Minute, Wait: 2 * time.Second, MaxWait: 10 * time.Second, Addresses: 10}
		th, err := NewThrottle(cfg, next)
		if err != nil {
			t.Fatal(err)
		}
		ask := func(address string) error {
			_, err := th.AuthorizePublish(t.Context(), Request{Key: "k", RemoteIP: ip(address)})
			return err
		}
		expect := func(address string, want error) {
			t.Helper()
			if err := ask(address); !errors.Is(err, want) {
				t.Errorf("%s after %d questions: %v, want %v", address, next.asked, err, want)
			}
		}
		for range 4 { // three are free, the fourth starts the wait
			expect("192.0.2.1", ErrDenied)
		}
		expect("192.0.2.1", ErrThrottled)
		expect("192.0.2.2", ErrDenied)
		expect("::ffff:192.0.2.1", ErrThrottled)
		for _, seconds := range []int{2, 4, 8, 10, 10} { // doubles up to MaxWait
			time.Sleep(time.Duration(seconds)*time.Second - time.Millisecond) // the bubble's clock
			expect("192.0.2.1", ErrThrottled)
			time.Sleep(time.Millisecond)
			expect("192.0.2.1", ErrDenied)
		}
		asked := next.asked
		expect("192.0.2.1", ErrThrottled)
		if next.asked != asked {
			t.Error("a throttled attempt was asked about")
		}
		time.Sleep(3 * time.Minute) // all three are earned again
		for range 3 {
			expect("192.0.2.1", ErrDenied)
		}
	})
}

// A machine that never stops gets the longest wait each time: what it would have earned by keeping quiet is not earned
// by waiting.
func TestThrottleSlowsDownAMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := &fixed{err: ErrDenied}
		th, err := NewThrottle(DefaultThrottleConfig(), next)
		if err != nil {
			t.Fatal(err)
		}
		for range 24 * 60 * 60 {
			_, _ = th.AuthorizePublish(t.Context(), request)
			time.Sleep(time.Second) // the bubble's clock
		}
		if next.asked > 310 {
			t.Errorf("%d keys tried in a day", next.asked)
		}
	})
}

func TestThrottleCountsDenialsAlone(t *testing.T) {
	for _, answer := range []error{nil, errors.New("away")} {
		th, err := NewThrottle(DefaultThrottleConfig(), &fixed{err: answer})
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if _, err := th.AuthorizePublish(t.Context(), request); !errors.Is(err, answer) {
				t.Fatal(err)
			}
		}
		if n := len(th.mu.failures); n != 0 {
			t.Errorf("%d addresses remembered", n)
		}
	}
}

func TestThrottleMemoryIsBounded(t *testing.T) {
	cfg := DefaultThrottleConfig()
	cfg.Addresses, cfg.Burst = 100, 1
	th, err := NewThrottle(cfg, &fixed{err: ErrDenied})
	if err != nil {
		t.Fatal(err)
	}
	a := ip("10.0.0.0")
	for range 1000 {
		a = a.Next()
		_, _ = th.AuthorizePublish(t.Context(), Request{RemoteIP: a})
	}
	if len(th.mu.failures) != 100 || th.mu.order.Len() != 100 {
		t.Errorf("%d and %d addresses remembered", len(th.mu.failures), th.mu.order.Len())
	}
	if th.mu.failures[Network(a)] == nil {
		t.Error("the latest address was forgotten")
	}
}

func TestNetwork(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := Network(ip(in)).String(); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	if Network(netip.Addr{}).IsValid() {
		t.Error("an unknown address has a network")
	}
}

func TestThrottleConfig(t *testing.T) {
	for want, change := range map[string]func(*ThrottleConfig){
		"burst":     func(c *ThrottleConfig) { c.Burst = 0 },
		"refill":    func(c *ThrottleConfig) { c.Refill = 0 },
		"wait":      func(c *ThrottleConfig) { c.Wait = 0 },
		"max_wait":  func(c *ThrottleConfig) { c.MaxWait = time.Millisecond },
		"addresses": func(c *ThrottleConfig) { c.Addresses = 0 },
	} {
		c := DefaultThrottleConfig()
		change(&c)
		if _, err := NewThrottle(c, &fixed{}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte(entry("one", "first")))
	f.Add([]byte("- {key_sha256: 12, stream: a}"))
	f.Add([]byte("[[[["))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := parseKeys(text)
		if err != nil {
			return
		}
		for _, k := range keys {
			if len(k.hash) != 32 || CheckStream(k.grant.Stream) != nil {
				t.Fatalf("key %+v", k)
			}
		}
	})
}
