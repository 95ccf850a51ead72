package e2e

import (
	"cmp"
	"flag"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var serveOn = flag.String("serve", "", "address to serve the fixture on until the test's time is over, for looking at the page")

// TestServeFixture is a workbench, not a check: go test ./web/e2e -run TestServeFixture -serve 127.0.0.1:9090 -timeout 1h
func TestServeFixture(t *testing.T) {
	if *serveOn == "" {
		t.Skip("-serve is not given")
	}
	f := newFixture(t, clip(t), largeRungs)
	f.start("demo", "Big Buck Bunny, round the clock", 83*time.Minute)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", *serveOn)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: f, ReadHeaderTimeout: 5 * time.Second}
	t.Logf("http://%s", listener.Addr())
	t.Log(server.Serve(listener))
}

// clip is the real sample video, or "" where there is none.
func clip(tb testing.TB) string {
	tb.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		tb.Fatal(err)
	}
	path := cmp.Or(os.Getenv("NOVA_CLIP"), filepath.Join(cache, "nova", "clip", "video.mp4"))
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}
