package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

// built is a page as the build leaves it: a script in three forms, an index without compressed ones.
func built() fstest.MapFS {
	return fstest.MapFS{
		".gitkeep":           {Data: nil},
		"index.html":         {Data: []byte("<!doctype html>index")},
		"favicon.svg":        {Data: []byte("<svg/>")},
		"assets/app-1.js":    {Data: []byte("plain script")},
		"assets/app-1.js.br": {Data: []byte("brotli")},
		"assets/app-1.js.gz": {Data: []byte("gzip")},
	}
}

func get(t *testing.T, h http.Handler, method, path string, header ...string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	response := w.Result()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

func TestPathsAndCaching(t *testing.T) {
	t.Parallel()
	h := newHandler(built())
	const index = "<!doctype html>index"
	for _, test := range []struct {
		path, body, cache string
		status            int
	}{
		{"/", index, cacheAskEach, 200},
		{"/index.html", index, cacheAskEach, 200},
		{"/watch/demo", index, cacheAskEach, 200},
		{"/watch/demo.v2", index, cacheAskEach, 200},
		{"/recording/demo-1", index, cacheAskEach, 200},
		{"/some/other/view", index, cacheAskEach, 200},
		{"/favicon.svg", "<svg/>", cacheAskEach, 200},
		{"/assets/app-1.js", "plain script", cacheForGood, 200},
		{"/assets/../favicon.svg", "<svg/>", cacheAskEach, 200},
		{"/assets/app-2.js", "not found\n", cacheNever, 404},
		{"/assets/app-1.js.br", "not found\n", cacheNever, 404},
		{"/.gitkeep", "not found\n", cacheNever, 404},
		{"/favicon.ico", "not found\n", cacheNever, 404},
		{"/api/v2/nothing", "not found\n", cacheNever, 404},
		{"/hls/demo/nothing", "not found\n", cacheNever, 404},
		{"/vod", "not found\n", cacheNever, 404},
		{"/../../etc/passwd", index, cacheAskEach, 200}, // cleaned to /etc/passwd: a view that the page does not know
	} {
		response, body := get(t, h, "GET", test.path)
		if response.StatusCode != test.status || body != test.body || response.Header.Get("Cache-Control") != test.cache {
			t.Errorf("%s: %d %q %q, want %d %q %q", test.path,
				response.StatusCode, body, response.Header.Get("Cache-Control"), test.status, test.body, test.cache)
		}
	}
}

func TestContentCoding(t *testing.T) {
	t.Parallel()
	h := newHandler(built())
	tags := map[string]bool{}
	for _, test := range []struct{ accept, body, encoding string }{
		{"", "plain script", ""},
		{"br", "brotli", "br"},
		{"gzip, deflate, br;q=0.9", "brotli", "br"},
		{"GZIP", "gzip", "gzip"},
		{"br;q=0, gzip", "gzip", "gzip"},
		{"br; q=0.000 , gzip ; q=0", "plain script", ""},
		{"*", "plain script", ""},
		{"brotli, zstd", "plain script", ""},
	} {
		response, body := get(t, h, "GET", "/assets/app-1.js", "Accept-Encoding", test.accept)
		header := response.Header
		if body != test.body || header.Get("Content-Encoding") != test.encoding {
			t.Errorf("%q: %q in %q, want %q in %q", test.accept, body, header.Get("Content-Encoding"), test.body, test.encoding)
		}
		if got := header.Get("Content-Type"); got != "text/javascript; charset=utf-8" {
			t.Errorf("%q: Content-Type %q", test.accept, got)
		}
		if header.Get("Vary") != "Accept-Encoding" || response.ContentLength != int64(len(test.body)) {
			t.Errorf("%q: Vary %q, Content-Length %d", test.accept, header.Get("Vary"), response.ContentLength)
		}
		tags[header.Get("ETag")] = true
	}
	if len(tags) != 3 {
		t.Errorf("three forms share tags: %v", tags)
	}
}

func TestConditionalRequest(t *testing.T) {
	t.Parallel()
	h := newHandler(built())
	first, _ := get(t, h, "GET", "/watch/demo")
	tag := first.Header.Get("ETag")
	again, body := get(t, h, "GET", "/", "If-None-Match", tag)
	if tag == "" || again.StatusCode != http.StatusNotModified || body != "" {
		t.Errorf("tag %q: %d %q, want 304", tag, again.StatusCode, body)
	}
	changed := built()
	changed["index.html"] = &fstest.MapFile{Data: []byte("another")}
	if response, _ := get(t, newHandler(changed), "GET", "/", "If-None-Match", tag); response.StatusCode != http.StatusOK {
		t.Errorf("changed index: %d, want 200", response.StatusCode)
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	h := newHandler(built())
	response, body := get(t, h, "HEAD", "/")
	if response.StatusCode != http.StatusOK || body != "" || response.Header.Get("ETag") == "" {
		t.Errorf("HEAD: %d %q", response.StatusCode, body)
	}
	response, _ = get(t, h, "POST", "/")
	if response.StatusCode != http.StatusMethodNotAllowed || response.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, Allow %q", response.StatusCode, response.Header.Get("Allow"))
	}
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/", "/assets/app-1.js", "/missing.js"} {
		response, _ := get(t, newHandler(built()), "GET", path)
		csp := response.Header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "media-src 'self' blob:"} {
			if !strings.Contains(csp, part) {
				t.Errorf("%s: policy %q lacks %q", path, csp, part)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "http") {
			t.Errorf("%s: policy %q is too wide", path, csp)
		}
		if got := response.Header.Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("%s: X-Content-Type-Options %q", path, got)
		}
	}
}

func TestNotBuilt(t *testing.T) {
	t.Parallel()
	h := newHandler(fstest.MapFS{".gitkeep": {}})
	for _, path := range []string{"/", "/watch/demo"} {
		response, body := get(t, h, "GET", path)
		if response.StatusCode != http.StatusServiceUnavailable || body != notBuilt || response.Header.Get("Cache-Control") != cacheNever {
			t.Errorf("%s: %d %q", path, response.StatusCode, body)
		}
	}
}

// TestEmbedded serves what lies in dist now: the page after a build, the note before.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	response, body := get(t, Handler(), "GET", "/")
	page := response.StatusCode == http.StatusOK && strings.Contains(body, `<div id="app">`)
	note := response.StatusCode == http.StatusServiceUnavailable && body == notBuilt
	if !page && !note {
		t.Errorf("%d %q", response.StatusCode, body)
	}
}
