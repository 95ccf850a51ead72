package media

import (
	"bytes"
	"fmt"
	"slices"
)

// Kind says what a track carries.
type Kind uint8

// The kinds of track.
const (
	Video Kind = iota + 1
	Audio
	Image
)

func (k Kind) String() string {
	switch k {
	case Video:
		return "video"
	case Audio:
		return "audio"
	case Image:
		return "image"
	default:
		return fmt.Sprintf("Kind(%d)", uint8(k))
	}
}

// Codec names a coding format in the short form that logs and metrics use.
type Codec string

// The codecs that Nova carries.
const (
	H264 Codec = "h264"
	H265 Codec = "h265"
	AV1  Codec = "av1"
	VP9  Codec = "vp9"
	AAC  Codec = "aac"
	Opus Codec = "opus"
	JPEG Codec = "jpeg"
)

// Names of tracks. A video rung of the ladder is named after its height: "720p".
const (
	// SourceVideo is the picture as the publisher sent it.
	SourceVideo = "source"
	// SourceAudio is the sound as the publisher sent it.
	SourceAudio = "source-audio"
	// SharedAudio is the sound that all rungs of a ladder share, encoded once.
	SharedAudio = "audio"
	// Poster is a still picture of the stream, renewed every few seconds.
	Poster = "poster"
)

// VideoTimescale is the clock of every video track in ticks a second. 90 kHz holds 24, 25, 30, 50, 60 and
// n/1001 frame rates and RTMP's milliseconds without a remainder that grows.
const VideoTimescale = 90000

// Track describes one elementary stream of a live stream or of its renditions.
type Track struct {
	// ID is unique within the stream that carries the track.
	ID   int
	Kind Kind
	// Name is one of the names above or a rung's name; unique within the stream.
	Name string
	// Timescale is the number of ticks a second of PTS and DTS: VideoTimescale for video and images, the
	// sample rate for audio.
	Timescale int
	// Config is the configuration when the track was announced. Units carry the one in force.
	Config *CodecConfig
	// Bitrate is the target of an encoder, or what was measured, in bits a second; 0 where not known.
	Bitrate int
}

// Rational is a fraction, such as a frame rate or a sample aspect ratio. The zero value means "not known".
type Rational struct{ Num, Den int }

// Float is the fraction as a number; 0 where not known.
func (r Rational) Float() float64 {
	if r.Den == 0 {
		return 0
	}
	return float64(r.Num) / float64(r.Den)
}

// CodecConfig is all that a decoder needs besides access units. Immutable.
type CodecConfig struct {
	Codec Codec

	// Video. Width and Height are the displayed size in pixels, after cropping (ISO/IEC 14496-10 §7.4.2.1.1),
	// before the sample aspect ratio is applied.
	Width, Height     int
	SampleAspectRatio Rational
	// FrameRate is what the parameter sets state; {0, 0} where they state nothing.
	FrameRate Rational
	// Reordered tells that PTS and DTS may differ: the stream has B-frames.
	Reordered bool
	// VPS (H.265), SPS and PPS are whole NAL units without start codes or lengths.
	VPS, SPS, PPS [][]byte
	// HDR tells that the transfer function is PQ or HLG.
	HDR bool
	// Extra is the codec's configuration record where parameter sets do not say it all: av1C, vpcC.
	Extra []byte

	// Audio. SampleRate and Channels are those of the decoded sound (HE-AAC: after SBR and PS).
	SampleRate, Channels int
	// FrameSamples is the number of samples per channel in one access unit at the track's timescale: 1024 for
	// AAC-LC, 2048 for HE-AAC counted at its output rate.
	FrameSamples int
	// AudioSpecificConfig is the decoder configuration of ISO/IEC 14496-3 §1.6.2.1.
	AudioSpecificConfig []byte
}

// Equal tells whether a decoder set up with c can go on with o.
func (c *CodecConfig) Equal(o *CodecConfig) bool {
	if c == o {
		return true
	}
	if c == nil || o == nil {
		return false
	}
	return c.Codec == o.Codec && c.Width == o.Width && c.Height == o.Height &&
		c.SampleRate == o.SampleRate && c.Channels == o.Channels && c.FrameSamples == o.FrameSamples &&
		slices.EqualFunc(c.VPS, o.VPS, bytes.Equal) &&
		slices.EqualFunc(c.SPS, o.SPS, bytes.Equal) &&
		slices.EqualFunc(c.PPS, o.PPS, bytes.Equal) &&
		bytes.Equal(c.Extra, o.Extra) &&
		bytes.Equal(c.AudioSpecificConfig, o.AudioSpecificConfig)
}
