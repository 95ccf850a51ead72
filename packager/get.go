package packager

import (
	"cmp"
	"context"
	"slices"

	"nova/packager/playlist"
	"nova/packager/present"
)

// Get finds what stands behind a path below a stream: "index.m3u8", "720p/index.m3u8", "720p/<prefix>-12.m4s",
// "poster.jpg". It fails with present.ErrNotFound, or with the context's error. Safe for concurrent use.
//
// Media of the stream's session before this one are found as long as they linger; playlists are those of the
// newest session that can be played.
func (p *Packager) Get(ctx context.Context, playbackID, path string) (present.Object, error) {
	if err := ctx.Err(); err != nil {
		return present.Object{}, err
	}
	p.mu.RLock()
	windows := p.mu.streams[playbackID]
	p.mu.RUnlock()
	for _, w := range slices.Backward(windows) {
		o, visible, ok := w.get(path)
		if ok {
			return o, nil
		}
		if visible && isIndex(path) {
			break // an older session's playlist must not stand in for this one's
		}
	}
	return present.Object{}, present.ErrNotFound
}

// isIndex tells paths of playlists from those of media.
func isIndex(path string) bool {
	n := len(path) - len(playlist.IndexName)
	return n >= 0 && path[n:] == playlist.IndexName
}

// Live lists the streams that can be played now, in the order of their start, the newest first.
func (p *Packager) Live() []present.LiveStream {
	p.mu.RLock()
	var windows []*window
	for _, list := range p.mu.streams {
		windows = append(windows, list...)
	}
	p.mu.RUnlock()
	streams := []present.LiveStream{}
	for _, w := range windows {
		if s, ok := w.live(); ok {
			streams = append(streams, s)
		}
	}
	slices.SortFunc(streams, func(a, b present.LiveStream) int {
		return cmp.Or(b.StartedAt.Compare(a.StartedAt), cmp.Compare(a.PlaybackID, b.PlaybackID))
	})
	return streams
}
