package media

import "testing"

func TestConfigEqual(t *testing.T) {
	base := func() *CodecConfig {
		return &CodecConfig{Codec: H264, Width: 1280, Height: 720, SPS: [][]byte{{1, 2}}, PPS: [][]byte{{3}}}
	}
	same := base()
	same.Reordered = true // learned later, does not change the decoder
	if !base().Equal(same) {
		t.Error("equal parameter sets must compare equal")
	}
	for name, change := range map[string]func(*CodecConfig){
		"codec":  func(c *CodecConfig) { c.Codec = H265 },
		"size":   func(c *CodecConfig) { c.Width = 640 },
		"sps":    func(c *CodecConfig) { c.SPS = [][]byte{{1, 9}} },
		"pps":    func(c *CodecConfig) { c.PPS = append(c.PPS, []byte{4}) },
		"rate":   func(c *CodecConfig) { c.SampleRate = 48000 },
		"record": func(c *CodecConfig) { c.AudioSpecificConfig = []byte{0x12, 0x10} },
	} {
		other := base()
		change(other)
		if base().Equal(other) {
			t.Errorf("a changed %s must not compare equal", name)
		}
	}
	if base().Equal(nil) || !(*CodecConfig)(nil).Equal(nil) {
		t.Error("nil equals nil only")
	}
}
