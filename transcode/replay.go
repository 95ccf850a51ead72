package transcode

import (
	"context"
	"io"
	"sync"
	"time"

	"nova/internal/media"
	"nova/internal/relay"
)

// Bounds of what is kept of a stream for a restarted worker, and of what a slow one may be behind. The units are
// shared with the hub's own ring, so they rarely cost memory twice.
const (
	replayUnits = 4096
	replayBytes = 32 << 20
)

// replay is the stretch of a stream's source from the keyframe before the last published picture up to now. The
// worker is fed from it, and fed again from its start when it had to be restarted, so that nothing is missing.
//
//	hub ──append, blocks when full──▶ replay ──next──▶ worker's stdin
//	                                    ▲ trim, when pictures are published
//
// When it is full of units that no worker has got yet, append blocks, and the hub's ring drops whole groups of
// pictures. When it is full of units that a worker got and has not given back, the oldest are forgotten; where that
// leaves no keyframe, a restarted worker waits for the next one.
type replay struct {
	// set by newReplay
	maxUnits, maxBytes int
	// done is closed by end.
	done chan struct{}

	mu struct {
		sync.Mutex
		items []replayItem
		// first is the number of items[0]; fed is the number of the first item that no worker has got.
		first, fed int64
		bytes      int
		// tracks is the track list in force at items[0], latest the one after the last item.
		tracks, latest []media.Track
		// keyed tells that decoding can start at video keyframes only: the stream has video.
		keyed bool
		// idle tells that nobody is fed: only what a worker would start with is kept.
		idle bool
		// seek tells that units are left out up to the next start.
		seek  bool
		ended bool
		// newest is the time of the last picture; of the last sound where there is no picture.
		newest time.Duration
		// last is the DTS of each track's last unit.
		last map[int]int64
		// changed is closed and made anew whenever something here changed.
		changed chan struct{}
	}
}

type replayItem struct {
	relay.Item
	// at is the presentation time; start tells that a worker can be started here.
	at    time.Duration
	start bool
}

func newReplay(maxUnits, maxBytes int) *replay {
	r := &replay{maxUnits: maxUnits, maxBytes: maxBytes, done: make(chan struct{})}
	r.mu.last = make(map[int]int64)
	r.mu.changed = make(chan struct{})
	return r
}

// append adds an item, and waits for room. It fails with ctx's error only.
func (r *replay) append(ctx context.Context, item relay.Item) error {
	for {
		changed, done := r.tryAppend(item)
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *replay) tryAppend(item relay.Item) (changed <-chan struct{}, done bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.full() {
		r.trimTo(r.startBefore(r.mu.fed))
	}
	switch {
	case r.full() && r.mu.idle:
		r.trimTo(r.past())
	case r.full() && r.mu.fed > r.mu.first:
		r.trimTo(r.mu.fed)
	case r.full():
		return r.mu.changed, false
	}
	r.push(item)
	if r.mu.idle {
		r.trimTo(r.startBefore(r.past()))
	}
	r.wake()
	return nil, true
}

// full, past, push, startBefore, trimTo and wake need mu.
func (r *replay) full() bool {
	return len(r.mu.items) >= r.maxUnits || r.mu.bytes >= r.maxBytes
}

// past is the number of the item that comes next.
func (r *replay) past() int64 { return r.mu.first + int64(len(r.mu.items)) }

func (r *replay) push(item relay.Item) {
	e := replayItem{Item: item}
	if item.Unit == nil {
		r.mu.latest = item.Tracks
		r.mu.keyed = hasVideo(item.Tracks)
		if len(r.mu.items) == 0 {
			r.mu.tracks = item.Tracks
		}
	} else if t, ok := trackByID(r.mu.latest, item.Unit.Track); ok {
		e.at = media.Duration(item.Unit.PTS, t.Timescale)
		e.start = !r.mu.keyed || t.Kind == media.Video && item.Unit.Key
		if !r.mu.keyed || t.Kind == media.Video {
			r.mu.newest = max(r.mu.newest, e.at)
		}
		if r.mu.seek = r.mu.seek && !e.start; r.mu.seek {
			return
		}
		r.mu.bytes += item.Unit.Size()
	} else {
		return
	}
	r.mu.items = append(r.mu.items, e)
}

func (r *replay) wake() {
	close(r.mu.changed)
	r.mu.changed = make(chan struct{})
}

// startBefore is the last place before the item seq where a worker can be started.
func (r *replay) startBefore(seq int64) int64 {
	for i := min(seq-r.mu.first, int64(len(r.mu.items))) - 1; i > 0; i-- {
		if r.mu.items[i].start {
			return r.mu.first + i
		}
	}
	return r.mu.first
}

func (r *replay) trimTo(seq int64) {
	n := seq - r.mu.first
	for _, e := range r.mu.items[:n] {
		if e.Unit == nil {
			r.mu.tracks = e.Tracks
		} else {
			r.mu.bytes -= e.Unit.Size()
		}
	}
	clear(r.mu.items[:n])
	r.mu.items = r.mu.items[n:]
	r.mu.first = seq
	r.mu.fed = max(r.mu.fed, seq)
}

// published forgets what comes before the last start at or before at, the time up to which everything is out.
func (r *replay) published(at time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	to := r.mu.first
	for i, e := range r.mu.items[:r.mu.fed-r.mu.first] {
		if e.Unit != nil && e.at > at && e.start {
			break
		}
		if e.start {
			to = r.mu.first + int64(i)
		}
	}
	if to > r.mu.first {
		r.trimTo(to)
		r.wake()
	}
}

// begin is where a new worker starts: the number of the first unit that one can start with, and the track list in
// force there. Whatever was fed counts as not fed.
func (r *replay) begin() (seq int64, tracks []media.Track) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trimToStart(0)
	r.mu.fed, r.mu.idle = r.mu.first, false
	return r.mu.first, r.mu.tracks
}

