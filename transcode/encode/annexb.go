package encode

import (
	"bytes"
	"encoding/binary"
	"iter"

	"nova/internal/media"
)

// nalForm knows the NAL unit types of H.264 (ISO/IEC 14496-10 table 7-1) or H.265 (ISO/IEC 23008-2 table 7-1).
type nalForm struct {
	vps, sps, pps, aud, sei int
	typeOf                  func(header byte) int
}

var (
	h264 = nalForm{vps: -1, sps: 7, pps: 8, aud: 9, sei: 6, typeOf: func(h byte) int { return int(h & 31) }}
	h265 = nalForm{vps: 32, sps: 33, pps: 34, aud: 35, sei: 39, typeOf: func(h byte) int { return int(h >> 1 & 63) }}
)

// nals are the NAL units of an Annex B byte stream, without start codes and trailing zeros.
func nals(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		_, rest, found := bytes.Cut(b, startCode)
		for found {
			var nal []byte
			nal, rest, found = bytes.Cut(rest, startCode)
			nal = bytes.TrimRight(nal, "\x00")
			if len(nal) > 0 && !yield(nal) {
				return
			}
		}
	}
}

var startCode = []byte{0, 0, 1}

// parameterSets adds those in b to c.
func (f *nalForm) parameterSets(b []byte, c *media.CodecConfig) {
	for nal := range nals(b) {
		switch f.typeOf(nal[0]) {
		case f.vps:
			c.VPS = append(c.VPS, bytes.Clone(nal))
		case f.sps:
			c.SPS = append(c.SPS, bytes.Clone(nal))
		case f.pps:
			c.PPS = append(c.PPS, bytes.Clone(nal))
		}
	}
}

// lengthPrefixed is the access unit in the form of media.AccessUnit.Data: 4-byte lengths, without delimiters,
// parameter sets and the encoder's own SEI message, which spells out its settings.
func (f *nalForm) lengthPrefixed(b []byte) []byte {
	out := make([]byte, 0, len(b)+16)
	for nal := range nals(b) {
		switch t := f.typeOf(nal[0]); {
		case t == f.vps, t == f.sps, t == f.pps, t == f.aud, t == f.sei && f.unregistered(nal):
			continue
		}
		out = binary.BigEndian.AppendUint32(out, uint32(len(nal)))
		out = append(out, nal...)
	}
	return out
}

// unregistered tells whether an SEI unit begins with user_data_unregistered (payload type 5).
func (f *nalForm) unregistered(nal []byte) bool {
	header := 1
	if f.vps >= 0 {
		header = 2
	}
	return len(nal) > header && nal[header] == 5
}
