package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"nova/packager/playlist"
	"nova/packager/present"
)

// grown is a media playlist as far as it has grown.
type grown struct {
	text     []byte // of the segments, without header
	initName string
	entries  int
	media    int // entries that are not gaps
	length   time.Duration
}

// view is what runSession sees of the session in one round.
type view struct {
	order    []*rendition
	descs    []present.Rendition // as the newest segment of each in order said
	listed   []present.Rendition
	poster   []byte
	posters  uint64
	strays   []string
	closedAt time.Time
	drained  bool
}

// runSession writes what is due, round after round, until the session is finished.
func (x *session) runSession(ctx context.Context) error {
	defer close(x.done)
	defer x.store.forget(x)
	for {
		x.desk.next = time.Time{}
		v := x.advance()
		if x.round(ctx, &v) || x.giveUp(&v) {
			return nil
		}
		if !x.await(ctx) {
			return nil
		}
	}
}

// await sleeps until something changed or is due. It tells false once ctx ended.
func (x *session) await(ctx context.Context) bool {
	var due <-chan time.Time
	if !x.desk.next.IsZero() {
		timer := time.NewTimer(time.Until(x.desk.next))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-x.wake:
	case <-due:
	}
	return true
}

// advance moves settled entries into the playlists' texts.
func (x *session) advance() view {
	x.mu.Lock()
	defer x.mu.Unlock()
	v := view{
		order: slices.Clone(x.mu.order), listed: x.mu.listed, poster: x.mu.poster, posters: x.mu.posters,
		closedAt: x.mu.closedAt, drained: !x.mu.closedAt.IsZero(),
	}
	for _, r := range v.order {
		r.advance()
		v.descs = append(v.descs, r.desc)
		v.drained = v.drained && len(r.pending) == 0
		for _, init := range r.inits {
			v.drained = v.drained && init.stored
		}
	}
	if v.drained {
		v.strays = x.unnamed()
	}
	return v
}

// advance is called with the session's mu held.
func (r *rendition) advance() {
	for len(r.pending) > 0 {
		e := r.pending[0]
		if !e.settled || !r.sectionStored(&e.segment) {
			return
		}
		r.pending = r.pending[1:]
		r.grown.text, r.grown.initName = playlist.AppendSegment(r.grown.text, &e.segment, r.grown.initName)
		r.grown.entries++
		r.grown.length += e.segment.Duration
		if !e.segment.Gap {
			r.grown.media++
			r.inits[e.segment.InitName].named = true
		}
	}
}

func (r *rendition) sectionStored(seg *present.Segment) bool {
	return seg.Gap || r.inits[seg.InitName].stored
}

// unnamed lists what is in S3, or may be, though no playlist names it. mu is held.
func (x *session) unnamed() []string {
	strays := slices.Clone(x.mu.strays)
	for _, r := range x.mu.order {
		for _, init := range r.inits {
			if !init.named {
				strays = append(strays, init.key)
			}
		}
	}
	return strays
}

// round writes what is due, in the order in which one names the other. It tells whether all is finished.
func (x *session) round(ctx context.Context, v *view) bool {
	if len(v.order) == 0 {
		if v.drained {
			x.ended("empty", 0)
		}
		return v.drained
	}
	if !x.writeMarker(ctx, v) {
		return false
	}
	if v.drained {
		return x.finish(ctx, v)
	}
	for _, r := range v.order {
		x.writePlaylist(ctx, r, false)
	}
	x.writeMultivariant(ctx, v, false)
	x.writePoster(ctx, v, x.store.cfg.PosterInterval)
	return false
}

// writePlaylist uploads a short playlist with every segment, a long one less often: the work of a whole
// broadcast would otherwise grow with the square of its length.
func (x *session) writePlaylist(ctx context.Context, r *rendition, finished bool) bool {
	if r.grown.media == 0 {
		return true
	}
	version, every, kind := uint64(r.grown.entries)<<1, x.playlistInterval(r.grown.entries), playlist.Event
	if finished {
		version, every, kind = version|1, 0, playlist.VOD
	}
	return x.write(ctx, &r.playlist, version, every, func() []byte {
		b := make([]byte, 0, 256+len(r.grown.text))
		b = playlist.AppendHeader(b, playlist.Header{TargetDuration: x.info.TargetDuration, Type: kind})
		b = append(b, r.grown.text...)
		if finished {
			b = playlist.AppendEnd(b)
		}
		return b
	}, playlistOptions(finished))
}

