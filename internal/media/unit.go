// Package media holds the words that every stage shares: a track, its codec configuration, an access unit
// and the time base that they are counted in. It imports the standard library only.
//
// An [AccessUnit] and a [CodecConfig] are immutable once they have been handed to another goroutine: they are
// shared by pointer between all readers of a stream, and nobody copies or changes them.
package media

import "time"

// AccessUnit is one coded picture, one coded audio frame or one still image, with its decoding and its
// presentation time.
type AccessUnit struct {
	// Track is the ID of the [Track] that the unit belongs to.
	Track int
	// PTS and DTS are presentation and decoding time in the track's timescale, counted from the start of the
	// stream's session. All tracks of a stream share one origin. DTS strictly increases within a track.
	PTS, DTS int64
	// Duration is the time to the next unit in the track's timescale; 0 where the sender does not know it.
	Duration int64
	// Key tells that decoding can start here: an IDR picture. Always true for audio and images.
	Key bool
	// Discontinuity tells that the source's clock or its codec configuration broke right before this unit.
	// PTS and DTS go on increasing all the same.
	Discontinuity bool
	// Config is the codec configuration in force. A changed configuration is a new pointer.
	Config *CodecConfig
	// Data is the coded payload. H.264 and H.265: NAL units, each behind a 4-byte big-endian length, without
	// access unit delimiters and without parameter sets (those are in Config). AAC: one raw frame
	// (ISO/IEC 14496-3 §4.4.2.1), no ADTS header. JPEG: the file.
	Data []byte
	// Arrived is when the first byte's message was complete at ingest: the zero of every inside delay.
	Arrived time.Time
}

// Size is the number of bytes that the unit is charged with in a queue.
func (u *AccessUnit) Size() int { return len(u.Data) + 128 }
