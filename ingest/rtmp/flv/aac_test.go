package flv

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"nova/ingest/rtmp/rtmptest"
)

func TestParseAudioSpecificConfig(t *testing.T) {
	for name, c := range map[string]struct {
		in                    string
		rate, channels, frame int
	}{
		"AAC-LC 48 kHz stereo":                       {"1190", 48000, 2, 1024},
		"AAC-LC 44.1 kHz mono":                       {"1208", 44100, 1, 1024},
		"AAC-LC 44.1 kHz 5.1":                        {"1230", 44100, 6, 1024},
		"AAC-LC 48 kHz 7.1":                          {"11b8", 48000, 8, 1024},
		"AAC-LC as ffmpeg writes it, no SBR":         {"119056e500", 48000, 2, 1024},
		"explicit rate of 24 bits":                   {"17805dc010", 48000, 2, 1024},
		"960 samples":                                {"1194", 48000, 2, 960},
		"HE-AAC, hierarchical signalling":            {"2b118800", 48000, 2, 2048},
		"HE-AAC, backward compatible signalling":     {"131056e598", 48000, 2, 2048},
		"HE-AACv2, hierarchical signalling":          {"eb098800", 48000, 2, 2048},
		"HE-AACv2, backward compatible signalling":   {"130856e59d4880", 48000, 2, 2048},
		"HE-AAC, implicit: the core's configuration": {"1310", 24000, 2, 1024},
		"core coder delay":                           {"119200000000", 48000, 2, 1024},
	} {
		b, err := hex.DecodeString(c.in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseAudioSpecificConfig(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.SampleRate != c.rate || got.Channels != c.channels || got.FrameSamples != c.frame || !bytes.Equal(got.AudioSpecificConfig, b) {
			t.Errorf("%s: %d Hz, %d channels, %d samples", name, got.SampleRate, got.Channels, got.FrameSamples)
		}
	}
}

// A program config element with a pair in front, a pair behind, a centre and a low frequency channel.
func TestProgramConfigElement(t *testing.T) {
	s := bitString("00010" + "0011" + "0000" + "000" + // AAC-LC, 48 kHz, layout told by the element
		"0000" + "01" + "0011" + // tag, profile, rate
		"0010" + "0000" + "0001" + "01" + "000" + "0000" + // 2 front, 0 side, 1 back, 1 LFE
		"0" + "0" + "0" + // no mixdowns
		"0" + "0000" + "1" + "0001" + // front: one, a pair
		"1" + "0010" + // back: a pair
		"0011") // LFE
	for len(s)%8 != 0 {
		s += "0"
	}
	b := append(s.nal(), 2, 'h', 'i')
	got, err := ParseAudioSpecificConfig(b)
	if err != nil || got.Channels != 6 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestBadAudioSpecificConfig(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"empty":               {nil, ErrTruncated},
		"one byte":            {[]byte{0x11}, ErrTruncated},
		"rate index 13":       {[]byte{0x16, 0x90}, errASC},
		"layout 9":            {[]byte{0x11, 0xc8}, errASC},
		"rate 0":              {[]byte{0x17, 0x80, 0, 0, 0x10}, errASC},
		"rate of 16 MHz":      {[]byte{0x17, 0xff, 0xff, 0xff, 0x90}, errASC},
		"element cut":         {[]byte{0x11, 0x80, 0x04}, ErrTruncated},
		"SBR to another rate": {[]byte{0x2b, 0x12, 0x08, 0x00}, errASC},
		"513 bytes":           {append([]byte{0x11, 0x90}, make([]byte, 511)...), errASC},
	} {
		if got, err := ParseAudioSpecificConfig(c.in); !errors.Is(err, c.want) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	_, err := ParseAudioSpecificConfig([]byte{0xf8, 0xe8, 0x50, 0x00}) // type 39, ER AAC ELD
	unsupported(t, err, "MPEG-4 object type 39")
}

func TestAACUnit(t *testing.T) {
	var a AAC
	if _, err := a.Unit([]byte{1}); !errors.Is(err, ErrNoConfig) {
		t.Error(err)
	}
	config, err := a.Configure(rtmptest.StereoASC)
	if err != nil {
		t.Fatal(err)
	}
	raw := []byte{0x21, 0x10, 0x04}
	for name, c := range map[string]struct{ in, want []byte }{
		"raw":                    {raw, raw},
		"behind ADTS":            {append([]byte{0xff, 0xf1, 0x4c, 0x80, 0x01, 0x5f, 0xfc}, raw...), raw},
		"behind ADTS with check": {append([]byte{0xff, 0xf0, 0x4c, 0x80, 0x01, 0x5f, 0xfc, 1, 2}, raw...), raw},
		"empty":                  {nil, nil},
		"ADTS alone":             {[]byte{0xff, 0xf1, 0x4c, 0x80, 0x01, 0x5f, 0xfc}, nil},
	} {
		u, err := a.Unit(c.in)
		if (err == nil) != (c.want != nil) || !bytes.Equal(u.Data, c.want) {
			t.Errorf("%s: %x, %v", name, u.Data, err)
		}
		if err == nil && (!u.Key || u.Config != config) {
			t.Errorf("%s: %+v", name, u)
		}
	}
	if again, err := a.Configure(rtmptest.StereoASC); err != nil || again != config {
		t.Error("a repeated record made a new configuration")
	}
	if _, err := a.Configure([]byte{0}); err == nil || a.config != config {
		t.Error("a damaged record changed the configuration")
	}
}
