package blob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"nova/internal/blob"
	"nova/internal/devstack/devstacktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(devstacktest.Main(m)) }

func put(t *testing.T, b *blob.Bucket, key, body string) {
	t.Helper()
	if err := b.Put(t.Context(), key, []byte(body), blob.PutOptions{ContentType: "text/plain"}); err != nil {
		t.Fatal(err)
	}
}

func TestPutGetHead(t *testing.T) {
	b := devstacktest.Bucket(t)
	body := bytes.Repeat([]byte("0123456789"), 300_000) // large enough for the SDK to ask before it sends
	opts := blob.PutOptions{ContentType: "video/mp4", CacheControl: "public, max-age=31536000, immutable"}
	opts.Metadata = map[string]string{"segment": `{"seconds":2.5}`}
	if err := b.Put(t.Context(), "a/b/c.m4s", body, opts); err != nil {
		t.Fatal(err)
	}
	info, err := b.Head(t.Context(), "a/b/c.m4s")
	if err != nil {
		t.Fatal(err)
	}
	if info.Metadata["segment"] != opts.Metadata["segment"] {
		t.Errorf("metadata %q", info.Metadata)
	}
	data, got, err := b.ReadAll(t.Context(), "a/b/c.m4s", 4<<20)
	if err != nil || !bytes.Equal(data, body) {
		t.Fatalf("read %d bytes, want %d, error %v", len(data), len(body), err)
	}
	for name, info := range map[string]blob.Info{"head": info, "get": got} {
		if info.Key != "a/b/c.m4s" || info.Size != 3e6 || info.ContentType != opts.ContentType ||
			info.CacheControl != opts.CacheControl || len(info.ETag) < 10 || time.Since(info.Modified) > time.Minute {
			t.Errorf("%s says %+v", name, info)
		}
	}
	if _, _, err := b.ReadAll(t.Context(), "a/b/c.m4s", 3e6-1); err == nil {
		t.Error("a limit below the object's size must fail")
	}
}

func TestEmptyObject(t *testing.T) {
	b := devstacktest.Bucket(t)
	put(t, b, "empty", "")
	data, info, err := b.ReadAll(t.Context(), "empty", 10)
	if err != nil || len(data) != 0 || info.Size != 0 {
		t.Fatalf("read %q, %+v, %v", data, info, err)
	}
}

func TestRange(t *testing.T) {
	b := devstacktest.Bucket(t)
	put(t, b, "digits", "0123456789")
	for _, c := range []struct {
		rng  blob.Range
		want string
	}{
		{blob.Range{}, "0123456789"},
		{blob.Range{Offset: 3, Length: 4}, "3456"},
		{blob.Range{Offset: 7}, "789"},
		{blob.Range{Length: 1}, "0"},
		{blob.Range{Offset: 8, Length: 100}, "89"},
	} {
		object, err := b.Get(t.Context(), "digits", c.rng)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(object.Body)
		object.Body.Close()
		if err != nil || string(got) != c.want || object.Length != int64(len(c.want)) || object.Size != 10 {
			t.Errorf("range %+v gave %q, length %d, size %d, error %v", c.rng, got, object.Length, object.Size, err)
		}
	}
	if _, err := b.Get(t.Context(), "digits", blob.Range{Offset: 10}); !errors.Is(err, blob.ErrRange) {
		t.Errorf("past the end: %v", err)
	}
}

