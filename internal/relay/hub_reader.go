package relay

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"

	"nova/internal/media"
)

// hubReader is one reader's ring. The publisher fills it and drops from it, Next empties it.
type hubReader struct {
	// set by newHubReader
	stream             *Stream
	names              []string
	maxUnits, maxBytes int
	// wake has room for one token: Next sleeps on it.
	wake chan struct{}

	mu struct {
		sync.Mutex
		ring    ring
		waiting bool // Next sleeps
		ended   bool // the session ended
		closed  bool

		// views hold what this reader does with each of the stream's lanes, by slot.
		views []view
		// sound holds the audio back while the picture waits for a keyframe.
		sound gate
		// refused counts the units held back since a gate closed.
		refused int
		// lost goes with the next entry.
		lost int
	}
}

// view is what a reader does with one track.
type view struct {
	wanted bool
	kind   media.Kind
	gate   gate
}

// gate tells whether a track's units are let through.
type gate uint8

const (
	open gate = iota
	// joining waits for a keyframe because the reader has only just come: what passes by is not lost.
	joining
	// behind waits for a keyframe because the ring overflowed: what passes by is lost.
	behind
)

func newHubReader(s *Stream, opts Options) *hubReader {
	r := &hubReader{stream: s, names: opts.Tracks, maxUnits: opts.MaxUnits, maxBytes: opts.MaxBytes}
	if r.maxUnits <= 0 {
		r.maxUnits = DefaultMaxUnits
	}
	if r.maxBytes <= 0 {
		r.maxBytes = DefaultMaxBytes
	}
	r.wake = make(chan struct{}, 1)
	return r
}

// Info implements Reader.
func (r *hubReader) Info() Info { return r.stream.info }

// Next implements Reader.
func (r *hubReader) Next(ctx context.Context) (Item, error) {
	for {
		item, ok, err := r.take()
		if ok || err != nil {
			return item, err
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
			return Item{}, ctx.Err()
		}
	}
}

// take is the next item, if there is one; otherwise it has the publisher send a wake token.
func (r *hubReader) take() (Item, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.mu.closed:
		return Item{}, false, net.ErrClosed
	case r.mu.ring.n > 0:
		e := r.mu.ring.pop()
		return Item{Tracks: e.tracks, Unit: e.unit, Lost: e.lost}, true, nil
	case r.mu.ended:
		return Item{}, false, io.EOF
	}
	r.mu.waiting = true
	return Item{}, false, nil
}

// Close implements Reader.
func (r *hubReader) Close() {
	r.stream.leave(r)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.closed = true
	r.mu.ring = ring{}
	r.rouse()
}

// end lets the reader drain what is queued.
func (r *hubReader) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.ended = true
	r.rouse()
}

// rouse wakes Next. r.mu is held.
func (r *hubReader) rouse() {
	if !r.mu.waiting {
		return
	}
	r.mu.waiting = false
	select {
	case r.wake <- struct{}{}:
	default: // a token that an ended Next left behind does as well
	}
}

// begin fills the ring of a reader that joins. What does not fit is left out: the reader then waits for a keyframe.
func (r *hubReader) begin(tracks []media.Track, lanes []*lane, backlog []cached) {
	r.pushTracks(tracks, lanes)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range backlog {
		if r.mu.views[c.lane.slot].wanted {
			r.mu.ring.push(entry{unit: c.unit, lane: c.lane})
		}
	}
	fits := !r.overflows()
	if !fits {
		r.mu.ring.keep(func(_ int, e *entry) bool { return e.tracks != nil })
	}
	waiting, playing := false, false
	for _, l := range lanes {
		v := &r.mu.views[l.slot]
		if !v.wanted || v.kind != media.Video {
			continue
		}
		v.gate = joining
		if fits && l.key != nil {
			v.gate = open
			playing = true
		}
		waiting = waiting || (l.started && v.gate == joining)
	}
	if waiting && !playing {
		r.mu.sound = joining
	}
}

// pushTracks queues a track list, and sets up what the reader does with each track. The list is shared.
func (r *hubReader) pushTracks(tracks []media.Track, lanes []*lane) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wanted := tracks
	if len(r.names) > 0 {
		wanted = slices.DeleteFunc(slices.Clone(tracks), func(t media.Track) bool {
			return !slices.Contains(r.names, t.Name)
		})
	}
	r.setViews(wanted, lanes)
	if wanted == nil {
		wanted = []media.Track{} // a list without tracks is an item too
	}
	r.queue(entry{tracks: wanted})
}

