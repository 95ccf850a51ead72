package flv

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"nova/ingest/rtmp/rtmptest"
	"nova/internal/media"
)

// bitString is a NAL unit's content as '0' and '1', to rewrite ids in.
type bitString string

func toBits(nal []byte) bitString {
	var s []byte
	for _, b := range h264.EmulationPreventionRemove(nal) {
		for i := 7; i >= 0; i-- {
			s = append(s, '0'+b>>i&1)
		}
	}
	return bitString(s)
}

func (s bitString) nal() []byte {
	for len(s)%8 != 0 {
		s += "0"
	}
	var out []byte
	zeros := 0
	for i := 0; i < len(s); i += 8 {
		var b byte
		for _, c := range s[i : i+8] {
			b = b<<1 | byte(c-'0')
		}
		if zeros == 2 && b <= 3 {
			out, zeros = append(out, 3), 0
		}
		if out = append(out, b); b == 0 {
			zeros++
		} else {
			zeros = 0
		}
	}
	return out
}

// The same parameter sets under other ids: ue(1) is 010, ue(2) is 011.
var (
	sps720as1  = (toBits(rtmptest.SPS720)[:32] + "010" + toBits(rtmptest.SPS720)[33:]).nal()
	pps1of1    = (toBits(rtmptest.PPS720)[:8] + "010" + "010" + toBits(rtmptest.PPS720)[10:]).nal()
	pps2of0    = (toBits(rtmptest.PPS720)[:8] + "011" + "1" + toBits(rtmptest.PPS720)[10:]).nal()
	sps720as32 = (toBits(rtmptest.SPS720)[:32] + "00000100001" + toBits(rtmptest.SPS720)[33:]).nal()
	idrOfPPS1  = bitString("01100101" + "1" + "0001000" + "010" + "11111").nal()
	idrOfPPS0  = bitString("01100101" + "1" + "0001000" + "1" + "1111111").nal()
)

func record(lengthSize int, sps, pps [][]byte) []byte {
	b := []byte{1, 0x64, 0, 0x1f, 0xfc | byte(lengthSize-1), 0xe0 | byte(len(sps))}
	for _, s := range sps {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
	}
	b = append(b, byte(len(pps)))
	for _, p := range pps {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(p))), p...)
	}
	return b
}

