package rtmptest

import (
	"encoding/binary"
	"encoding/hex"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err) // a constant of this package
	}
	return b
}

// Parameter sets that x264 wrote, for pictures of 320×240 at 25 fps with B-frames and of 1280×720 at 30000/1001
// without.
var (
	SPS240 = unhex("6764000dacd94141fb011000000300100000030320f1429960")
	PPS240 = unhex("68ef8fcb")
	SPS720 = unhex("6742c01fda014016ec04400000fa40003a9823c60ca8")
	PPS720 = unhex("68ce0fc8")
)

// StereoASC is the AudioSpecificConfig of AAC-LC, 48 kHz, stereo.
var StereoASC = []byte{0x11, 0x90}

// AVCRecord is an AVCDecoderConfigurationRecord with 4-byte NAL unit lengths.
func AVCRecord(sps, pps []byte) []byte {
	b := append([]byte{1}, sps[1:4]...)
	b = append(b, 0xff, 0xe1)
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(sps))), sps...)
	return append(binary.BigEndian.AppendUint16(append(b, 1), uint16(len(pps))), pps...)
}

// AVCConfig is a video tag with a configuration record.
func AVCConfig(sps, pps []byte) []byte {
	return append([]byte{0x17, 0, 0, 0, 0}, AVCRecord(sps, pps)...)
}

// NALs puts NAL units behind 4-byte lengths.
func NALs(nals ...[]byte) []byte {
	var b []byte
	for _, n := range nals {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(n))), n...)
	}
	return b
}

// IDR is a NAL unit that calls itself an IDR slice, filled with seed, which may not be 0.
func IDR(seed byte, size int) []byte { return slice(0x65, seed, size) }

// Slice is a NAL unit that calls itself another slice.
func Slice(seed byte, size int) []byte { return slice(0x41, seed, size) }

func slice(header, seed byte, size int) []byte {
	b := make([]byte, size+3)
	b[0], b[1], b[2] = header, 0x88, 0x84 // first_mb 0, slice_type 7, pps 0
	for i := range size {
		b[3+i] = seed | byte(i)&0x0f
	}
	return b
}

// AVCFrame is a video tag with NAL units.
func AVCFrame(key bool, offset int32, nals ...[]byte) []byte {
	first := byte(0x27)
	if key {
		first = 0x17
	}
	return append([]byte{first, 1, byte(offset >> 16), byte(offset >> 8), byte(offset)}, NALs(nals...)...)
}

// AACConfig is an audio tag with an AudioSpecificConfig.
func AACConfig(asc []byte) []byte { return append([]byte{0xaf, 0}, asc...) }

// AACFrame is an audio tag with a frame filled with seed.
func AACFrame(seed byte, size int) []byte {
	b := make([]byte, 2+size)
	b[0], b[1] = 0xaf, 1
	for i := range size {
		b[2+i] = seed
	}
	return b
}
