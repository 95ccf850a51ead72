package store

import (
	"context"
	"hash/fnv"
	"time"

	"nova/internal/blob"
)

// document is an object that is written more than once, or a step that is done once: it knows which content is
// in S3 and when to try again.
type document struct {
	// set by who made it
	kind, key string

	// owned by runSession
	version uint64 // of the content in S3; 0 where there is none
	at      time.Time
	tries   int
	retryAt time.Time
}

// contentVersion tells contents apart; never 0.
func contentVersion(parts ...[]byte) uint64 {
	hash := fnv.New64a()
	for _, part := range parts {
		_, _ = hash.Write(part) // a hash does not fail
		_, _ = hash.Write([]byte{0})
	}
	return hash.Sum64() | 1
}

// attempt brings S3 to the given version of d by calling do, unless it is there already; at most once in every,
// and not before the wait after a failure is over. It tells whether S3 has the version now.
func (x *session) attempt(ctx context.Context, d *document, version uint64, every time.Duration, do func() error) bool {
	if d.version == version {
		return true
	}
	at := d.retryAt
	if next := d.at.Add(every); !d.at.IsZero() && next.After(at) {
		at = next
	}
	if time.Now().Before(at) {
		x.desk.plan(at)
		return false
	}
	if err := x.store.try(ctx, d.kind, do); err != nil {
		d.tries++
		d.retryAt = time.Now().Add(x.store.backoff(d.tries))
		x.desk.plan(d.retryAt)
		return false
	}
	d.version, d.at, d.tries, d.retryAt = version, time.Now(), 0, time.Time{}
	return true
}

// write is attempt for an object's content.
func (x *session) write(ctx context.Context, d *document, version uint64, every time.Duration, body func() []byte, opts blob.PutOptions) bool {
	return x.attempt(ctx, d, version, every, func() error {
		content := body()
		err := x.store.bucket.Put(ctx, d.key, content, opts)
		if err == nil {
			x.store.metrics.bytes.Add(float64(len(content)))
		}
		return err
	})
}

// desk is where runSession keeps its documents and the time of its next work.
type desk struct {
	marker, multivariant, poster, recording, strays, unmark document

	stated string // the outline of the stored multivariant playlist
	next   time.Time
}

func newDesk(videoID string) desk {
	return desk{
		marker:       document{kind: "marker", key: markerKey(videoID)},
		multivariant: document{kind: "multivariant", key: sessionKey(videoID) + "index.m3u8"},
		poster:       document{kind: "poster", key: sessionKey(videoID) + posterName},
		recording:    document{kind: "recording"},
		strays:       document{kind: "delete"},
		unmark:       document{kind: "delete"},
	}
}

// plan wakes runSession at that time, or before.
func (d *desk) plan(at time.Time) {
	if d.next.IsZero() || at.Before(d.next) {
		d.next = at
	}
}
