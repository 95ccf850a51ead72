// Package present holds the words that the packager's parts share about what viewers get: a session, its
// renditions, their segments and parts, and the objects that HTTP serves. It does nothing by itself.
//
//	packager ──Session, Rendition, Init, Segment──▶ Sink (packager/store: S3)
//	        └──Object, LiveStream──▶ packager/origin (HTTP)
//	packager, store ──Rendition, Segment──▶ packager/playlist ──▶ playlist text
//
// Every value here is immutable once it has been handed over; bodies are shared, nobody changes them.
package present

import (
	"time"

	"nova/internal/media"
)

// Session is one broadcast of a live stream, from publish to the end.
type Session struct {
	// VideoID names the recording: PlaybackID, a dash and the session's random word. A recording that goes on
	// in the middle of a session, after a restart or an outage of the packager, has one more word.
	VideoID string
	// PlaybackID is the live stream's public id.
	PlaybackID string
	Title      string
	// Start is the wall clock at timeline 0: the program date-time of PTS 0.
	Start time.Time
	// TargetDuration is the EXT-X-TARGETDURATION of every media playlist of the session; it never changes
	// (RFC 8216bis §4.4.3.1).
	TargetDuration time.Duration
}

// Rendition describes one rendition as a multivariant playlist states it.
type Rendition struct {
	// Name is the rendition's folder in URLs: "source", "720p", "audio".
	Name string
	// Kind is media.Video or media.Audio. All audio renditions are one group.
	Kind media.Kind
	// Codecs is the RFC 6381 string of the rendition's own track: "avc1.64001f", "mp4a.40.2".
	Codecs string
	// Width and Height are the displayed size in square pixels; 0 for audio.
	Width, Height int
	// FrameRate is frames a second, 0 where not known or for audio.
	FrameRate float64
	// Channels is the number of audio channels, 0 for video.
	Channels int
	// Bandwidth is the largest bit rate of any segment so far, AverageBandwidth the mean over all of them,
	// bits a second of this rendition alone (RFC 8216bis §4.4.6.2). A declared rate stands in until there is
	// a segment.
	Bandwidth, AverageBandwidth int
}

// Init is an initialization section (EXT-X-MAP).
type Init struct {
	// Name is "<prefix>-init-<n>.mp4".
	Name string
	Body []byte
}

// Segment is one media segment of one rendition. Segments of all renditions of a session share Seq: the same
// number covers the same stretch of the timeline.
type Segment struct {
	Seq int64
	// Name is "<prefix>-<seq>.m4s". A gap has a name too, but nothing stands behind it.
	Name string
	// InitName is the initialization section to load first; empty for a gap before any section existed.
	InitName string
	// Body is the concatenation of the parts' bodies; nil for a gap.
	Body []byte
	// Duration is the length of the stretch of the timeline, to the nanosecond.
	Duration time.Duration
	// Start is the program date-time of the segment's first moment.
	Start time.Time
	// Discontinuity tells that EXT-X-DISCONTINUITY stands before the segment, in all renditions alike.
	Discontinuity bool
	// Gap tells that the rendition has no media here: EXT-X-GAP.
	Gap bool
	// Parts are the partial segments that Body consists of, in order.
	Parts []Part
}

// Part is one partial segment: moof and mdat.
type Part struct {
	// Offset and Size place the part inside the segment's body.
	Offset, Size int
	// Duration is the length of the part's media. The durations of a segment's parts add up to the segment's
	// where its media has no holes.
	Duration time.Duration
	// Independent tells that decoding can start with this part.
	Independent bool
}

// A Sink keeps sessions for good. It is implemented by packager/store.
type Sink interface {
	// OpenSession begins the recording of a session. It does not wait.
	OpenSession(Session) SessionSink
}

// A SessionSink takes what one session produces, from one goroutine and in order: a rendition's init before the
// first segment that names it, segments of a rendition by rising Seq without holes from 0 (a rendition that
// joins late begins with a run of gaps). No method waits: the sink queues within its own bounds and deals with
// overflow by itself.
type SessionSink interface {
	// SetRenditions states the complete list for the multivariant playlist, best first. Every rendition in it
	// has had at least one segment with media. Bandwidths change as segments come.
	SetRenditions([]Rendition)
	PutInit(rendition string, init Init)
	// PutSegment gives the rendition as it is known with this segment. The rendition may not be in
	// SetRenditions' list yet.
	PutSegment(rendition Rendition, seg Segment)
	// PutPoster gives the newest poster, a JPEG file.
	PutPoster(jpeg []byte)
	// Close ends the session: the recording becomes a complete VOD. No call follows.
	Close()
}
