// Package origin answers viewers and CDNs over HTTP: live streams from memory, recordings from S3.
//
//	/hls/<playback_id>/… ──▶ Live (packager's window) ──not there, media──▶ ┐
//	/vod/<video_id>/…    ──────────────────────────────────────────────────▶ [cache: one fetch per object] ──▶ S3
//	/api/v2/live, /api/v2/recordings ──▶ JSON
//
// What never changes may be kept for a year; a live playlist for a second, so that a CDN asks once for all its
// viewers; an error never. Every answer has a strong ETag (RFC 9110 §8.8.3) and may be read by any page.
//
// It runs in the goroutines of net/http and starts none.
package origin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nova/internal/blob"
	"nova/internal/obs"
	"nova/packager/present"
	"nova/packager/store"
)

// Live is where running streams are in memory; *packager.Packager is one.
type Live interface {
	// Get fails with present.ErrNotFound where nothing stands behind the path.
	Get(ctx context.Context, playbackID, path string) (present.Object, error)
	Live() []present.LiveStream
}

// Archive knows the recordings; *store.Store is one.
type Archive interface {
	// VideoID is the recording of a stream's newest session while viewers may still ask for its segments.
	VideoID(playbackID string) (string, bool)
	Recordings(ctx context.Context) ([]store.Recording, error)
}

// Objects is where recordings are; *blob.Bucket is one. It should not be the one that uploads: viewers would
// take its connections.
type Objects interface {
	// ReadAll fails with blob.ErrNotFound where there is no object.
	ReadAll(ctx context.Context, key string, limit int64) ([]byte, blob.Info, error)
}

// Origin is an http.Handler. Safe for concurrent use.
type Origin struct {
	// set by New
	cfg      Config
	live     Live
	archive  Archive
	cache    *cache
	metrics  *metrics
	failures *obs.Repeated
}

// New checks the configuration. archive and objects are both nil where nothing is recorded.
func New(cfg Config, live Live, archive Archive, objects Objects, log *slog.Logger, reg prometheus.Registerer) (*Origin, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("bad origin configuration: %w", err)
	}
	m := newMetrics(reg)
	log = log.With(obs.KeyComp, "origin")
	o := &Origin{
		cfg: cfg, live: live, archive: archive, metrics: m,
		failures: obs.NewRepeated(log, slog.LevelWarn, "cannot answer from S3"),
	}
	if objects != nil {
		o.cache = newCache(&cfg, objects, m)
	}
	return o, nil
}

// ServeHTTP answers /hls/, /vod/ and the two lists of /api/v2.
func (o *Origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := &answer{ResponseWriter: w, kind: "other", start: time.Now()}
	defer o.metrics.observe(a)
	o.allowPages(w.Header())
	switch {
	case r.Method == http.MethodOptions:
		w.Header().Set("Allow", allowedMethods)
		a.WriteHeader(http.StatusNoContent)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", allowedMethods)
		a.fail(http.StatusMethodNotAllowed, "only GET, HEAD and OPTIONS")
	case r.URL.RawPath != "":
		// Only an odd spelling of a path has one ("%2e", "%2f"); a cache may not take it for the plain one.
		a.fail(http.StatusBadRequest, "bad path")
	case r.URL.Path == "/api/v2/live":
		o.serveLive(a, r)
	case r.URL.Path == "/api/v2/recordings":
		o.serveRecordings(a, r)
	default:
		o.serveObject(a, r)
	}
}

const allowedMethods = "GET, HEAD, OPTIONS"

// allowPages sets the CORS headers: players on other sites read playlists, ranges and tags.
func (o *Origin) allowPages(h http.Header) {
	h.Set("Access-Control-Allow-Origin", o.cfg.AllowOrigin)
	h.Set("Access-Control-Allow-Methods", allowedMethods)
	h.Set("Access-Control-Allow-Headers", "Range, If-None-Match, If-Range, Content-Type")
	h.Set("Access-Control-Expose-Headers", "Content-Length, Content-Range, ETag, Date, Age")
	h.Set("Access-Control-Max-Age", "86400")
}

func (o *Origin) serveObject(w *answer, r *http.Request) {
	a, err := parsePath(r.URL.Path)
	switch {
	case errors.Is(err, errSyntax):
		w.fail(http.StatusBadRequest, "bad path")
		return
	case err != nil:
		w.fail(http.StatusNotFound, "no such object")
		return
	}
	w.kind = a.kind.String()
	item, err := o.find(r.Context(), &a)
	if err != nil {
		o.serveError(w, &a, err)
		return
	}
	serve(w, r, item)
}

// find looks in memory, then in S3. A live playlist is never taken from S3: a stream that is over has none.
func (o *Origin) find(ctx context.Context, a *address) (*item, error) {
	if a.root == vodRoot {
		return o.fetch(ctx, a, a.id)
	}
	object, err := o.live.Get(ctx, a.id, a.rest)
	if err == nil {
		return liveItem(a, &object), nil
	}
	if !errors.Is(err, present.ErrNotFound) || !a.isMedia() || o.archive == nil {
		return nil, err
	}
	videoID, ok := o.archive.VideoID(a.id)
	if !ok {
		return nil, err
	}
	return o.fetch(ctx, a, videoID)
}

func (o *Origin) fetch(ctx context.Context, a *address, videoID string) (*item, error) {
	if o.cache == nil {
		return nil, blob.ErrNotFound
	}
	return o.cache.get(ctx, a, "vod/"+videoID+"/"+a.rest)
}

func (o *Origin) serveError(w *answer, a *address, err error) {
	switch {
	case errors.Is(err, context.Canceled):
		w.fail(http.StatusServiceUnavailable, "canceled") // nobody reads it
	case errors.Is(err, present.ErrNotFound), errors.Is(err, blob.ErrNotFound):
		if a.root == liveRoot && !a.isMedia() {
			w.fail(http.StatusNotFound, "stream is not live")
			return
		}
		w.fail(http.StatusNotFound, "no such object")
	default:
		o.failures.Add(err)
		w.unavailable()
	}
}
