package flv

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/bits"

	"nova/internal/media"
)

// AAC follows the configuration of one AAC track. The zero value waits for a configuration.
type AAC struct {
	config *media.CodecConfig
}

// Configure takes an AudioSpecificConfig and returns the configuration that is then in force.
func (a *AAC) Configure(record []byte) (*media.CodecConfig, error) {
	config, err := ParseAudioSpecificConfig(record)
	if err != nil {
		return nil, fmt.Errorf("cannot read the AAC configuration: %w", err)
	}
	if !a.config.Equal(config) {
		a.config = config
	}
	return a.config, nil
}

// Unit makes an access unit of a frame. Some encoders leave an ADTS header in front of it, which a raw frame
// cannot begin with: it would be an empty one.
func (a *AAC) Unit(frame []byte) (Unit, error) {
	if a.config == nil {
		return Unit{}, ErrNoConfig
	}
	if len(frame) >= 7 && frame[0] == 0xff && frame[1]&0xf6 == 0xf0 {
		header := 7
		if frame[1]&1 == 0 {
			header = 9 // with a checksum
		}
		frame = frame[min(header, len(frame)):]
	}
	if len(frame) == 0 {
		return Unit{}, ErrTruncated
	}
	return Unit{Data: bytes.Clone(frame), Key: true, Config: a.config}, nil
}

// Audio object types (ISO/IEC 14496-3 Table 1.17).
const (
	aotMain = 1
	aotLC   = 2
	aotLTP  = 4
	aotSBR  = 5
	aotPS   = 29
)

var (
	sampleRates = [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}
	// channelCounts by channelConfiguration (Table 1.19); 0 is told by a program config element.
	channelCounts = [...]int{0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 0, 8}
)

// specificConfig is what an AudioSpecificConfig says.
type specificConfig struct {
	object        int
	coreRate      int
	channels      int
	frame         int
	sbr, ps       bool
	extensionRate int
}

// ParseAudioSpecificConfig reads the configuration of ISO/IEC 14496-3 §1.6.2.1. HE-AAC is known by either form of
// explicit signalling. With implicit signalling nothing tells it before decoding: the configuration is then that
// of the AAC-LC core, whose timeline is right.
func ParseAudioSpecificConfig(b []byte) (*media.CodecConfig, error) {
	if len(b) > maxConfig {
		return nil, fmt.Errorf("%w: %d bytes", errASC, len(b))
	}
	r := bitReader{buf: b}
	s, err := r.specificConfig()
	if err != nil {
		return nil, err
	}
	c := &media.CodecConfig{
		Codec: media.AAC, SampleRate: s.coreRate, Channels: s.channels, FrameSamples: s.frame,
		AudioSpecificConfig: bytes.Clone(b),
	}
	if s.sbr {
		c.SampleRate = s.extensionRate
		c.FrameSamples = s.frame * s.extensionRate / s.coreRate
	}
	if s.ps && s.channels == 1 {
		c.Channels = 2
	}
	return c, nil
}

// bitReader reads fields; after the first error all fields are 0.
type bitReader struct {
	buf []byte
	pos int
	err error
}

// maxConfig holds a program config element with all that it may list and the longest comment.
const maxConfig = 512

var errASC = errors.New("AudioSpecificConfig is not valid")

func (r *bitReader) bits(n int) int {
	if r.err != nil {
		return 0
	}
	v, err := bits.ReadBits(r.buf, &r.pos, n)
	if err != nil {
		r.err = fmt.Errorf("%w: %w", errASC, ErrTruncated)
		return 0
	}
	return int(v)
}

func (r *bitReader) left() int { return len(r.buf)*8 - r.pos }

func (r *bitReader) objectType() int {
	if t := r.bits(5); t != 31 {
		return t
	}
	return 32 + r.bits(6)
}

