package flv

import (
	"fmt"

	"nova/internal/media"
)

// VideoTag is one video message.
type VideoTag struct {
	Codec  FourCC
	Packet Packet
	// CompositionOffset is presentation minus decoding time in milliseconds.
	CompositionOffset int32
	// Data is a configuration record or a frame in the codec's own form. It aliases the payload.
	Data []byte
}

// The first byte of a video tag, and the packet types of its two forms.
const (
	videoExtended   = 0x80
	frameCommand    = 5
	codecAVC        = 7
	codecHEVC       = 12 // not in the standard; widespread
	avcConfig       = 0
	avcFrame        = 1
	exCodedFramesX  = 3
	exVideoMultiple = 6
)

// legacyVideo names the codecs of the legacy form that no encoder needs any more.
var legacyVideo = map[byte]string{
	1: "JPEG", 2: "Sorenson H.263", 3: "Screen video", 4: "VP6", 5: "VP6 with alpha", 6: "Screen video 2", codecHEVC: "HEVC",
}

// maxOffset is the largest composition offset in milliseconds: 16 reordered frames at 2 frames a second. More is
// a damaged tag, whose frame would be shown hours away.
const maxOffset = 10_000

// ParseVideo reads the payload of a video message. It returns an [*UnsupportedError] for legacy codecs; those of
// the extended form are parsed whatever they are.
func ParseVideo(p []byte) (VideoTag, error) {
	tag, err := parseVideo(p)
	if err == nil && (tag.CompositionOffset > maxOffset || tag.CompositionOffset < -maxOffset) {
		return VideoTag{}, fmt.Errorf("%w: composition offset of %d ms", ErrFormat, tag.CompositionOffset)
	}
	return tag, err
}

func parseVideo(p []byte) (VideoTag, error) {
	if len(p) < 1 {
		return VideoTag{}, ErrTruncated
	}
	if p[0]&videoExtended != 0 {
		return parseExtendedVideo(p)
	}
	if p[0]>>4 == frameCommand {
		return VideoTag{Codec: FourCCAVC}, nil
	}
	if codec := p[0] & 0x0f; codec != codecAVC {
		name, ok := legacyVideo[codec]
		if !ok {
			return VideoTag{}, fmt.Errorf("%w: video codec %d", ErrFormat, codec)
		}
		return VideoTag{}, &UnsupportedError{Kind: media.Video, Codec: name}
	}
	if len(p) < 5 {
		return VideoTag{}, ErrTruncated
	}
	tag := VideoTag{Codec: FourCCAVC, CompositionOffset: int24(p[2:]), Data: p[5:]}
	switch p[1] {
	case avcConfig:
		tag.Packet = PacketConfig
	case avcFrame:
		tag.Packet = PacketFrame
	}
	return tag, nil
}

// parseExtendedVideo reads an ExVideoTagHeader (Enhanced RTMP v2).
func parseExtendedVideo(p []byte) (VideoTag, error) {
	frame, packet := p[0]>>4&7, p[0]&0x0f
	if frame == frameCommand {
		return VideoTag{}, nil
	}
	x, err := parseExtended(packet, p[1:], exVideoMultiple)
	if err != nil {
		return VideoTag{}, err
	}
	tag := VideoTag{Codec: x.fourCC, Data: x.body}
	switch x.packet {
	case exSequenceStart:
		tag.Packet = PacketConfig
	case exCodedFrames:
		tag.Packet = PacketFrame
		if x.fourCC == FourCCAVC || x.fourCC == FourCCHEVC { // only these have frames out of order
			if len(x.body) < 3 {
				return VideoTag{}, ErrTruncated
			}
			tag.CompositionOffset, tag.Data = int24(x.body), x.body[3:]
		}
	case exCodedFramesX:
		tag.Packet = PacketFrame
	}
	return tag, nil
}

// int24 is a signed 24-bit number.
func int24(b []byte) int32 {
	return int32(uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8) >> 8
}
