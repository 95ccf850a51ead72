package fmp4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"nova/internal/media"
)

// Flags of tfhd and trun (ISO/IEC 14496-12 §8.8.7, §8.8.8) and of samples (§8.8.3.1).
const (
	tfhdDefaultFlags      = 0x000020
	tfhdDefaultBaseIsMoof = 0x020000

	trunDataOffset = 0x000001
	trunDuration   = 0x000100
	trunSize       = 0x000200
	trunFlags      = 0x000400
	trunOffset     = 0x000800

	sampleSync    = 0x02000000 // depends on no other
	sampleNonSync = 0x01010000 // depends on others, not a sync sample
)

// AppendSegmentType appends the styp box (§8.16.2) that may begin a segment.
func AppendSegmentType(b []byte) []byte {
	w := &writer{b: b}
	w.box("styp", func() {
		w.str("msdh")
		w.u32(0)
		w.str("msdhcmfs")
	})
	return w.b
}

// AppendPart appends one fragment, moof and mdat (ISO/IEC 23000-19 §7.3.2), with the samples in decoding order.
// The sequence number should rise within a rendition. It fails where a number does not fit its field or a
// decoding time is negative, and then appends nothing.
func AppendPart(b []byte, t Track, sequence uint32, samples []Sample) ([]byte, error) {
	if len(samples) == 0 {
		return b, errors.New("a part without samples")
	}
	if err := checkSamples(samples); err != nil {
		return b, err
	}
	w := &writer{b: b}
	start := len(b)
	var offsetAt int
	w.box("moof", func() {
		w.full("mfhd", 0, 0, func() { w.u32(sequence) }) // §8.8.5
		w.box("traf", func() {
			w.tfhd(t)
			w.full("tfdt", 1, 0, func() { w.u64(uint64(samples[0].DTS)) }) // §8.8.12
			offsetAt = w.trun(t, samples)
		})
	})
	// The samples begin behind the moof and the header of mdat.
	binary.BigEndian.PutUint32(w.b[offsetAt:], uint32(len(w.b)-start+8))
	w.box("mdat", func() {
		for i := range samples {
			w.bytes(samples[i].Data)
		}
	})
	return w.b, nil
}

// checkSamples finds what the 32-bit fields of trun and the size of mdat cannot hold.
func checkSamples(samples []Sample) error {
	if dts := samples[0].DTS; dts < 0 {
		return fmt.Errorf("decoding time %d is negative", dts)
	}
	size := 0
	for i := range samples {
		s := &samples[i]
		size += len(s.Data)
		offset := s.PTS - s.DTS
		switch {
		case s.Duration < 0 || s.Duration > math.MaxUint32:
			return fmt.Errorf("sample %d: duration %d does not fit", i, s.Duration)
		case offset < math.MinInt32 || offset > math.MaxInt32:
			return fmt.Errorf("sample %d: composition offset %d does not fit", i, offset)
		case i > 0 && s.DTS != samples[i-1].DTS+samples[i-1].Duration:
			return fmt.Errorf("sample %d: DTS %d does not follow %d + %d",
				i, s.DTS, samples[i-1].DTS, samples[i-1].Duration)
		}
	}
	if size > math.MaxInt32-1<<20 {
		return fmt.Errorf("a part of %d bytes does not fit", size)
	}
	return nil
}

// tfhd writes the track fragment header. All sound is sync samples, so that its flags are stated once.
func (w *writer) tfhd(t Track) {
	flags := uint32(tfhdDefaultBaseIsMoof)
	if t.Kind == media.Audio {
		flags |= tfhdDefaultFlags
	}
	w.full("tfhd", 0, flags, func() {
		w.u32(TrackID)
		if t.Kind == media.Audio {
			w.u32(sampleSync)
		}
	})
}

// trun writes the table of samples and returns where its data offset stands.
func (w *writer) trun(t Track, samples []Sample) (offsetAt int) {
	flags := uint32(trunDataOffset | trunDuration | trunSize)
	video := t.Kind != media.Audio
	if video {
		flags |= trunFlags | trunOffset
	}
	w.full("trun", 1, flags, func() {
		w.u32(uint32(len(samples)))
		offsetAt = len(w.b)
		w.u32(0)
		for i := range samples {
			s := &samples[i]
			w.u32(uint32(s.Duration))
			w.u32(uint32(len(s.Data)))
			if !video {
				continue
			}
			if s.Key {
				w.u32(sampleSync)
			} else {
				w.u32(sampleNonSync)
			}
			w.u32(uint32(int32(s.PTS - s.DTS)))
		}
	})
	return offsetAt
}
