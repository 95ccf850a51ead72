package flv

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/bits"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"nova/internal/media"
)

// The largest ids of sequence and picture parameter sets (ISO/IEC 14496-10 §7.4.2.1.1, §7.4.2.2).
const (
	maxSPS = 31
	maxPPS = 255
)

// maxParameterSet is the longest parameter set; real ones are under 200 bytes.
const maxParameterSet = 4096

// parameterSets are all that a decoder was given, in the order of their first arrival. Copied by value: the
// slices are replaced, never written to.
type parameterSets struct {
	sps, pps []parameterSet
	// active is the id of the sequence parameter set that the pictures use.
	active  uint32
	changed bool
}

// parameterSet is one SPS or PPS.
type parameterSet struct {
	id uint32
	// refers is the SPS that a PPS belongs to.
	refers uint32
	nal    []byte
}

// add takes a parameter set in; changed tells whether it was new.
func (s *parameterSets) add(nal []byte) error {
	list := &s.pps
	if nal[0]&0x1f == nalSPS {
		list = &s.sps
	}
	if slices.ContainsFunc(*list, func(known parameterSet) bool { return bytes.Equal(known.nal, nal) }) {
		return nil
	}
	set, err := parseSet(nal)
	if err != nil {
		return err
	}
	*list = slices.Clone(*list)
	s.changed = true
	if i := slices.IndexFunc(*list, func(known parameterSet) bool { return known.id == set.id }); i >= 0 {
		(*list)[i] = set
		return nil
	}
	*list = append(*list, set)
	return nil
}

// parseSet reads the ids of a parameter set, and checks it as far as Nova looks into it.
func parseSet(nal []byte) (parameterSet, error) {
	if len(nal) > maxParameterSet {
		return parameterSet{}, fmt.Errorf("%w: parameter set of %d bytes", ErrNAL, len(nal))
	}
	if nal[0]&0x1f == nalSPS {
		sps, err := parseSPS(nal)
		if err != nil {
			return parameterSet{}, err
		}
		if sps.ID > maxSPS { // also what bounds the sets that a publisher can have kept
			return parameterSet{}, fmt.Errorf("%w: sequence parameter set %d", ErrNAL, sps.ID)
		}
		return parameterSet{id: sps.ID, nal: bytes.Clone(nal)}, nil
	}
	ids, err := golomb(nal, 2)
	if err != nil || ids[0] > maxPPS || ids[1] > maxSPS {
		return parameterSet{}, fmt.Errorf("%w: picture parameter set", ErrNAL)
	}
	return parameterSet{id: ids[0], refers: ids[1], nal: bytes.Clone(nal)}, nil
}

// activate finds the sequence parameter set of an IDR slice: first_mb_in_slice, slice_type and then the PPS's id
// (ISO/IEC 14496-10 §7.3.3).
func (s *parameterSets) activate(idr []byte) {
	fields, err := golomb(idr[:min(len(idr), 32)], 3)
	if err != nil {
		return // the decoder will tell; the sets stay as they are
	}
	for _, pps := range s.pps {
		if pps.id == fields[2] {
			for _, sps := range s.sps {
				if sps.id == pps.refers {
					s.active = sps.id
				}
			}
		}
	}
}

// config describes the active sequence parameter set.
func (s *parameterSets) config() (*media.CodecConfig, error) {
	if len(s.sps) == 0 || len(s.pps) == 0 {
		return nil, fmt.Errorf("%w: no parameter sets", ErrNoConfig)
	}
	c := &media.CodecConfig{Codec: media.H264}
	chosen := s.sps[0].nal
	for _, set := range s.sps {
		c.SPS = append(c.SPS, set.nal)
		if set.id == s.active {
			chosen = set.nal
		}
	}
	for _, set := range s.pps {
		c.PPS = append(c.PPS, set.nal)
	}
	sps, err := parseSPS(chosen)
	if err != nil {
		return nil, err
	}
	describe(c, sps)
	return c, nil
}

// golomb reads n unsigned Exp-Golomb numbers behind a NAL unit's header.
func golomb(nal []byte, n int) ([]uint32, error) {
	raw := h264.EmulationPreventionRemove(nal)
	fields, pos := make([]uint32, n), 8
	for i := range fields {
		v, err := bits.ReadGolombUnsigned(raw, &pos)
		if err != nil {
			return nil, err
		}
		fields[i] = v
	}
	return fields, nil
}

// parseRecord reads an AVCDecoderConfigurationRecord. The extension of high profiles repeats what the SPS says.
func parseRecord(p []byte) (lengthSize int, sets parameterSets, err error) {
	if len(p) < 6 {
		return 0, sets, ErrTruncated
	}
	if p[0] != 1 {
		return 0, sets, fmt.Errorf("%w: configuration version %d", ErrFormat, p[0])
	}
	lengthSize = int(p[4]&3) + 1
	if lengthSize == 3 {
		return 0, sets, fmt.Errorf("%w: NAL unit lengths of 3 bytes", ErrFormat)
	}
	rest, err := sets.addAll(p[6:], int(p[5]&0x1f), nalSPS)
	if err != nil {
		return 0, sets, err
	}
	if len(rest) < 1 {
		return 0, sets, ErrTruncated
	}
	if _, err = sets.addAll(rest[1:], int(rest[0]), nalPPS); err != nil {
		return 0, sets, err
	}
	if len(sets.sps) > 0 {
		sets.active = sets.sps[0].id
	}
	sets.changed = false
	return lengthSize, sets, nil
}

// addAll takes n parameter sets behind 2-byte lengths in, and returns what follows them.
func (s *parameterSets) addAll(p []byte, n int, kind byte) ([]byte, error) {
	for range n {
		if len(p) < 2 {
			return nil, ErrTruncated
		}
		size := int(binary.BigEndian.Uint16(p))
		if p = p[2:]; size > len(p) {
			return nil, ErrTruncated
		}
		if size == 0 || p[0]&0x1f != kind {
			return nil, fmt.Errorf("%w: not the parameter set that the record announces", ErrFormat)
		}
		if err := s.add(p[:size]); err != nil {
			return nil, err
		}
		p = p[size:]
	}
	return p, nil
}
