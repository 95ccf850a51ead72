package present

import (
	"errors"
	"time"
)

// ErrNotFound tells that no such live stream or object is in memory.
var ErrNotFound = errors.New("no such object")

// ObjectKind says what an object is; the content type and the cache headers follow from it.
type ObjectKind uint8

// The kinds of object.
const (
	// MultivariantPlaylist changes when renditions come and go.
	MultivariantPlaylist ObjectKind = iota + 1
	// MediaPlaylist of a live rendition changes with each segment.
	MediaPlaylist
	// InitSection and MediaSegment never change.
	InitSection
	MediaSegment
	// PosterImage is renewed every few seconds.
	PosterImage
)

func (k ObjectKind) String() string {
	switch k {
	case MultivariantPlaylist:
		return "multivariant"
	case MediaPlaylist:
		return "playlist"
	case InitSection:
		return "init"
	case MediaSegment:
		return "segment"
	case PosterImage:
		return "poster"
	default:
		return "unknown"
	}
}

// Object is what stands behind a URL right now. Immutable: a changed playlist is a new object.
type Object struct {
	Kind ObjectKind
	Body []byte
	// Gzip is Body compressed with gzip; nil where that gains nothing (media, JPEG).
	Gzip []byte
	// ETag is the strong entity tag of Body with its quotes (RFC 9110 §8.8.3).
	ETag string
	// Modified is when this content came to be.
	Modified time.Time
	// Ended tells of playlists that the session is over and the content final.
	Ended bool
}

// LiveStream is one line of the live list, in the JSON shape of GET /api/v2/live.
type LiveStream struct {
	PlaybackID string          `json:"playback_id"`
	Title      string          `json:"title"`
	StartedAt  time.Time       `json:"started_at"`
	HLSURL     string          `json:"hls_url"`
	PosterURL  string          `json:"poster_url"`
	Renditions []LiveRendition `json:"renditions"`
}

// LiveRendition is one video rendition of a LiveStream.
type LiveRendition struct {
	Name   string `json:"name"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
	// Bitrate is the average in bits a second.
	Bitrate int `json:"bitrate"`
}
