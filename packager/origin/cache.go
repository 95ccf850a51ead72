package origin

import (
	"bytes"
	"compress/gzip"
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"nova/internal/blob"
	"nova/packager/present"
)

// cache keeps objects of S3 by key: the least recently used go first, and playlists grow old. However many ask
// for one object, one of them fetches it.
type cache struct {
	// set by newCache
	objects Objects
	limit   int64
	max     int64
	timeout time.Duration
	turns   chan struct{} // holds a token per fetch under way
	metrics *metrics

	mu struct {
		sync.Mutex
		entries map[string]*list.Element // of *entry
		recent  *list.List               // the most recently used first
		bytes   int64
		flights map[string]*flight
	}
}

type entry struct {
	key   string
	item  *item
	until time.Time // zero: for good
}

// flight is a fetch under way. item and err are set before done is closed.
type flight struct {
	done chan struct{}
	item *item
	err  error
}

func newCache(cfg *Config, objects Objects, m *metrics) *cache {
	c := &cache{
		objects: objects, limit: cfg.CacheBytes, max: cfg.MaxObject, timeout: cfg.FetchTimeout,
		turns: make(chan struct{}, cfg.MaxFetches), metrics: m,
	}
	c.mu.entries = make(map[string]*list.Element)
	c.mu.recent = list.New()
	c.mu.flights = make(map[string]*flight)
	return c
}

// get finds the object in memory, joins a fetch that is under way, or fetches.
func (c *cache) get(ctx context.Context, a *address, key string) (*item, error) {
	found, joined, own := c.look(key)
	switch {
	case found != nil:
		c.metrics.fetches.WithLabelValues("hit").Inc()
		return found, nil
	case joined != nil:
		c.metrics.fetches.WithLabelValues("joined").Inc()
		select {
		case <-joined.done:
			return joined.item, joined.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	default:
		// Others may have joined: the fetch goes on though this viewer leaves.
		c.fetch(context.WithoutCancel(ctx), a, key, own)
		return own.item, own.err
	}
}

// look returns exactly one of: an item that is fresh, a flight to join, a new flight that the caller must end.
func (c *cache) look(key string) (found *item, joined, own *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if element := c.mu.entries[key]; element != nil {
		e := element.Value.(*entry)
		if e.until.IsZero() || time.Now().Before(e.until) {
			c.mu.recent.MoveToFront(element)
			return e.item, nil, nil
		}
		c.remove(element)
	}
	if f := c.mu.flights[key]; f != nil {
		return nil, f, nil
	}
	f := &flight{done: make(chan struct{}), err: errFetch}
	c.mu.flights[key] = f
	return nil, nil, f
}

// errFetch stands until the fetch has an outcome: for those who joined one that panicked.
var errFetch = errors.New("fetch did not end")

func (c *cache) fetch(ctx context.Context, a *address, key string, f *flight) {
	var keep time.Duration
	defer func() { c.land(key, f, keep) }()
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	select {
	case c.turns <- struct{}{}:
		defer func() { <-c.turns }()
	case <-ctx.Done():
		f.err = fmt.Errorf("cannot get %q: no turn in time: %w", key, ctx.Err())
		return
	}
	body, info, err := c.objects.ReadAll(ctx, key, c.max)
	if err != nil {
		c.metrics.fetches.WithLabelValues("failed").Inc()
		f.err = err
		return
	}
	c.metrics.fetches.WithLabelValues("fetched").Inc()
	f.item, f.err = storedItem(a, body, &info), nil
	keep = keepFor(a, f.item.cacheControl)
}

// land ends a flight and keeps what it brought.
func (c *cache) land(key string, f *flight, keep time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.mu.flights, key)
	close(f.done)
	if f.err != nil || keep == 0 || f.item.size() > c.limit {
		return
	}
	e := &entry{key: key, item: f.item}
	if keep != forever {
		e.until = time.Now().Add(keep)
	}
	c.mu.entries[key] = c.mu.recent.PushFront(e)
	c.mu.bytes += f.item.size()
	for c.mu.bytes > c.limit {
		c.remove(c.mu.recent.Back())
	}
}

// remove is called with mu held.
func (c *cache) remove(element *list.Element) {
	e := element.Value.(*entry)
	c.mu.recent.Remove(element)
	delete(c.mu.entries, e.key)
	c.mu.bytes -= e.item.size()
}

func (i *item) size() int64 { return int64(len(i.body) + len(i.gzip) + 512) }

// storedItem makes an answer of an object. It keeps the headers that the object was stored with.
func storedItem(a *address, body []byte, info *blob.Info) *item {
	i := &item{
		body: body, etag: info.ETag, contentType: info.ContentType, cacheControl: info.CacheControl,
		modified: info.Modified,
	}
	if i.contentType == "" {
		i.contentType = a.contentType()
	}
	if i.cacheControl == "" {
		i.cacheControl = "no-cache"
	}
	if len(i.etag) < 3 || !strings.HasPrefix(i.etag, `"`) {
		i.etag = sumTag(body)
	}
	if a.kind == present.MediaPlaylist || a.kind == present.MultivariantPlaylist {
		i.modified = time.Time{}
		i.gzip = compress(body)
	}
	return i
}

// sumTag is a strong tag made of the content.
func sumTag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

func compress(body []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(body); err != nil || w.Close() != nil {
		return nil // memory does not fail; without a compressed form the plain one serves
	}
	return out.Bytes()
}

// The longest that a playlist or a poster stays here, whatever its own lifetime: a recording may be deleted.
const (
	maxKeep = time.Minute
	forever = time.Duration(1<<63 - 1)
)

// keepFor is how long an object stays in memory: media for good, others for as long as they may be cached.
func keepFor(a *address, cacheControl string) time.Duration {
	if a.isMedia() {
		return forever
	}
	for directive := range strings.SplitSeq(cacheControl, ",") {
		if value, ok := strings.CutPrefix(strings.TrimSpace(directive), "max-age="); ok {
			seconds, err := strconv.Atoi(value)
			if err != nil || seconds < 0 {
				return 0
			}
			return min(time.Duration(min(seconds, 3600))*time.Second, maxKeep)
		}
	}
	return 0
}