// rest tells that no worker is fed until begin.
func (r *replay) rest() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.idle = true
	r.trimTo(r.startBefore(r.past()))
	r.wake()
}

// place is the number of the first item: it tells groups of pictures apart.
func (r *replay) place() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.first
}

// skip forgets the units before the second start; where there is none yet, all up to the one that comes next.
func (r *replay) skip() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trimToStart(1)
}

// trimToStart forgets what is before the start that n others precede. It needs mu.
func (r *replay) trimToStart(n int) {
	defer r.wake()
	for i, e := range r.mu.items {
		if !e.start {
			continue
		}
		if n == 0 {
			r.trimTo(r.mu.first + int64(i))
			return
		}
		n--
	}
	r.trimTo(r.past())
	r.mu.seek = true
}

// next waits for the item seq. It returns io.EOF after the last one, and ctx's error where that ended.
func (r *replay) next(ctx context.Context, seq int64) (relay.Item, error) {
	for {
		item, changed, err := r.tryNext(seq)
		if changed == nil {
			return item, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return relay.Item{}, ctx.Err()
		}
	}
}

func (r *replay) tryNext(seq int64) (item relay.Item, changed <-chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := seq - r.mu.first; i < int64(len(r.mu.items)) {
		r.mu.fed = max(r.mu.fed, seq+1)
		return r.mu.items[i].Item, nil, nil
	}
	if r.mu.ended {
		return relay.Item{}, nil, io.EOF
	}
	return relay.Item{}, r.mu.changed, nil
}

// end tells that no item follows.
func (r *replay) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.ended = true
	close(r.done)
	r.wake()
}

// over tells that the stream has ended.
func (r *replay) over() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.ended
}

// newest is the time of the last picture; of the last sound where there is no picture.
func (r *replay) newest() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.newest
}

// pause waits for d; less where the stream or ctx ends: what is left has no use for a rest.
func (r *replay) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.done:
	case <-ctx.Done():
	}
}

// fresh tells that a unit goes on from its track's last one; a reader that joined again brings some twice.
func (r *replay) fresh(u *media.AccessUnit) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, known := r.mu.last[u.Track]
	if known && u.DTS <= last {
		return false
	}
	r.mu.last[u.Track] = u.DTS
	return true
}

func trackByID(tracks []media.Track, id int) (media.Track, bool) {
	for _, t := range tracks {
		if t.ID == id {
			return t, true
		}
	}
	return media.Track{}, false
}

func hasVideo(tracks []media.Track) bool {
	for _, t := range tracks {
		if t.Kind == media.Video {
			return true
		}
	}
	return false
}