// The lengths of a playlist in entries up to which every segment is uploaded, and from which on the interval is
// the longest.
const shortPlaylist, longPlaylist = 30, 300

func (x *session) playlistInterval(entries int) time.Duration {
	if entries < shortPlaylist {
		return 0
	}
	return x.store.cfg.PlaylistInterval * time.Duration(min(entries, longPlaylist)) / longPlaylist
}

// writeMultivariant names the renditions whose playlists are in S3: a new one at once, new bit rates of the
// same ones now and then.
func (x *session) writeMultivariant(ctx context.Context, v *view, finished bool) bool {
	list := v.playable(finished)
	if len(list) == 0 {
		return false
	}
	stated, every := outline(list), x.store.cfg.PlaylistInterval
	if stated != x.desk.stated || finished {
		every = 0
	}
	text := playlist.Multivariant(list)
	opts := playlistOptions(finished)
	version := contentVersion(text, []byte(opts.CacheControl))
	if !x.write(ctx, &x.desk.multivariant, version, every, func() []byte { return text }, opts) {
		return false
	}
	x.desk.stated = stated
	return true
}

// known lists all renditions as their newest segments described them: first the packager's list in its order,
// then those that it does not list yet, or no longer.
func (v *view) known() []present.Rendition {
	list := slices.Clone(v.listed)
	for _, desc := range v.descs {
		if i := indexOf(list, desc.Name); i >= 0 {
			list[i] = desc
		} else {
			list = append(list, desc)
		}
	}
	return list
}

// playable lists the renditions that have a playlist in S3. While the session lasts, those that the packager
// lists; the finished recording has all.
func (v *view) playable(finished bool) []present.Rendition {
	return slices.DeleteFunc(v.known(), func(desc present.Rendition) bool {
		i := slices.IndexFunc(v.order, func(r *rendition) bool { return r.name == desc.Name })
		listed := finished || indexOf(v.listed, desc.Name) >= 0
		return !listed || i < 0 || v.order[i].playlist.version == 0
	})
}

func indexOf(list []present.Rendition, name string) int {
	return slices.IndexFunc(list, func(r present.Rendition) bool { return r.Name == name })
}

// outline is what must be right at once: which renditions there are, and what a player needs to decode them. The
// bit rates change with every segment.
func outline(list []present.Rendition) string {
	var b strings.Builder
	for i := range list {
		fmt.Fprintf(&b, "%s %s %dx%d/", list[i].Name, list[i].Codecs, list[i].Width, list[i].Height)
	}
	return b.String()
}

func (x *session) writePoster(ctx context.Context, v *view, every time.Duration) bool {
	if v.posters == 0 {
		return true
	}
	return x.write(ctx, &x.desk.poster, v.posters, every, func() []byte { return v.poster }, posterOptions())
}

// writeMarker says that the session is under way, alive, and of which renditions. A rendition's lane opens once
// the marker has it: nothing lands in S3 that the next start would not find. It tells whether there is a marker.
func (x *session) writeMarker(ctx context.Context, v *view) bool {
	d := &x.desk.marker
	beat := x.store.cfg.Lease / 4
	had := !d.at.IsZero()
	if had && time.Since(d.at) >= beat {
		d.version = 0
	}
	known := v.known()
	version := contentVersion([]byte(outline(known)))
	current := d.version == version
	written := x.write(ctx, d, version, 0, func() []byte { return x.store.owner.marker(x.info, known) }, jsonOptions())
	if written {
		x.desk.plan(d.at.Add(beat))
	}
	if written && !current {
		x.openLanes(v.order)
	}
	return had || written
}

func (x *session) openLanes(order []*rendition) {
	lanes := make([]*lane, len(order))
	for i, r := range order {
		lanes[i] = r.lane
	}
	x.store.queue.openLanes(lanes...)
}
