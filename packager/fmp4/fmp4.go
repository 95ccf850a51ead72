// Package fmp4 writes CMAF (ISO/IEC 23000-19): initialization sections and fragments of one track each, as
// bytes, with nothing remembered between calls.
//
//	*media.CodecConfig ──Init──▶ ftyp moov
//	[]Sample ──AppendPart──▶ moof mdat          a segment is the concatenation of its parts
//
// # Time
//
// A player must present a sample at exactly the PTS that the stream's timeline gave it, in every rendition, or
// renditions cannot be switched and sound drifts from picture. So a track carries no edit list, and the
// composition time of a sample is its presentation time (ISO/IEC 14496-12 §8.6.5: without an edit list the
// media timeline is the presentation timeline). The decoding time in tfdt is the DTS (§8.8.12), 64 bits wide;
// the composition offset in trun is PTS − DTS, signed (version 1, §8.8.8). With B-frames the first picture is
// thus presented later than it is decoded, and nothing has to compensate for it. This is brand "cmf2" of CMAF
// (ISO/IEC 23000-19 §7.7): no edit list in video tracks, version 1 trun.
//
// tfdt is unsigned, so decoding times begin at 0. Negative offsets could make up for a later decoding time by
// the standard, but FFmpeg then presents the whole track later: callers keep DTS at or before PTS.
//
// Stage: 5/6 · In: samples of one track · Out: CMAF bytes
package fmp4

import (
	"nova/internal/media"
)

// TrackID is the track's number in every file: each file holds one track.
const TrackID = 1

// Track is what initialization sections and parts of one rendition share.
type Track struct {
	Kind media.Kind
	// Timescale is ticks a second of DTS, PTS and durations.
	Timescale int
}

// Sample is one access unit.
type Sample struct {
	// PTS and DTS are in the track's timescale.
	PTS, DTS int64
	// Duration is the time to the next sample's DTS in ticks.
	Duration int64
	// Key tells that decoding can start here.
	Key  bool
	Data []byte
}
