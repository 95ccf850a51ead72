package fmp4

import (
	"errors"
	"fmt"
	"math"

	"nova/internal/media"
)

// Audio object types (ISO/IEC 14496-3 §1.5.1.1).
const (
	objectLC  = 2
	objectSBR = 5
	objectPS  = 29
)

// AudioObject is what an AudioSpecificConfig says about the coding.
type AudioObject struct {
	// Type is the audio object type that a player must know: 2 AAC-LC, 5 HE-AAC, 29 HE-AAC v2.
	Type int
	// ChannelConfig is channelConfiguration: 1 mono, 2 stereo, 0 where a program config element says it.
	ChannelConfig int
}

// LC tells whether this is AAC-LC and nothing on top of it.
func (o AudioObject) LC() bool { return o.Type == objectLC }

// ParseAudioObject reads the beginning of an AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1): object type,
// sampling frequency, channels and the spectral band replication that may be signalled around or behind them.
func ParseAudioObject(asc []byte) (AudioObject, error) {
	r := bitReader{b: asc}
	object := r.objectType()
	r.frequency()
	o := AudioObject{Type: object, ChannelConfig: r.read(4)}
	switch object {
	case objectSBR, objectPS:
		r.frequency()
		r.objectType()
	case objectLC:
		o.Type = r.backwardCompatible(object)
	}
	if r.short {
		return AudioObject{}, errors.New("cannot read AudioSpecificConfig: it is too short")
	}
	return o, nil
}

// bitReader reads bits from the most significant down. Past the end it reads zeros and says short.
type bitReader struct {
	b     []byte
	at    int
	short bool
}

func (r *bitReader) left() int { return len(r.b)*8 - r.at }

func (r *bitReader) read(n int) int {
	v := 0
	for range n {
		bit := 0
		if r.at < len(r.b)*8 {
			bit = int(r.b[r.at/8]>>(7-r.at%8)) & 1
		} else {
			r.short = true
		}
		v = v<<1 | bit
		r.at++
	}
	return v
}

func (r *bitReader) objectType() int {
	if t := r.read(5); t != 31 {
		return t
	}
	return 32 + r.read(6)
}

func (r *bitReader) frequency() {
	if r.read(4) == 15 {
		r.read(24)
	}
}

// backwardCompatible looks behind the GASpecificConfig for the sync extensions 0x2b7 and 0x548, which old
// players do not read (§1.6.5.3). Without them the object stays what it is.
func (r *bitReader) backwardCompatible(object int) int {
	r.read(1) // frameLengthFlag
	if r.read(1) == 1 {
		r.read(14) // coreCoderDelay
	}
	r.read(1) // extensionFlag, 0 for AAC-LC
	if r.left() < 16 || r.read(11) != 0x2b7 || r.objectType() != objectSBR {
		return object
	}
	if r.left() < 5 || r.read(1) == 0 {
		return object
	}
	r.frequency()
	if r.left() >= 12 && r.read(11) == 0x548 && r.read(1) == 1 {
		return objectPS
	}
	return objectSBR
}

// mp4a writes the audio sample entry (ISO/IEC 14496-12 §12.2.3, ISO/IEC 14496-14 §5.6).
func mp4a(t Track, cfg *media.CodecConfig) ([]byte, error) {
	if _, err := ParseAudioObject(cfg.AudioSpecificConfig); err != nil {
		return nil, err
	}
	if len(cfg.AudioSpecificConfig) > 1024 {
		return nil, fmt.Errorf("an AudioSpecificConfig of %d bytes is too long", len(cfg.AudioSpecificConfig))
	}
	if cfg.Channels < 0 || cfg.Channels > math.MaxUint16 {
		return nil, fmt.Errorf("%d channels are out of range", cfg.Channels)
	}
	w := &writer{}
	w.box("mp4a", func() {
		w.zero(6)
		w.u16(1) // data reference
		w.zero(8)
		w.u16(uint16(cfg.Channels))
		w.u16(16)
		w.zero(4)
		if t.Timescale <= math.MaxUint16 {
			w.u32(uint32(t.Timescale) << 16)
		} else {
			w.u32(0) // 88.2 and 96 kHz do not fit 16.16 bits: the AudioSpecificConfig says it
		}
		w.full("esds", 0, 0, func() { w.esDescriptor(cfg.AudioSpecificConfig) })
	})
	return w.b, nil
}

// esDescriptor writes the ES_Descriptor (ISO/IEC 14496-1 §7.2.6.5).
func (w *writer) esDescriptor(asc []byte) {
	const head = 5 // tag and a length of four bytes
	config := 13 + head + len(asc)
	w.descriptor(3, 3+head+config+head+1)
	w.u16(0) // ES_ID is 0 in a file
	w.u8(0)
	w.descriptor(4, config)
	w.u8(0x40)     // ISO/IEC 14496-3 audio
	w.u8(5<<2 | 1) // audio stream
	w.zero(3 + 4 + 4)
	w.descriptor(5, len(asc))
	w.bytes(asc)
	w.descriptor(6, 1)
	w.u8(2) // SLConfig of MP4 files
}

// descriptor writes a tag and the expandable length (ISO/IEC 14496-1 §8.3.3).
func (w *writer) descriptor(tag uint8, n int) {
	w.u8(tag, uint8(n>>21)&0x7f|0x80, uint8(n>>14)&0x7f|0x80, uint8(n>>7)&0x7f|0x80, uint8(n)&0x7f)
}
