package origin

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"

	"nova/packager/present"
)

// item is an object with all that its answer needs. Immutable.
type item struct {
	body, gzip   []byte
	etag         string
	contentType  string
	cacheControl string
	modified     time.Time
}

// The lifetimes of live objects in HTTP caches. A second is half a segment or less: viewers behind a CDN are
// that much later at most, and the CDN asks once for all of them. The session that comes next under the same
// playback id has the same playlist URLs, so that an ended one's may not stay either.
const (
	cacheForever  = "public, max-age=31536000, immutable"
	cachePlaylist = "public, max-age=1"
	cacheIndex    = "public, max-age=2"
	cachePoster   = "public, max-age=5"
)

func liveItem(a *address, o *present.Object) *item {
	i := &item{body: o.Body, gzip: o.Gzip, etag: o.ETag, contentType: a.contentType()}
	switch a.kind {
	case present.MultivariantPlaylist:
		i.cacheControl = cacheIndex
	case present.MediaPlaylist:
		i.cacheControl = cachePlaylist
	case present.PosterImage:
		i.cacheControl, i.modified = cachePoster, o.Modified
	default:
		i.cacheControl, i.modified = cacheForever, o.Modified
	}
	return i
}

// serve answers with conditions (RFC 9110 §13) and ranges (§14). Playlists state no Last-Modified: its seconds
// are too coarse for them.
func serve(w *answer, r *http.Request, i *item) {
	h := w.Header()
	h.Set("Content-Type", i.contentType)
	h.Set("Cache-Control", i.cacheControl)
	h.Set("X-Content-Type-Options", "nosniff")
	body, etag := i.body, i.etag
	if i.gzip != nil {
		h.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Get("Accept-Encoding")) && r.Header.Get("Range") == "" {
			body, etag = i.gzip, gzipTag(i.etag)
			h.Set("Content-Encoding", "gzip")
			h.Set("Content-Length", strconv.Itoa(len(body)))
		}
	}
	h.Set("ETag", etag)
	http.ServeContent(w, r, "", i.modified, bytes.NewReader(body))
}

// gzipTag is the tag of the compressed form: strong tags differ where bytes do (RFC 9110 §8.8.3.3).
func gzipTag(etag string) string {
	return strings.TrimSuffix(etag, `"`) + `-gzip"`
}

// acceptsGzip reads Accept-Encoding (RFC 9110 §12.5.3).
func acceptsGzip(header string) bool {
	others := false
	for part := range strings.SplitSeq(header, ",") {
		name, parameter, _ := strings.Cut(part, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		accepted := weight(parameter) > 0
		switch name {
		case "gzip", "x-gzip":
			return accepted
		case "*":
			others = accepted
		}
	}
	return others
}

// weight is the q of a list's member; 1 where none is stated, 0 where it cannot be read.
func weight(parameter string) float64 {
	parameter = strings.TrimSpace(parameter)
	if parameter == "" {
		return 1
	}
	value, ok := strings.CutPrefix(strings.ToLower(parameter), "q=")
	q, err := strconv.ParseFloat(value, 64)
	if !ok || err != nil {
		return 0
	}
	return q
}

// answer counts what is sent, and keeps errors out of caches whoever writes them.
type answer struct {
	http.ResponseWriter
	kind  string
	start time.Time
	code  int
	bytes int64
}

// WriteHeader takes an error's caching headers away.
func (a *answer) WriteHeader(code int) {
	if a.code == 0 {
		a.code = code
	}
	if code >= 400 {
		h := a.Header()
		h.Set("Cache-Control", "no-store")
		h.Del("ETag")
		h.Del("Last-Modified")
	}
	a.ResponseWriter.WriteHeader(code)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.code == 0 {
		a.code = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(p)
	a.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// fail answers with a line of text.
func (a *answer) fail(code int, text string) {
	http.Error(a, text, code)
}

// unavailable asks to come back: S3 does not answer now.
func (a *answer) unavailable() {
	a.Header().Set("Retry-After", "2")
	a.fail(http.StatusServiceUnavailable, "storage does not answer, try again")
}
