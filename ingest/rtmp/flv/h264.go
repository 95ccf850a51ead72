package flv

import (
	"encoding/binary"
	"errors"
	"fmt"

	"nova/internal/media"
)

// ErrNAL tells that a frame's NAL units do not hold together.
var ErrNAL = errors.New("damaged NAL unit")

// ErrNoConfig tells that a frame came before the codec's configuration.
var ErrNoConfig = errors.New("frame before the codec's configuration")

// NAL unit types (ISO/IEC 14496-10 Table 7-1).
const (
	nalSlice    = 1
	nalIDR      = 5
	nalSPS      = 7
	nalPPS      = 8
	nalAUD      = 9
	nalLastUsed = 21
)

// H264 follows the parameter sets of one video track. The zero value waits for a configuration.
type H264 struct {
	lengthSize int
	sets       parameterSets
	config     *media.CodecConfig
}

// Configure takes an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1) and returns the configuration
// that is then in force.
func (h *H264) Configure(record []byte) (*media.CodecConfig, error) {
	lengthSize, sets, err := parseRecord(record)
	if err != nil {
		return nil, fmt.Errorf("cannot read the AVC configuration: %w", err)
	}
	config, err := sets.config()
	if err != nil {
		return nil, fmt.Errorf("cannot read the AVC configuration: %w", err)
	}
	h.lengthSize, h.sets = lengthSize, sets
	if !h.config.Equal(config) {
		h.config = config
	}
	return h.config, nil
}

// Unit makes an access unit of a frame: NAL units behind 4-byte lengths, without delimiters and parameter sets.
// Parameter sets inside that differ from the known ones give a new configuration.
func (h *H264) Unit(frame []byte) (Unit, error) {
	if h.config == nil {
		return Unit{}, ErrNoConfig
	}
	size, sets, idr := 0, h.sets, []byte(nil)
	err := h.walk(frame, func(nal []byte) error {
		switch nal[0] & 0x1f {
		case nalSPS, nalPPS:
			return sets.add(nal)
		case nalAUD:
			return nil
		case nalIDR:
			idr = nal
		}
		size += 4 + len(nal)
		return nil
	})
	if err != nil {
		return Unit{}, err
	}
	if err := h.adopt(sets, idr); err != nil {
		return Unit{}, err
	}
	return Unit{Data: h.rewrite(frame, size), Key: idr != nil, Config: h.config}, nil
}

// rewrite is the second walk over a frame that had no error: it copies what stays, size bytes with the lengths.
func (h *H264) rewrite(frame []byte, size int) []byte {
	if size == 0 {
		return nil
	}
	data := make([]byte, 0, size)
	_ = h.walk(frame, func(nal []byte) error { // the first walk saw its errors
		switch nal[0] & 0x1f {
		case nalSPS, nalPPS, nalAUD:
		default:
			data = binary.BigEndian.AppendUint32(data, uint32(len(nal)))
			data = append(data, nal...)
		}
		return nil
	})
	return data
}

// adopt takes over parameter sets that came in band, and the sequence parameter set that an IDR activates.
func (h *H264) adopt(sets parameterSets, idr []byte) error {
	if idr != nil {
		sets.activate(idr)
	}
	if !sets.changed && sets.active == h.sets.active {
		return nil
	}
	config, err := sets.config()
	if err != nil {
		return err
	}
	sets.changed = false
	h.sets = sets
	if !h.config.Equal(config) {
		h.config = config
	}
	return nil
}

// walk calls f with each NAL unit of a frame.
func (h *H264) walk(frame []byte, f func(nal []byte) error) error {
	for len(frame) > 0 {
		if len(frame) < h.lengthSize {
			return fmt.Errorf("%w: %d bytes left where a length of %d is due", ErrNAL, len(frame), h.lengthSize)
		}
		size := 0
		for _, b := range frame[:h.lengthSize] {
			size = size<<8 | int(b)
		}
		frame = frame[h.lengthSize:]
		if size > len(frame) {
			return fmt.Errorf("%w: %d bytes announced, %d left", ErrNAL, size, len(frame))
		}
		nal := frame[:size]
		frame = frame[size:]
		if size == 0 {
			continue
		}
		if kind := nal[0] & 0x1f; nal[0]&0x80 != 0 || kind < nalSlice || kind > nalLastUsed {
			return fmt.Errorf("%w: header 0x%02x", ErrNAL, nal[0])
		}
		if err := f(nal); err != nil {
			return err
		}
	}
	return nil
}
