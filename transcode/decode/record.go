package decode

import (
	"encoding/binary"
	"fmt"

	"nova/internal/media"
)

// record is the configuration record that libavcodec reads from a context's extradata.
func record(cfg *media.CodecConfig) ([]byte, error) {
	switch cfg.Codec {
	case media.H264:
		return avcC(cfg)
	case media.H265:
		return hvcC(cfg)
	case media.AAC:
		if len(cfg.AudioSpecificConfig) == 0 {
			return nil, fmt.Errorf("cannot decode aac: the configuration has no AudioSpecificConfig")
		}
		return cfg.AudioSpecificConfig, nil
	case media.Opus:
		return opusHead(cfg), nil
	default:
		return cfg.Extra, nil
	}
}

// avcC is the AVCDecoderConfigurationRecord of ISO/IEC 14496-15 §5.3.3.1, with lengths of 4 bytes.
func avcC(cfg *media.CodecConfig) ([]byte, error) {
	if len(cfg.SPS) == 0 || len(cfg.SPS[0]) < 4 || len(cfg.PPS) == 0 {
		return nil, fmt.Errorf("cannot decode h264: the configuration has no whole SPS and PPS")
	}
	if len(cfg.SPS) > 31 || len(cfg.PPS) > 255 {
		return nil, fmt.Errorf("cannot decode h264: %d SPS and %d PPS", len(cfg.SPS), len(cfg.PPS))
	}
	b := []byte{1, cfg.SPS[0][1], cfg.SPS[0][2], cfg.SPS[0][3], 0xfc | 3, 0xe0 | byte(len(cfg.SPS))}
	b, err := appendSets(b, cfg.SPS)
	if err != nil {
		return nil, err
	}
	return appendSets(append(b, byte(len(cfg.PPS))), cfg.PPS)
}

// hvcC is the HEVCDecoderConfigurationRecord of ISO/IEC 14496-15 §8.3.3.1. The profile, tier and level that a
// muxer would repeat in front stay 0: the decoder takes them from the SPS.
func hvcC(cfg *media.CodecConfig) ([]byte, error) {
	if len(cfg.VPS) == 0 || len(cfg.SPS) == 0 || len(cfg.PPS) == 0 {
		return nil, fmt.Errorf("cannot decode h265: the configuration has no whole VPS, SPS and PPS")
	}
	b := make([]byte, 21, 256)
	b[0] = 1
	b = append(b, 0xfc|3, 3)
	for _, set := range []struct {
		kind byte
		nals [][]byte
	}{{32, cfg.VPS}, {33, cfg.SPS}, {34, cfg.PPS}} {
		b = append(b, 0x80|set.kind)
		b = binary.BigEndian.AppendUint16(b, uint16(len(set.nals)))
		var err error
		if b, err = appendSets(b, set.nals); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func appendSets(b []byte, sets [][]byte) ([]byte, error) {
	for _, set := range sets {
		if len(set) == 0 || len(set) > 0xffff {
			return nil, fmt.Errorf("cannot decode: a parameter set of %d bytes", len(set))
		}
		b = binary.BigEndian.AppendUint16(b, uint16(len(set)))
		b = append(b, set...)
	}
	return b, nil
}

// opusHead is the identification header of RFC 7845 §5.1, without pre-skip: RTP and RTMP have none.
func opusHead(cfg *media.CodecConfig) []byte {
	if len(cfg.Extra) > 0 {
		return cfg.Extra
	}
	b := append([]byte("OpusHead"), 1, byte(cfg.Channels), 0, 0)
	b = binary.LittleEndian.AppendUint32(b, 48000)
	return append(b, 0, 0, 0)
}
