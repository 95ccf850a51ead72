package fmp4

import (
	"errors"
	"fmt"

	"nova/internal/media"
)

// Codecs is the RFC 6381 name of a configuration: "avc1." with profile, constraints and level from the SPS
// (ISO/IEC 14496-15 Annex E), or "mp4a.40." with the audio object type.
func Codecs(cfg *media.CodecConfig) (string, error) {
	switch {
	case cfg == nil:
		return "", errors.New("no codec configuration")
	case cfg.Codec == media.H264:
		if len(cfg.SPS) == 0 || len(cfg.SPS[0]) < 4 {
			return "", errors.New("no SPS")
		}
		s := cfg.SPS[0]
		return fmt.Sprintf("avc1.%02x%02x%02x", s[1], s[2], s[3]), nil
	case cfg.Codec == media.AAC:
		o, err := ParseAudioObject(cfg.AudioSpecificConfig)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("mp4a.40.%d", o.Type), nil
	default:
		return "", fmt.Errorf("codec %q has no name here", cfg.Codec)
	}
}
