package e2e

import (
	"bytes"
	"cmp"
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestPages runs pages.mjs in Chromium against the fixture. NOVA_SHOTS names a folder that keeps the screenshots.
func TestPages(t *testing.T) {
	needBrowser(t)
	f := newFixture(t, "", smallRungs)
	f.start("demo", "Demo", 85*time.Minute)
	server := httptest.NewServer(f)
	defer server.Close()
	runScript(t, "pages.mjs", server.URL, os.Getenv("NOVA_SHOTS"))
}

// TestWatch keeps watch.mjs itself honest: it passes on a stream that plays and fails where there is none.
func TestWatch(t *testing.T) {
	needBrowser(t)
	f := newFixture(t, "", smallRungs)
	f.start("demo", "Demo", 85*time.Minute)
	server := httptest.NewServer(f)
	defer server.Close()
	runScript(t, "watch.mjs", server.URL, "demo", "3", t.TempDir())

	out, err := script(t, "watch.mjs", server.URL, "nobody", "1", "", "--start=2")
	if err == nil || !bytes.Contains(out, []byte(`"ok":false`)) {
		t.Errorf("watch.mjs passed without a stream: %s", out)
	}
}

// needBrowser skips where the set-up has not run: no page, no npm packages, no browser.
func needBrowser(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a browser")
	}
	browser := cmp.Or(os.Getenv("NOVA_CHROMIUM"), "/usr/bin/chromium")
	for _, path := range []string{"../dist/index.html", "../node_modules/playwright-core", browser} {
		if _, err := os.Stat(filepath.FromSlash(path)); err != nil {
			t.Skipf("needs %s: run make test", path)
		}
	}
}

func runScript(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := script(t, name, args...)
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func script(t *testing.T, name string, args ...string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	return exec.CommandContext(ctx, "node", append([]string{name}, args...)...).CombinedOutput()
}
