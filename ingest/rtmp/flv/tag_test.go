package flv

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"nova/ingest/rtmp/rtmptest"
	"nova/internal/media"
)

func unsupported(t *testing.T, err error, want string) {
	t.Helper()
	var u *UnsupportedError
	if !errors.As(err, &u) || u.Codec != want {
		t.Errorf("got %v, want codec %s refused", err, want)
	}
}

func TestParseVideo(t *testing.T) {
	body := []byte{1, 2, 3, 4}
	for name, c := range map[string]struct {
		in   string
		want VideoTag
		err  error
	}{
		"legacy configuration":        {"\x17\x00\x00\x00\x00\x01\x02\x03\x04", VideoTag{FourCCAVC, PacketConfig, 0, body}, nil},
		"legacy frame":                {"\x27\x01\x00\x00\x50\x01\x02\x03\x04", VideoTag{FourCCAVC, PacketFrame, 80, body}, nil},
		"negative offset":             {"\x27\x01\xff\xff\xff\x01\x02\x03\x04", VideoTag{FourCCAVC, PacketFrame, -1, body}, nil},
		"offset of an hour":           {"\x27\x01\x36\xee\x80\x01", VideoTag{}, ErrFormat},
		"offset of minus an hour":     {"\xa1avc1\xc9\x11\x80\x01", VideoTag{}, ErrFormat},
		"legacy end":                  {"\x17\x02\x00\x00\x00", VideoTag{Codec: FourCCAVC, Data: []byte{}}, nil},
		"command frame":               {"\x57\x00", VideoTag{Codec: FourCCAVC}, nil},
		"extended configuration":      {"\x90avc1\x01\x02\x03\x04", VideoTag{FourCCAVC, PacketConfig, 0, body}, nil},
		"extended frame":              {"\xa1avc1\xff\xff\xb0\x01\x02\x03\x04", VideoTag{FourCCAVC, PacketFrame, -80, body}, nil},
		"frame without offset":        {"\xa3avc1\x01\x02\x03\x04", VideoTag{FourCCAVC, PacketFrame, 0, body}, nil},
		"HEVC frame":                  {"\xa1hvc1\x00\x00\x28\x01\x02\x03\x04", VideoTag{FourCCHEVC, PacketFrame, 40, body}, nil},
		"AV1 frame has no offset":     {"\x91av01\x01\x02\x03\x04", VideoTag{FourCCAV1, PacketFrame, 0, body}, nil},
		"VP9 configuration":           {"\x90vp09\x01\x02\x03\x04", VideoTag{FourCCVP9, PacketConfig, 0, body}, nil},
		"extended metadata":           {"\x94avc1\x01\x02\x03\x04", VideoTag{FourCCAVC, PacketOther, 0, body}, nil},
		"extended command":            {"\xd0\x00", VideoTag{}, nil},
		"one modifier":                {"\x97\x02\x01\x02\x03\x01avc1\x00\x00\x01\x01\x02\x03\x04", VideoTag{FourCCAVC, PacketFrame, 1, body}, nil},
		"modifier of 300 bytes":       {"\x97\xff\x01\x2b" + strings.Repeat("x", 300) + "\x03avc1\x01\x02\x03\x04", VideoTag{FourCCAVC, PacketFrame, 0, body}, nil},
		"one track":                   {"\x96\x01avc1\x00\x00\x00\x01\x01\x02\x03\x04", VideoTag{FourCCAVC, PacketFrame, 1, body}, nil},
		"a second track":              {"\x96\x01avc1\x01\x00\x00\x01\x01\x02\x03\x04", VideoTag{}, ErrTrack},
		"many tracks":                 {"\x96\x11avc1\x00\x00\x00\x04\x01\x02\x03\x04", VideoTag{}, ErrFormat},
		"endless modifiers":           {"\x97" + strings.Repeat("\x00x\x07", 20), VideoTag{}, ErrFormat},
		"nothing":                     {"", VideoTag{}, ErrTruncated},
		"legacy cut short":            {"\x17\x01\x00", VideoTag{}, ErrTruncated},
		"four-character code cut":     {"\x90avc", VideoTag{}, ErrTruncated},
		"offset cut":                  {"\x91avc1\x00", VideoTag{}, ErrTruncated},
		"modifier cut":                {"\x97\x05\x01", VideoTag{}, ErrTruncated},
		"modifier without size":       {"\x97", VideoTag{}, ErrTruncated},
		"long modifier without size":  {"\x97\xff\x01", VideoTag{}, ErrTruncated},
		"track cut":                   {"\x96\x01avc1", VideoTag{}, ErrTruncated},
		"codec that nobody defined":   {"\x1f\x00\x00\x00\x00", VideoTag{}, ErrFormat},
		"codec number 0 with a frame": {"\x10\x00\x00\x00\x00", VideoTag{}, ErrFormat},
	} {
		got, err := ParseVideo([]byte(c.in))
		if !errors.Is(err, c.err) || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, %v, want %+v, %v", name, got, err, c.want, c.err)
		}
	}
	for codec, want := range map[byte]string{2: "Sorenson H.263", 4: "VP6", 12: "HEVC"} {
		_, err := ParseVideo([]byte{0x10 | codec, 0, 0, 0, 0})
		unsupported(t, err, want)
	}
}