func TestNotFound(t *testing.T) {
	cfg := devstacktest.Config(t)
	b := devstacktest.Open(t, cfg)
	if _, err := b.Get(t.Context(), "none", blob.Range{}); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
	if _, err := b.Head(t.Context(), "none"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("head: %v", err)
	}
	if err := b.CheckReady(t.Context()); err != nil {
		t.Errorf("ready: %v", err)
	}
	cfg.Bucket = "no-such-bucket"
	missing, err := blob.New(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer missing.Close()
	if err := missing.CheckReady(t.Context()); err == nil {
		t.Error("a missing bucket must not be ready")
	}
	if _, err := missing.Get(t.Context(), "none", blob.Range{}); err == nil || errors.Is(err, blob.ErrNotFound) {
		t.Errorf("a missing bucket is not a missing object: %v", err)
	}
}

func listAll(t *testing.T, b *blob.Bucket, prefix, delimiter string) (keys, prefixes []string, pages int) {
	t.Helper()
	for page, err := range b.List(t.Context(), prefix, delimiter) {
		if err != nil {
			t.Fatal(err)
		}
		pages++
		for _, o := range page.Objects {
			keys = append(keys, o.Key)
		}
		prefixes = append(prefixes, page.Prefixes...)
	}
	return keys, prefixes, pages
}

func TestListAndDelete(t *testing.T) {
	cfg := devstacktest.Config(t)
	cfg.Prefix = "nova/"
	b := devstacktest.Open(t, cfg)
	for _, key := range []string{"vod/a/x", "vod/a/y", "vod/b/x", "vod/top", "other"} {
		put(t, b, key, key)
	}
	keys, prefixes, _ := listAll(t, b, "vod/", "")
	if want := []string{"vod/a/x", "vod/a/y", "vod/b/x", "vod/top"}; !slices.Equal(keys, want) || prefixes != nil {
		t.Errorf("listed %q %q, want %q", keys, prefixes, want)
	}
	keys, prefixes, _ = listAll(t, b, "vod/", "/")
	if !slices.Equal(keys, []string{"vod/top"}) || !slices.Equal(prefixes, []string{"vod/a/", "vod/b/"}) {
		t.Errorf("folders: %q %q", keys, prefixes)
	}
	if err := b.Delete(t.Context(), "vod/a/x", "vod/a/y", "vod/none"); err != nil {
		t.Fatal(err)
	}
	cfg.Prefix = ""
	keys, _, _ = listAll(t, devstacktest.Open(t, cfg), "", "")
	if want := []string{"nova/other", "nova/vod/b/x", "nova/vod/top"}; !slices.Equal(keys, want) {
		t.Errorf("left in the bucket: %q, want %q", keys, want)
	}
}

func TestListWalksPages(t *testing.T) {
	b := devstacktest.Bucket(t)
	var want []string
	var puts errgroup.Group
	puts.SetLimit(8)
	for i := range 1005 {
		key := fmt.Sprintf("k/%04d", i)
		want = append(want, key)
		puts.Go(func() error { return b.Put(t.Context(), key, nil, blob.PutOptions{}) })
	}
	if err := puts.Wait(); err != nil {
		t.Fatal(err)
	}
	keys, _, pages := listAll(t, b, "k/", "")
	if !slices.Equal(keys, want) || pages != 2 {
		t.Errorf("%d keys in %d pages, want 1005 in 2", len(keys), pages)
	}
	if err := b.Delete(t.Context(), want...); err != nil {
		t.Fatal(err)
	}
	if keys, _, _ := listAll(t, b, "", ""); len(keys) != 0 {
		t.Errorf("%d keys are left", len(keys))
	}
}

func TestWrongKeys(t *testing.T) {
	cfg := devstacktest.Config(t)
	file := filepath.Join(t.TempDir(), "credentials")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg.CredentialsFile = file
	if _, err := blob.New(t.Context(), cfg, nil); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("missing file: %v", err)
	}
	write("[default]\n")
	if _, err := blob.New(t.Context(), cfg, nil); err == nil || !strings.Contains(err.Error(), "no keys") {
		t.Errorf("empty profile: %v", err)
	}
	write("[default]\naws_access_key_id = NOBODY\naws_secret_access_key = wrongwrongwrong\n")
	b, err := blob.New(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.CheckReady(t.Context()); err == nil {
		t.Error("wrong keys must not be ready")
	} else if strings.Contains(err.Error(), "wrongwrongwrong") {
		t.Errorf("the error tells the secret: %v", err)
	}
}

// The environment's keys are the SDK's own chain; a named file wins over them.
func TestKeysFromEnvironment(t *testing.T) {
	cfg := devstacktest.Config(t)
	text, err := os.ReadFile(cfg.CredentialsFile)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(text)) // [default] name = value name = value
	t.Setenv("AWS_ACCESS_KEY_ID", lines[3])
	t.Setenv("AWS_SECRET_ACCESS_KEY", lines[6])
	named := cfg
	cfg.CredentialsFile = ""
	if err := devstacktest.Open(t, cfg).CheckReady(t.Context()); err != nil {
		t.Errorf("keys of the environment: %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "STRAY")
	if err := devstacktest.Open(t, named).CheckReady(t.Context()); err != nil {
		t.Errorf("a stray key of the environment beat the file: %v", err)
	}
}

// slowServer answers HEAD at once, sends the head of a body and then nothing, and never answers a PUT.
func slowServer(t *testing.T) blob.Config {
	t.Helper()
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Length", "10")
			_, _ = w.Write([]byte("half"))
			w.(http.Flusher).Flush()
		}
		<-release
	}))
	t.Cleanup(func() { close(release); server.Close() })
	t.Setenv("AWS_ACCESS_KEY_ID", "A")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "B")
	cfg := blob.DefaultConfig()
	cfg.Endpoint, cfg.Bucket, cfg.PathStyle = server.URL, "b", true
	cfg.Timeout, cfg.Attempts = 200*time.Millisecond, 1
	return cfg
}