func (r *bitReader) sampleRate() int {
	i := r.bits(4)
	switch {
	case i == 15:
		return r.bits(24)
	case i < len(sampleRates):
		return sampleRates[i]
	default:
		return 0
	}
}

func (r *bitReader) specificConfig() (specificConfig, error) {
	var s specificConfig
	s.object = r.objectType()
	s.coreRate = r.sampleRate()
	layout := r.bits(4)
	if s.object == aotSBR || s.object == aotPS {
		s.sbr, s.ps = true, s.object == aotPS
		s.extensionRate = r.sampleRate()
		s.object = r.objectType()
	}
	if r.err == nil && s.object != aotLC && s.object != aotMain && s.object != aotLTP {
		return s, &UnsupportedError{Kind: media.Audio, Codec: fmt.Sprintf("MPEG-4 object type %d", s.object)}
	}
	r.generalAudio(&s, layout)
	if !s.sbr {
		r.syncExtension(&s)
	}
	if r.err != nil {
		return s, r.err
	}
	return s, s.check()
}

// generalAudio reads a GASpecificConfig (ISO/IEC 14496-3 §4.4.1).
func (r *bitReader) generalAudio(s *specificConfig, layout int) {
	s.frame = 1024
	if r.bits(1) == 1 {
		s.frame = 960
	}
	if r.bits(1) == 1 {
		r.bits(14) // coreCoderDelay
	}
	r.bits(1) // extensionFlag: 0 for these object types
	switch {
	case layout == 0:
		s.channels = r.programConfig()
	case layout < len(channelCounts):
		s.channels = channelCounts[layout]
	}
}

// programConfig counts the channels of a program config element (ISO/IEC 14496-3 §4.4.1.1). Elements with
// coupling channels and mixdowns are read up to there.
func (r *bitReader) programConfig() int {
	r.bits(4 + 2 + 4) // element_instance_tag, object_type, sampling_frequency_index
	front, side, back := r.bits(4), r.bits(4), r.bits(4)
	lfe, data, coupling := r.bits(2), r.bits(3), r.bits(4)
	for _, width := range []int{4, 4, 3} { // mono, stereo and matrix mixdown
		if r.bits(1) == 1 {
			r.bits(width)
		}
	}
	channels := lfe
	for range front + side + back {
		channels += 1 + r.bits(1) // is_cpe
		r.bits(4)
	}
	for range lfe + data {
		r.bits(4)
	}
	for range coupling {
		r.bits(5)
	}
	if r.err == nil {
		r.pos = (r.pos + 7) / 8 * 8
		comment := r.bits(8)
		r.pos += 8 * min(comment, r.left()/8)
	}
	return channels
}

// syncExtension reads the backward compatible signalling of SBR and PS behind the configuration.
func (r *bitReader) syncExtension(s *specificConfig) {
	const sbrSync, psSync = 0x2b7, 0x548
	if r.err != nil || r.left() < 16 || r.bits(11) != sbrSync || r.objectType() != aotSBR {
		return
	}
	if s.sbr = r.bits(1) == 1; !s.sbr {
		return
	}
	s.extensionRate = r.sampleRate()
	if r.left() >= 12 && r.bits(11) == psSync {
		s.ps = r.bits(1) == 1
	}
}

func (s *specificConfig) check() error {
	const slowest, fastest = 7350, 96000
	switch {
	case s.coreRate < slowest || s.coreRate > fastest:
		return fmt.Errorf("%w: sample rate %d", errASC, s.coreRate)
	case s.sbr && s.extensionRate != s.coreRate && s.extensionRate != 2*s.coreRate:
		return fmt.Errorf("%w: SBR from %d to %d Hz", errASC, s.coreRate, s.extensionRate)
	case s.sbr && s.extensionRate > fastest:
		return fmt.Errorf("%w: sample rate %d", errASC, s.extensionRate)
	case s.channels < 1 || s.channels > 8:
		return fmt.Errorf("%w: %d channels", errASC, s.channels)
	}
	return nil
}