// setViews keeps the gates of the tracks that stay; a picture that is new waits for its first keyframe.
func (r *hubReader) setViews(wanted []media.Track, lanes []*lane) {
	for len(r.mu.views) < len(lanes) {
		r.mu.views = append(r.mu.views, view{})
	}
	for _, l := range lanes {
		v := &r.mu.views[l.slot]
		was := *v
		*v = view{kind: l.track.Kind, wanted: l.present && slices.ContainsFunc(wanted, func(t media.Track) bool {
			return t.ID == l.track.ID
		})}
		switch {
		case was.wanted && was.kind == v.kind:
			v.gate = was.gate
		case v.kind == media.Video:
			v.gate = joining
		}
	}
	if !r.shows() {
		r.mu.sound = open
	}
}

// shows tells whether the reader gets any picture.
func (r *hubReader) shows() bool {
	return slices.ContainsFunc(r.mu.views, func(v view) bool { return v.wanted && v.kind == media.Video })
}

// push queues a unit, or drops it where the reader does not want it or waits for a keyframe.
func (r *hubReader) push(u *media.AccessUnit, l *lane) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.slot >= len(r.mu.views) || !r.mu.views[l.slot].wanted {
		return
	}
	if g := r.hold(u, &r.mu.views[l.slot]); g != open {
		r.mu.refused++
		if g == behind {
			r.mu.lost++
			r.stream.hub.metrics.awaitingKey.Inc()
		}
		return
	}
	r.queue(entry{unit: u, lane: l})
}

// hold is the gate that the unit meets, after opening those that it opens: a keyframe opens its own track's and the
// sound's. A picture that never comes back holds the sound for one ring's worth of units at most.
func (r *hubReader) hold(u *media.AccessUnit, v *view) gate {
	switch v.kind {
	case media.Video:
		if u.Key {
			v.gate, r.mu.sound = open, open
		}
		return v.gate
	case media.Audio:
		if r.mu.refused >= r.maxUnits {
			r.mu.sound = open
		}
		return r.mu.sound
	default:
		return open
	}
}

// queue adds an entry, makes room where there is none, and wakes Next. r.mu is held.
func (r *hubReader) queue(e entry) {
	e.lost = r.mu.lost
	r.mu.lost = 0
	r.mu.ring.push(e)
	if r.overflows() {
		r.makeRoom()
	}
	r.rouse()
}

func (r *hubReader) overflows() bool {
	return r.mu.ring.n > r.maxUnits || r.mu.ring.bytes > r.maxBytes
}

// makeRoom drops all up to the newest point where decoding can resume; where that is the ring's first unit, or the
// ring overflows even then, it drops everything and waits for a keyframe. The newest track list stays.
func (r *hubReader) makeRoom() {
	at := r.resumePoint()
	first := at
	for i := range r.mu.ring.n {
		if r.mu.ring.at(i).unit != nil {
			first = i
			break
		}
	}
	dropped := 0
	if at > first {
		dropped = r.dropBefore(at)
	}
	if r.overflows() || at <= first {
		dropped += r.dropAll()
	}
	r.stream.hub.metrics.overflow.Add(float64(dropped))
}

// resumePoint is the index of the newest keyframe, or of the newest unit where the reader gets no picture; -1 where
// there is none.
func (r *hubReader) resumePoint() int {
	shows := r.shows()
	for i := r.mu.ring.n - 1; i >= 0; i-- {
		e := r.mu.ring.at(i)
		if e.unit == nil {
			continue
		}
		if !shows || (e.lane.track.Kind == media.Video && e.unit.Key) {
			return i
		}
	}
	return -1
}

// dropBefore drops the units before index at, and behind it the pictures that come before their own keyframe.
func (r *hubReader) dropBefore(at int) int {
	r.closeGates()
	tracks := r.lastTracks(at)
	dropped, lost := r.mu.ring.keep(func(i int, e *entry) bool {
		if e.unit == nil {
			return i == tracks || i > at
		}
		return i >= at && r.hold(e.unit, &r.mu.views[e.lane.slot]) == open
	})
	r.mu.lost += lost
	return dropped
}

// dropAll drops every unit.
func (r *hubReader) dropAll() int {
	r.closeGates()
	tracks := r.lastTracks(r.mu.ring.n)
	dropped, lost := r.mu.ring.keep(func(i int, _ *entry) bool { return i == tracks })
	r.mu.lost += lost
	return dropped
}

// lastTracks is the index of the last track list before index end; -1 where there is none.
func (r *hubReader) lastTracks(end int) int {
	for i := end - 1; i >= 0; i-- {
		if r.mu.ring.at(i).tracks != nil {
			return i
		}
	}
	return -1
}

// closeGates has every picture wait for a keyframe, and the sound for the picture.
func (r *hubReader) closeGates() {
	r.mu.refused = 0
	for i := range r.mu.views {
		if v := &r.mu.views[i]; v.wanted && v.kind == media.Video {
			v.gate, r.mu.sound = behind, behind
		}
	}
}

// depth is what is queued.
func (r *hubReader) depth() (units, bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.ring.n, r.mu.ring.bytes
}