func configured(t *testing.T, rec []byte) *H264 {
	t.Helper()
	h := &H264{}
	if _, err := h.Configure(rec); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestConfigureDescribesThePicture(t *testing.T) {
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, c := range map[string]struct {
		sps  []byte
		want media.CodecConfig
	}{
		"320×240 at 25 with B-frames": {rtmptest.SPS240, media.CodecConfig{
			Width: 320, Height: 240, FrameRate: media.Rational{Num: 25, Den: 1}, SampleAspectRatio: media.Rational{Num: 1, Den: 1}, Reordered: true,
		}},
		"720p at 30000/1001": {rtmptest.SPS720, media.CodecConfig{
			Width: 1280, Height: 720, FrameRate: media.Rational{Num: 30000, Den: 1001}, SampleAspectRatio: media.Rational{Num: 1, Den: 1},
		}},
		"anamorphic": {unhex("6742c01eda02d049bff0040002d1000003000100000300320f162ea0"), media.CodecConfig{
			Width: 720, Height: 576, FrameRate: media.Rational{Num: 25, Den: 1}, SampleAspectRatio: media.Rational{Num: 64, Den: 45},
		}},
		"PQ": {unhex("6742c01fda0280bfe5c05a848804a0000003002000000c81e30654"), media.CodecConfig{
			Width: 640, Height: 360, FrameRate: media.Rational{Num: 50, Den: 1}, SampleAspectRatio: media.Rational{Num: 1, Den: 1}, HDR: true,
		}},
		"1080 is cropped from 1088": {unhex("6742c02ada01e0089f970110000003001000000780f1832a"), media.CodecConfig{
			Width: 1920, Height: 1080, FrameRate: media.Rational{Num: 60, Den: 1}, SampleAspectRatio: media.Rational{Num: 1, Den: 1},
		}},
	} {
		h := &H264{}
		got, err := h.Configure(rtmptest.AVCRecord(c.sps, rtmptest.PPS720))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := c.want
		want.Codec, want.SPS, want.PPS = media.H264, [][]byte{c.sps}, [][]byte{rtmptest.PPS720}
		if !got.Equal(&want) || got.FrameRate != want.FrameRate || got.Reordered != want.Reordered ||
			got.SampleAspectRatio != want.SampleAspectRatio || got.HDR != want.HDR {
			t.Errorf("%s:\ngot  %+v\nwant %+v", name, *got, want)
		}
	}
}

func TestUnitRewritesLengths(t *testing.T) {
	idr, slice := rtmptest.IDR(0x10, 40), rtmptest.Slice(0x20, 60)
	aud, sei := []byte{9, 0xf0}, []byte{6, 5, 1, 2, 0x80}
	for _, size := range []int{1, 2, 4} {
		h := configured(t, record(size, [][]byte{rtmptest.SPS720}, [][]byte{rtmptest.PPS720}))
		var frame []byte
		for _, nal := range [][]byte{aud, rtmptest.SPS720, rtmptest.PPS720, sei, {}, idr, slice} {
			length := binary.BigEndian.AppendUint32(nil, uint32(len(nal)))
			frame = append(append(frame, length[4-size:]...), nal...)
		}
		before := h.config
		u, err := h.Unit(frame)
		if err != nil {
			t.Fatalf("lengths of %d bytes: %v", size, err)
		}
		if want := rtmptest.NALs(sei, idr, slice); !bytes.Equal(u.Data, want) || !u.Key || cap(u.Data) != len(want) {
			t.Errorf("lengths of %d bytes: key %v, data %x, want %x", size, u.Key, u.Data, want)
		}
		if u.Config != before {
			t.Errorf("lengths of %d bytes: repeated parameter sets made a new configuration", size)
		}
	}
}

func TestOnlyIDRIsKey(t *testing.T) {
	h := configured(t, rtmptest.AVCRecord(rtmptest.SPS240, rtmptest.PPS240))
	recovery := rtmptest.NALs([]byte{6, 6, 1, 0xc4, 0x80}, rtmptest.Slice(0x20, 60)) // an open GOP's I picture
	if u, err := h.Unit(recovery); err != nil || u.Key {
		t.Errorf("got key %v, %v", u.Key, err)
	}
}

func TestParameterSetsChangeInBand(t *testing.T) {
	h := configured(t, rtmptest.AVCRecord(rtmptest.SPS240, rtmptest.PPS240))
	first := h.config
	u, err := h.Unit(rtmptest.NALs(rtmptest.SPS720, rtmptest.PPS720, rtmptest.IDR(0x10, 20)))
	if err != nil || u.Config == first || u.Config.Width != 1280 || len(u.Config.SPS) != 1 {
		t.Fatalf("got %+v, %v", u.Config, err)
	}
	if first.Width != 320 || !bytes.Equal(first.SPS[0], rtmptest.SPS240) {
		t.Error("the configuration that others hold was changed")
	}
	again, err := h.Unit(rtmptest.NALs(rtmptest.SPS720, rtmptest.PPS720, rtmptest.IDR(0x10, 20)))
	if err != nil || again.Config != u.Config {
		t.Errorf("repeated sets: %v, %v", again.Config, err)
	}
	alone, err := h.Unit(rtmptest.NALs(rtmptest.SPS240, rtmptest.PPS240))
	if err != nil || alone.Data != nil || alone.Config.Width != 320 {
		t.Errorf("sets alone: %+v, %v", alone, err)
	}
}

func TestSeveralParameterSets(t *testing.T) {
	h := configured(t, record(4, [][]byte{rtmptest.SPS240, sps720as1}, [][]byte{rtmptest.PPS240, pps1of1, pps2of0}))
	if c := h.config; c.Width != 320 || len(c.SPS) != 2 || len(c.PPS) != 3 {
		t.Fatalf("configuration %+v", c)
	}
	widths := []int{}
	for _, idr := range [][]byte{idrOfPPS0, idrOfPPS1, idrOfPPS1, idrOfPPS0} {
		u, err := h.Unit(rtmptest.NALs(idr))
		if err != nil {
			t.Fatal(err)
		}
		widths = append(widths, u.Config.Width)
	}
	if !slices.Equal(widths, []int{320, 1280, 1280, 320}) {
		t.Errorf("the active set's widths are %v", widths)
	}
}

func TestDamagedFramesChangeNothing(t *testing.T) {
	h := configured(t, rtmptest.AVCRecord(rtmptest.SPS240, rtmptest.PPS240))
	before := h.config
	good := rtmptest.NALs(rtmptest.IDR(0x10, 20))
	for name, frame := range map[string][]byte{
		"length past the end":    append(rtmptest.NALs([]byte{0x41, 1}), 0, 0, 1, 0, 0x41),
		"length of 4 GiB":        append([]byte{0xff, 0xff, 0xff, 0xff}, good...),
		"length cut":             append(bytes.Clone(good), 0, 0),
		"forbidden bit":          rtmptest.NALs([]byte{0xe5, 1, 2}),
		"type 0":                 rtmptest.NALs([]byte{0x60, 1, 2}),
		"type 31":                rtmptest.NALs([]byte{0x7f, 1, 2}),
		"broken SPS in band":     rtmptest.NALs([]byte{0x67, 0xff}, rtmptest.IDR(0x10, 20)),
		"broken PPS in band":     rtmptest.NALs([]byte{0x68}, rtmptest.IDR(0x10, 20)),
		"good SPS, broken after": append(rtmptest.NALs(rtmptest.SPS720), 0, 0, 1, 0),
		"SPS with an absurd id":  rtmptest.NALs(sps720as32, rtmptest.IDR(0x10, 20)),
		"parameter set of 5 KiB": rtmptest.NALs(append([]byte{0x68}, make([]byte, 5000)...)),
		"PPS with an absurd id":  rtmptest.NALs(bitString("01101000" + "0000000000100000000001" + "1" + "1").nal()),
	} {
		if _, err := h.Unit(frame); !errors.Is(err, ErrNAL) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	u, err := h.Unit(good)
	if err != nil || u.Config != before {
		t.Errorf("after the damage: %+v, %v", u.Config, err)
	}
}

func TestDamagedRecords(t *testing.T) {
	good := rtmptest.AVCRecord(rtmptest.SPS240, rtmptest.PPS240)
	h := configured(t, good)
	before := h.config
	for n := range len(good) {
		if _, err := h.Configure(good[:n]); err == nil {
			t.Errorf("a record cut to %d of %d bytes was taken", n, len(good))
		}
	}
	for name, rec := range map[string][]byte{
		"version 2":          append([]byte{2}, good[1:]...),
		"3-byte lengths":     record(3, [][]byte{rtmptest.SPS240}, [][]byte{rtmptest.PPS240}),
		"no sets":            record(4, nil, nil),
		"SPS in PPS's place": record(4, [][]byte{rtmptest.SPS240}, [][]byte{rtmptest.SPS240}),
		"empty SPS":          record(4, [][]byte{{}}, [][]byte{rtmptest.PPS240}),
	} {
		if _, err := h.Configure(rec); err == nil {
			t.Errorf("%s: was taken", name)
		}
	}
	if h.config != before {
		t.Error("a damaged record changed the configuration")
	}
	if again, err := h.Configure(good); err != nil || again != before {
		t.Errorf("a repeated record: %v, %v", again, err)
	}
}

func TestFrameBeforeConfiguration(t *testing.T) {
	if _, err := (&H264{}).Unit(rtmptest.NALs(rtmptest.IDR(0x10, 20))); !errors.Is(err, ErrNoConfig) {
		t.Error(err)
	}
}
