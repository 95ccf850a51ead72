package web

import (
	"bytes"
	"io"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// policy lets the page use its own origin only. blob: is where Media Source Extensions keep media and where a
// worker of a player may come from.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; font-src 'self'; manifest-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

const (
	cacheForGood = "public, max-age=31536000, immutable"
	cacheAskEach = "no-cache"
	cacheNever   = "no-store"
)

const notBuilt = "The page is not built: run make web\n"

// otherServices are first path segments that are never a view of the page: a wrong address under them is an
// error to its client, not a page.
var otherServices = []string{"api", "hls", "vod", "whip", "whep", "connection", "debug", "health", "ready", "metrics"}

// handler is immutable after newHandler.
type handler struct {
	assets map[string]*asset // by URL path
	index  *asset            // nil before the first build
}

func newHandler(files fs.FS) *handler {
	assets := loadAssets(files)
	return &handler{assets: assets, index: assets["/index.html"]}
}

// ServeHTTP answers GET and HEAD.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setSecurityHeaders(w.Header())
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "method not allowed\n")
		return
	}
	switch found := h.find(path.Clean("/" + r.URL.Path)); {
	case found != nil:
		serveAsset(w, r, found)
	case h.index == nil:
		refuse(w, http.StatusServiceUnavailable, notBuilt)
	default:
		refuse(w, http.StatusNotFound, "not found\n")
	}
}

// find returns the file under name, the index for a view of the page, or nil.
func (h *handler) find(name string) *asset {
	if found := h.assets[name]; found != nil {
		return found
	}
	if isView(name) {
		return h.index
	}
	return nil
}

// isView tells a view of the page from a file that is not there. The id of a stream may hold a dot.
func isView(name string) bool {
	first, rest, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	if slices.Contains(otherServices, first) {
		return false
	}
	byID := (first == "watch" || first == "recording") && rest != ""
	return byID || path.Ext(name) == ""
}

func setSecurityHeaders(header http.Header) {
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()")
}

// refuse answers with a short text that no cache keeps.
func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Cache-Control", cacheNever)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // the client is gone: nobody to tell
}

// serveAsset sends the smallest form that the client takes; http.ServeContent does If-None-Match and Range.
func serveAsset(w http.ResponseWriter, r *http.Request, a *asset) {
	form := a.formFor(r.Header.Get("Accept-Encoding"))
	header := w.Header()
	header.Set("Content-Type", a.contentType)
	header.Set("Cache-Control", a.cacheControl)
	header.Set("ETag", form.etag)
	if len(a.forms) > 1 {
		header.Set("Vary", "Accept-Encoding")
	}
	if form.encoding != "" {
		header.Set("Content-Encoding", form.encoding)
		header.Set("Content-Length", strconv.Itoa(len(form.body))) // ServeContent leaves it out for encoded forms
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(form.body))
}