func TestParseAudio(t *testing.T) {
	body := []byte{1, 2, 3}
	for name, c := range map[string]struct {
		in   string
		want AudioTag
		err  error
	}{
		"legacy configuration":   {"\xaf\x00\x01\x02\x03", AudioTag{FourCCAAC, PacketConfig, body}, nil},
		"legacy frame":           {"\xaf\x01\x01\x02\x03", AudioTag{FourCCAAC, PacketFrame, body}, nil},
		"legacy unknown packet":  {"\xaf\x07\x01\x02\x03", AudioTag{FourCCAAC, PacketOther, body}, nil},
		"extended configuration": {"\x90mp4a\x01\x02\x03", AudioTag{FourCCAAC, PacketConfig, body}, nil},
		"extended frame":         {"\x91mp4a\x01\x02\x03", AudioTag{FourCCAAC, PacketFrame, body}, nil},
		"Opus":                   {"\x91Opus\x01\x02\x03", AudioTag{FourCCOpus, PacketFrame, body}, nil},
		"multichannel layout":    {"\x94mp4a\x01\x02\x03", AudioTag{FourCCAAC, PacketOther, body}, nil},
		"modifier":               {"\x97\x00x\x01mp4a\x01\x02\x03", AudioTag{FourCCAAC, PacketFrame, body}, nil},
		"one track":              {"\x95\x01mp4a\x00\x01\x02\x03", AudioTag{FourCCAAC, PacketFrame, body}, nil},
		"a second track":         {"\x95\x01mp4a\x03\x01\x02\x03", AudioTag{}, ErrTrack},
		"nothing":                {"", AudioTag{}, ErrTruncated},
		"cut short":              {"\xaf", AudioTag{}, ErrTruncated},
		"sound format 12":        {"\xc0\x00", AudioTag{}, ErrFormat},
	} {
		got, err := ParseAudio([]byte(c.in))
		if !errors.Is(err, c.err) || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, %v, want %+v, %v", name, got, err, c.want, c.err)
		}
	}
	for format, want := range map[byte]string{2: "MP3", 11: "Speex", 7: "G.711 A-law", 6: "Nellymoser"} {
		_, err := ParseAudio([]byte{format<<4 | 0x0f, 0})
		unsupported(t, err, want)
	}
}

func TestUnsupportedSaysWhatToSend(t *testing.T) {
	for want, err := range map[string]error{
		"HEVC video is not transcoded by this server: send H.264":   Unsupported(media.Video, FourCCHEVC),
		"Opus audio is not transcoded by this server: send AAC":     Unsupported(media.Audio, FourCCOpus),
		`"xyz1" video is not transcoded by this server: send H.264`: Unsupported(media.Video, "xyz1"),
	} {
		if err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
}

// No payload makes the parsers, or the codecs behind them, panic. What they give out holds together: NAL units
// that fill the data, and a configuration.
func FuzzTags(f *testing.F) {
	f.Add(rtmptest.AVCConfig(rtmptest.SPS240, rtmptest.PPS240), rtmptest.AVCFrame(true, 40, rtmptest.IDR(0x10, 50)))
	f.Add(rtmptest.AVCConfig(rtmptest.SPS720, rtmptest.PPS720), rtmptest.AVCFrame(true, 0, rtmptest.SPS240, rtmptest.PPS240, rtmptest.IDR(0x10, 9)))
	f.Add(rtmptest.AACConfig(rtmptest.StereoASC), rtmptest.AACFrame(0x21, 30))
	f.Add([]byte("\x97\x02\x01\x02\x03\x00avc1"), []byte("\x96\x01avc1\x00\x00\x00\x01\x01\x02\x03\x04"))
	f.Add([]byte("\x90mp4a\x2b\x92\x08\x00"), []byte("\xaf\x01\xff\xf1\x50\x80\x02\x00\xfc\x21"))
	f.Fuzz(func(t *testing.T, config, frame []byte) {
		var video H264
		var audio AAC
		for _, payload := range [][]byte{config, frame, config, frame} {
			if tag, err := ParseVideo(payload); err == nil {
				fuzzVideo(t, &video, tag)
			}
			if tag, err := ParseAudio(payload); err == nil {
				fuzzAudio(t, &audio, tag)
			}
		}
	})
}

func fuzzVideo(t *testing.T, h *H264, tag VideoTag) {
	t.Helper()
	if tag.Packet == PacketConfig {
		if c, err := h.Configure(tag.Data); err == nil && (c.Width < 16 || c.Height < 16 || len(c.SPS) == 0 || len(c.PPS) == 0) {
			t.Fatalf("configuration without content: %+v", c)
		}
		return
	}
	u, err := h.Unit(tag.Data)
	if err != nil {
		return
	}
	if u.Config == nil {
		t.Fatal("unit without a configuration")
	}
	walker := H264{lengthSize: 4}
	if err := walker.walk(u.Data, func(nal []byte) error {
		if k := nal[0] & 0x1f; k == nalSPS || k == nalPPS || k == nalAUD {
			t.Fatalf("NAL unit of type %d was left in", k)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func fuzzAudio(t *testing.T, a *AAC, tag AudioTag) {
	t.Helper()
	if tag.Packet == PacketConfig {
		if c, err := a.Configure(tag.Data); err == nil && (c.SampleRate < 7350 || c.Channels < 1 || c.FrameSamples < 960) {
			t.Fatalf("configuration without content: %+v", c)
		}
		return
	}
	if u, err := a.Unit(tag.Data); err == nil && (len(u.Data) == 0 || u.Config == nil || !bytes.HasSuffix(tag.Data, u.Data)) {
		t.Fatalf("unit %+v of %x", u, tag.Data)
	}
}
