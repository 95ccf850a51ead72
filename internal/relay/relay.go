// Package relay carries live streams from one stage to the next: the same interface whether the stage runs in
// this process, in another one behind gRPC, or in a child behind a pipe.
//
//	publisher ──Write──▶ [Hub] ──ring──▶ Reader ──▶ a stage in this process
//	                       └────ring──▶ Server ──gRPC──▶ Client ──▶ Reader ──▶ a stage elsewhere
//
//	a stage ──▶ Writer ──pipe──▶ PipeReader ──▶ its child process
//
// A [Hub] offers streams: tracks plus a bounded ring of immutable access units per reader. The publisher never
// waits. A reader that is too slow loses whole groups of pictures, is told how many units it lost, and resumes
// at a keyframe. A reader that joins gets the track list and the last group of pictures at once, then follows.
//
// Stage: 2/6 · In: *media.AccessUnit · Out: *media.AccessUnit
package relay

import (
	"context"
	"errors"
	"time"

	"nova/internal/media"
)

// ErrNotFound tells that no such stream is live.
var ErrNotFound = errors.New("stream is not live")

// Info describes one live session of a stream.
type Info struct {
	// Stream is the stream's public identity, which playback URLs carry: never the stream key.
	Stream string
	// Session is a random word that is new each time the stream goes live.
	Session string
	// Title is what the page shows; may be empty.
	Title string
	// Start is the wall clock at PTS 0.
	Start time.Time
}

// Item is one step of a stream: a new track list or a unit. Exactly one of Tracks and Unit is set.
type Item struct {
	// Tracks is the complete list from here on. The first item of a reader is always a track list.
	Tracks []media.Track
	Unit   *media.AccessUnit
	// Lost is the number of units that this reader was too slow for, right before this item.
	Lost int
}

// Options choose what a reader gets. The zero value is everything, with the default limits.
type Options struct {
	// Tracks keeps only tracks of these names; empty keeps all.
	Tracks []string
	// MaxUnits and MaxBytes bound the reader's ring; 0 means DefaultMaxUnits and DefaultMaxBytes.
	MaxUnits, MaxBytes int
}

// The bounds of a reader's ring where Options state none: about ten seconds of a 25 Mb/s stream.
const (
	DefaultMaxUnits = 4096
	DefaultMaxBytes = 32 << 20
)

// Reader follows one session of a stream. Not safe for concurrent use, except Close.
type Reader interface {
	Info() Info
	// Next waits for the next item. It returns io.EOF after the last item of a session that ended properly,
	// io.ErrUnexpectedEOF where the connection to the hub broke, and the context's error where ctx ended.
	Next(ctx context.Context) (Item, error)
	// Close gives the ring back. Next then returns net.ErrClosed. Idempotent.
	Close()
}

// Event tells that a stream went live or ended.
type Event struct {
	Info Info
	Live bool
}

// Source is where stages find streams: a *Hub in this process, a *Client for one elsewhere.
type Source interface {
	// Subscribe follows a stream from its last keyframe on. It fails with ErrNotFound where it is not live.
	Subscribe(ctx context.Context, stream string, opts Options) (Reader, error)
	// Watch sends an event for each stream that is live, then one per change, until ctx ends, and then closes
	// the channel. A slow watcher may miss a session that began and ended in between, never the latest state.
	// A Client reconnects by itself, and reports the streams that went away meanwhile as ended.
	Watch(ctx context.Context) <-chan Event
}
