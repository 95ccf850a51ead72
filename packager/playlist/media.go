package playlist

import (
	"strconv"
	"time"

	"nova/packager/present"
)

// Header is the part of a media playlist before its segments.
type Header struct {
	// TargetDuration is rounded up to whole seconds (§4.4.3.1). No segment may round to more.
	TargetDuration time.Duration
	// Sequence is the number of the first segment (§4.4.3.2).
	Sequence int64
	// DiscontinuitySequence is how many discontinuities stood before segments that have left the playlist
	// (§4.4.3.3).
	DiscontinuitySequence int64
	Type                  Type
}

// Media renders a whole media playlist: the header, the segments and, where ended, EXT-X-ENDLIST. The header's
// Sequence must be the first segment's.
func Media(h Header, segments []present.Segment, ended bool) []byte {
	b := AppendHeader(make([]byte, 0, 256+160*len(segments)), h)
	initName := ""
	for i := range segments {
		b, initName = AppendSegment(b, &segments[i], initName)
	}
	if ended {
		b = AppendEnd(b)
	}
	return b
}

// AppendHeader appends the tags that apply to the whole playlist.
func AppendHeader(b []byte, h Header) []byte {
	b = append(b, "#EXTM3U\n#EXT-X-VERSION:"...)
	b = strconv.AppendInt(b, Version, 10)
	b = append(b, "\n#EXT-X-TARGETDURATION:"...)
	b = strconv.AppendInt(b, int64((h.TargetDuration+time.Second-1)/time.Second), 10)
	b = append(b, "\n#EXT-X-MEDIA-SEQUENCE:"...)
	b = strconv.AppendInt(b, h.Sequence, 10)
	if h.DiscontinuitySequence > 0 {
		b = append(b, "\n#EXT-X-DISCONTINUITY-SEQUENCE:"...)
		b = strconv.AppendInt(b, h.DiscontinuitySequence, 10)
	}
	if h.Type != Live {
		b = append(b, "\n#EXT-X-PLAYLIST-TYPE:"...)
		b = append(b, h.Type...)
	}
	return append(b, '\n')
}

// AppendSegment appends one segment with its tags (§4.4.4). initName is what the call for the segment before
// returned, empty for the first: EXT-X-MAP applies until the next one, so it is stated only where it changes.
//
// Every segment carries its program date-time: players align the renditions of a live stream by it, and a
// window may begin anywhere.
func AppendSegment(b []byte, s *present.Segment, initName string) ([]byte, string) {
	if s.Discontinuity {
		b = append(b, "#EXT-X-DISCONTINUITY\n"...)
	}
	if s.InitName != "" && s.InitName != initName {
		initName = s.InitName
		b = append(b, `#EXT-X-MAP:URI="`...)
		b = append(b, initName...)
		b = append(b, "\"\n"...)
	}
	b = append(b, "#EXT-X-PROGRAM-DATE-TIME:"...)
	b = s.Start.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	if s.Gap {
		b = append(b, "\n#EXT-X-GAP"...)
	}
	b = append(b, "\n#EXTINF:"...)
	b = strconv.AppendFloat(b, s.Duration.Seconds(), 'f', 6, 64)
	b = append(b, ",\n"...)
	b = append(b, s.Name...)
	return append(b, '\n'), initName
}

// AppendEnd appends EXT-X-ENDLIST (§4.4.3.4): no more segments will come.
func AppendEnd(b []byte) []byte { return append(b, "#EXT-X-ENDLIST\n"...) }
