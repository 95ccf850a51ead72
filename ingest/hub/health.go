package hub

import (
	"fmt"
	"math"
)

// Code names a kind of health warning. Codes are stable: pages and alerts go by them.
type Code string

// The health warnings.
const (
	GOPTooLong      Code = "gop_too_long"
	BFrames         Code = "b_frames"
	LowBitrate      Code = "low_bitrate"
	UnstableBitrate Code = "unstable_bitrate"
	LowFPS          Code = "low_fps"
	AVDrift         Code = "av_drift"
	Drops           Code = "drops"
	NoAudio         Code = "no_audio"
	NoVideo         Code = "no_video"
	HDR             Code = "hdr"
)

var codes = []Code{GOPTooLong, BFrames, LowBitrate, UnstableBitrate, LowFPS, AVDrift, Drops, NoAudio, NoVideo, HDR}

// Level tells how much a warning matters.
type Level string

// The levels of warnings.
const (
	LevelInfo    Level = "info"
	LevelWarning Level = "warning"
)

// Warning tells a broadcaster what to look at.
type Warning struct {
	Code  Code   `json:"code"`
	Level Level  `json:"level"`
	Text  string `json:"text"`
}

const (
	// settleSeconds is how long a stream has before rates are judged.
	settleSeconds = 10
	// silentSeconds is how long a track may be silent before it counts as missing.
	silentSeconds = 5
)

// check is the rules: a pure function of a snapshot.
func check(s StreamStats, l Limits) []Warning {
	c := checker{warnings: []Warning{}}
	c.structure(s, l)
	c.rates(s, l)
	c.presence(s)
	return c.warnings
}

type checker struct{ warnings []Warning }

func (c *checker) warn(bad bool, code Code, level Level, format string, args ...any) {
	if bad {
		c.warnings = append(c.warnings, Warning{code, level, fmt.Sprintf(format, args...)})
	}
}

func (c *checker) structure(s StreamStats, l Limits) {
	v := s.Video
	if v == nil {
		return
	}
	gop := max(v.GOPLastSeconds, v.GOPOpenSeconds)
	c.warn(gop > l.MaxGOP.Seconds(), GOPTooLong, LevelWarning,
		"keyframes come every %.1f s, set the encoder's keyframe interval to 2 s (at most %g s)", gop, l.MaxGOP.Seconds())
	c.warn(v.BFrames, BFrames, LevelInfo, "the encoder sends B-frames, which add delay; switch them off for low latency")
	c.warn(v.HDR, HDR, LevelWarning, "the picture is HDR, which cannot be transcoded; send SDR (BT.709)")
}

// toleratedDrops within ten seconds are no warning: where a player of files loops, a few sound frames overlap.
const toleratedDrops = 5

func (c *checker) rates(s StreamStats, l Limits) {
	if s.UptimeSeconds >= settleSeconds {
		if s.Video != nil && s.Video.SilentSeconds < silentSeconds {
			c.warn(s.Bitrate10s < float64(l.MinBitrate), LowBitrate, LevelWarning,
				"the bit rate is %.0f kb/s, below %d kb/s", s.Bitrate10s/1000, l.MinBitrate/1000)
			c.warn(s.Video.FPS < l.MinFPS, LowFPS, LevelWarning,
				"only %.1f frames a second arrive, below %g", s.Video.FPS, l.MinFPS)
		}
		c.warn(l.MaxVariation > 0 && s.BitrateVariation > l.MaxVariation, UnstableBitrate, LevelWarning,
			"the bit rate varies by %.0f %% from second to second; check the connection, use CBR", 100*s.BitrateVariation)
	}
	c.warn(math.Abs(s.AVDriftMS) > float64(l.MaxDrift.Milliseconds()), AVDrift, LevelWarning,
		"sound and picture have drifted apart by %.0f ms", math.Abs(s.AVDriftMS))
	c.warn(s.DroppedLately > toleratedDrops, Drops, LevelWarning,
		"%d units of the last 10 s could not be used", s.DroppedLately)
}

func (c *checker) presence(s StreamStats) {
	if s.UptimeSeconds < silentSeconds {
		return
	}
	c.warn(s.Audio == nil || s.Audio.SilentSeconds >= silentSeconds, NoAudio, LevelInfo, "no sound arrives")
	c.warn(s.Video == nil || s.Video.SilentSeconds >= silentSeconds, NoVideo, LevelInfo, "no picture arrives")
}
