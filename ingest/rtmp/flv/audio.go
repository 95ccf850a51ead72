package flv

import (
	"fmt"

	"nova/internal/media"
)

// AudioTag is one audio message.
type AudioTag struct {
	Codec  FourCC
	Packet Packet
	// Data is a configuration record or a frame in the codec's own form. It aliases the payload.
	Data []byte
}

// The sound formats of the first byte, and the packet types.
const (
	formatExtended  = 9
	formatAAC       = 10
	aacConfig       = 0
	aacFrame        = 1
	exAudioMultiple = 5
)

// legacyAudio names the sound formats that Nova does not take.
var legacyAudio = map[byte]string{
	0: "PCM", 1: "ADPCM", 2: "MP3", 3: "PCM", 4: "Nellymoser", 5: "Nellymoser", 6: "Nellymoser",
	7: "G.711 A-law", 8: "G.711 µ-law", 11: "Speex", 14: "MP3", 15: "Device-specific sound",
}

// ParseAudio reads the payload of an audio message. It returns an [*UnsupportedError] for legacy codecs other
// than AAC; those of the extended form are parsed whatever they are.
func ParseAudio(p []byte) (AudioTag, error) {
	if len(p) < 2 {
		return AudioTag{}, ErrTruncated
	}
	switch format := p[0] >> 4; format {
	case formatExtended:
		return parseExtendedAudio(p)
	case formatAAC:
		tag := AudioTag{Codec: FourCCAAC, Data: p[2:]}
		switch p[1] {
		case aacConfig:
			tag.Packet = PacketConfig
		case aacFrame:
			tag.Packet = PacketFrame
		}
		return tag, nil
	default:
		name, ok := legacyAudio[format]
		if !ok {
			return AudioTag{}, fmt.Errorf("%w: sound format %d", ErrFormat, format)
		}
		return AudioTag{}, &UnsupportedError{Kind: media.Audio, Codec: name}
	}
}

// parseExtendedAudio reads an ExAudioTagHeader (Enhanced RTMP v2).
func parseExtendedAudio(p []byte) (AudioTag, error) {
	x, err := parseExtended(p[0]&0x0f, p[1:], exAudioMultiple)
	if err != nil {
		return AudioTag{}, err
	}
	tag := AudioTag{Codec: x.fourCC, Data: x.body}
	switch x.packet {
	case exSequenceStart:
		tag.Packet = PacketConfig
	case exCodedFrames:
		tag.Packet = PacketFrame
	}
	return tag, nil
}