func TestDeadlines(t *testing.T) {
	reg := prometheus.NewRegistry()
	b, err := blob.New(t.Context(), slowServer(t), reg)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Put(t.Context(), "k", []byte("x"), blob.PutOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("put: %v", err)
	}
	object, err := b.Get(t.Context(), "k", blob.Range{})
	if err != nil {
		t.Fatal(err)
	}
	defer object.Body.Close()
	data, err := io.ReadAll(object.Body)
	if string(data) != "half" || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a stalled body gave %q, %v", data, err)
	}
	want := `
# HELP nova_blob_requests_total Calls to S3 by operation and outcome: ok, an HTTP status, timeout, canceled or network.
# TYPE nova_blob_requests_total counter
nova_blob_requests_total{code="ok",op="get"} 1
nova_blob_requests_total{code="timeout",op="put"} 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "nova_blob_requests_total"); err != nil {
		t.Error(err)
	}
}

// Some compatible servers send no Content-Length: what comes is the object all the same.
func TestLengthIsNotStated(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("first "))
		w.(http.Flusher).Flush() // in chunks from here on
		_, _ = w.Write([]byte("second"))
	}))
	defer server.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "A")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "B")
	cfg := blob.DefaultConfig()
	cfg.Endpoint, cfg.Bucket, cfg.PathStyle = server.URL, "b", true
	b, err := blob.New(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	data, info, err := b.ReadAll(t.Context(), "k", 12)
	if string(data) != "first second" || info.Size != 12 || err != nil {
		t.Errorf("read %q of %d bytes, %v", data, info.Size, err)
	}
	if _, _, err := b.ReadAll(t.Context(), "k", 11); err == nil {
		t.Error("more than the limit was read")
	}
}

func TestTwoBucketsShareMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	cfg := devstacktest.Config(t)
	for range 2 {
		b, err := blob.New(t.Context(), cfg, reg)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		put(t, b, "k", "12345")
		if _, _, err := b.ReadAll(t.Context(), "k", 100); err != nil {
			t.Fatal(err)
		}
	}
	want := `
# HELP nova_blob_bytes_total Bytes of objects moved, by direction: put or get.
# TYPE nova_blob_bytes_total counter
nova_blob_bytes_total{direction="get"} 10
nova_blob_bytes_total{direction="put"} 10
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "nova_blob_bytes_total"); err != nil {
		t.Error(err)
	}
}

func TestConfigValidate(t *testing.T) {
	for field, change := range map[string]func(*blob.Config){
		"bucket":      func(c *blob.Config) { c.Bucket = "" },
		"region":      func(c *blob.Config) { c.Region = "" },
		"endpoint":    func(c *blob.Config) { c.Endpoint = "127.0.0.1:9000" },
		"prefix":      func(c *blob.Config) { c.Prefix = "/x" },
		"profile":     func(c *blob.Config) { c.CredentialsFile, c.Profile = "f", "" },
		"timeout":     func(c *blob.Config) { c.Timeout = 0 },
		"min_rate":    func(c *blob.Config) { c.MinRate = 0 },
		"attempts":    func(c *blob.Config) { c.Attempts = 0 },
		"connections": func(c *blob.Config) { c.Connections = 0 },
	} {
		cfg := blob.DefaultConfig()
		cfg.Bucket = "b"
		if err := cfg.Validate(); err != nil {
			t.Fatalf("the defaults with a bucket: %v", err)
		}
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), field+":") {
			t.Errorf("%s: %v", field, err)
		}
	}
	secret := blob.DefaultConfig()
	secret.Bucket, secret.Endpoint = "b", "http://me:hush@host"
	if err := secret.Validate(); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("endpoint with credentials: %v", err)
	}
}
