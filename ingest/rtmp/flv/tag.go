// Package flv reads the audio and video tags that RTMP carries, in their legacy form and in the extended form of
// Enhanced RTMP, and makes access units of them. Pure: bytes in, values out, no clock, no I/O.
//
//	payload ──ParseVideo──▶ VideoTag ──[H264: parameter sets]──▶ Unit
//	payload ──ParseAudio──▶ AudioTag ──[AAC]───────────────────▶ Unit
//
// Any bytes may come in. A damaged tag is an error about that tag alone, and leaves the state as it was.
//
// Standards: Adobe Flash Video File Format 10.1 §E.4.2 and §E.4.3; Enhanced RTMP v2 (Veovera, 2024).
package flv

import (
	"encoding/binary"
	"errors"
	"fmt"

	"nova/internal/media"
)

// The ways in which a tag is not usable.
var (
	// ErrTruncated tells that the tag is too short for what its header announces.
	ErrTruncated = errors.New("tag is cut short")
	// ErrFormat tells that a field has a value which the format does not know.
	ErrFormat = errors.New("tag has an unknown form")
	// ErrTrack tells that the tag belongs to a further track of a multitrack stream.
	ErrTrack = errors.New("tag of a further track")
)

// UnsupportedError tells that the publisher sends a codec that Nova does not take.
type UnsupportedError struct {
	// Kind is what the codec is for.
	Kind media.Kind
	// Codec is its usual name.
	Codec string
}

func (e *UnsupportedError) Error() string {
	want := "send H.264"
	if e.Kind == media.Audio {
		want = "send AAC"
	}
	return fmt.Sprintf("%s %s is not transcoded by this server: %s", e.Codec, e.Kind, want)
}

// Packet says what a tag carries.
type Packet uint8

// The packets. What is neither configuration nor frame says nothing that a live stream needs.
const (
	PacketOther Packet = iota
	PacketConfig
	PacketFrame
)

// FourCC names a codec in the extended form.
type FourCC string

// The codecs of Enhanced RTMP.
const (
	FourCCAVC  FourCC = "avc1"
	FourCCHEVC FourCC = "hvc1"
	FourCCAV1  FourCC = "av01"
	FourCCVP8  FourCC = "vp08"
	FourCCVP9  FourCC = "vp09"
	FourCCAAC  FourCC = "mp4a"
	FourCCOpus FourCC = "Opus"
	FourCCFLAC FourCC = "fLaC"
	FourCCAC3  FourCC = "ac-3"
	FourCCEAC3 FourCC = "ec-3"
	FourCCMP3  FourCC = ".mp3"
)

// names of the codecs in messages to people.
var names = map[FourCC]string{
	FourCCAVC: "H.264", FourCCHEVC: "HEVC", FourCCAV1: "AV1", FourCCVP8: "VP8", FourCCVP9: "VP9",
	FourCCAAC: "AAC", FourCCOpus: "Opus", FourCCFLAC: "FLAC", FourCCAC3: "AC-3", FourCCEAC3: "E-AC-3", FourCCMP3: "MP3",
}

// Unit is the content of one access unit. The caller owns Data.
type Unit struct {
	// Data is as media.AccessUnit wants it. Empty where the tag held parameter sets alone.
	Data []byte
	// Key tells that decoding can start here.
	Key bool
	// Config is in force from this unit on; the same pointer as long as nothing changes.
	Config *media.CodecConfig
}

// Packet types that audio and video share in the extended form (Enhanced RTMP v2, "ExAudioTagHeader" and
// "ExVideoTagHeader").
const (
	exSequenceStart = 0
	exCodedFrames   = 1
	exModEx         = 7
)

// maxModEx bounds the chain of modifiers in front of a tag: one is defined.
const maxModEx = 8

// extended is what a tag of the extended form says after its modifiers.
type extended struct {
	packet byte
	fourCC FourCC
	body   []byte
}

// parseExtended reads the extended header behind its first byte, whose low four bits are packet. multitrack is
// the packet type that announces several tracks, which audio and video number differently.
func parseExtended(packet byte, p []byte, multitrack byte) (extended, error) {
	packet, p, err := skipModifiers(packet, p)
	if err != nil {
		return extended{}, err
	}
	if packet == multitrack {
		return parseTrack(p)
	}
	if len(p) < 4 {
		return extended{}, ErrTruncated
	}
	return extended{packet: packet, fourCC: FourCC(p[:4]), body: p[4:]}, nil
}

// skipModifiers passes over ModEx prefixes. The one that is defined adds nanoseconds to the timestamp, less
// than the milliseconds that the rest of the path counts in.
func skipModifiers(packet byte, p []byte) (byte, []byte, error) {
	for range maxModEx {
		if packet != exModEx {
			return packet, p, nil
		}
		if len(p) < 1 {
			return 0, nil, ErrTruncated
		}
		size := int(p[0]) + 1
		p = p[1:]
		if size == 256 {
			if len(p) < 2 {
				return 0, nil, ErrTruncated
			}
			size = int(binary.BigEndian.Uint16(p)) + 1
			p = p[2:]
		}
		if len(p) < size+1 {
			return 0, nil, ErrTruncated
		}
		packet, p = p[size]&0x0f, p[size+1:]
	}
	return 0, nil, fmt.Errorf("%w: too many modifiers", ErrFormat)
}

// parseTrack reads a multitrack tag that holds one track, and takes the default track alone.
func parseTrack(p []byte) (extended, error) {
	if len(p) < 6 {
		return extended{}, ErrTruncated
	}
	const oneTrack = 0
	if form := p[0] >> 4; form != oneTrack {
		return extended{}, fmt.Errorf("%w: several tracks in one tag (form %d)", ErrFormat, form)
	}
	if track := p[5]; track != 0 {
		return extended{}, fmt.Errorf("%w: track %d", ErrTrack, track)
	}
	return extended{packet: p[0] & 0x0f, fourCC: FourCC(p[1:5]), body: p[6:]}, nil
}

// codecName is the codec's usual name, or the quoted code where it is none of the known ones.
func codecName(c FourCC) string {
	if name, ok := names[c]; ok {
		return name
	}
	return fmt.Sprintf("%q", string(c))
}

// Unsupported is the error of a codec of the extended form that Nova does not take.
func Unsupported(kind media.Kind, codec FourCC) error {
	return &UnsupportedError{Kind: kind, Codec: codecName(codec)}
}
