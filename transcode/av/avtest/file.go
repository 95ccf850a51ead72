package avtest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"nova/internal/media"
)

// File is a demultiplexed MP4 file.
type File struct {
	Path         string
	Video, Audio []*media.AccessUnit
	// VideoConfig and AudioConfig are nil where the file has no such track.
	VideoConfig, AudioConfig *media.CodecConfig
}

type probe struct {
	Streams []struct {
		Index    int    `json:"index"`
		Kind     string `json:"codec_type"`
		Codec    string `json:"codec_name"`
		Width    int    `json:"width"`
		Height   int    `json:"height"`
		Reorder  int    `json:"has_b_frames"`
		Rate     string `json:"sample_rate"`
		Channels int    `json:"channels"`
		TimeBase string `json:"time_base"`
	} `json:"streams"`
	Packets []struct {
		Stream   int    `json:"stream_index"`
		PTS      int64  `json:"pts"`
		DTS      int64  `json:"dts"`
		Duration int64  `json:"duration"`
		Size     string `json:"size"`
		Pos      string `json:"pos"`
		Flags    string `json:"flags"`
	} `json:"packets"`
}

// Load reads an MP4 file: ffprobe tells where the samples are.
func Load(t testing.TB, path string) *File {
	t.Helper()
	var p probe
	if err := json.Unmarshal(FFprobe(t, "-of", "json", "-show_streams", "-show_packets", path), &p); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f := &File{Path: path}
	arrived := time.Unix(1_800_000_000, 0)
	for _, s := range p.Streams {
		_, den, _ := strings.Cut(s.TimeBase, "/")
		base, rate := number(t, den), 0
		cfg := &media.CodecConfig{Codec: media.Codec(s.Codec), Width: s.Width, Height: s.Height, Reordered: s.Reorder > 0}
		timescale := media.VideoTimescale
		if s.Kind == "audio" {
			rate = number(t, s.Rate)
			timescale = rate
			cfg.SampleRate, cfg.Channels, cfg.FrameSamples = rate, s.Channels, 1024
			if cfg.Codec == media.AAC {
				cfg.AudioSpecificConfig = audioSpecificConfig(t, raw)
			}
			f.AudioConfig = cfg
		} else {
			cfg.SPS, cfg.PPS = parameterSets(t, raw)
			f.VideoConfig = cfg
		}
		for _, pkt := range p.Packets {
			if pkt.Stream != s.Index {
				continue
			}
			pos, size := number(t, pkt.Pos), number(t, pkt.Size)
			u := &media.AccessUnit{
				PTS: media.Rescale(pkt.PTS, base, timescale), DTS: media.Rescale(pkt.DTS, base, timescale),
				Duration: media.Rescale(pkt.Duration, base, timescale),
				Key:      strings.HasPrefix(pkt.Flags, "K"), Config: cfg,
				Data: bytes.Clone(raw[pos : pos+size]),
			}
			u.Arrived = arrived.Add(media.Duration(u.DTS, timescale))
			if s.Kind == "audio" {
				f.Audio = append(f.Audio, u)
			} else {
				f.Video = append(f.Video, u)
			}
		}
	}
	return f
}

func number(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// parameterSets reads the avcC box, of which there is one: ISO/IEC 14496-15 §5.3.3.1.
func parameterSets(t testing.TB, raw []byte) (sps, pps [][]byte) {
	t.Helper()
	at := bytes.Index(raw, []byte("avcC"))
	if at < 0 {
		t.Fatal("the file has no avcC box")
	}
	b := raw[at+4:]
	if b[4]&3 != 3 {
		t.Fatal("lengths in the file are not of 4 bytes")
	}
	read := func(n int) (sets [][]byte) {
		for range n {
			size := binary.BigEndian.Uint16(b)
			sets = append(sets, bytes.Clone(b[2:2+size]))
			b = b[2+size:]
		}
		return sets
	}
	n := int(b[5] & 31)
	b = b[6:]
	sps = read(n)
	n = int(b[0])
	b = b[1:]
	return sps, read(n)
}

// audioSpecificConfig reads the decoder configuration of the esds box: tag 5 of ISO/IEC 14496-1 §7.2.6.6.
func audioSpecificConfig(t testing.TB, raw []byte) []byte {
	t.Helper()
	at := bytes.Index(raw, []byte("esds"))
	if at < 0 {
		t.Fatal("the file has no esds box")
	}
	b := raw[at+8 : at+64]
	at = bytes.Index(b, []byte{0x05, 0x80, 0x80, 0x80})
	if at < 0 {
		t.Fatal("the esds box has no decoder configuration")
	}
	size := int(b[at+4])
	return bytes.Clone(b[at+5 : at+5+size])
}

// AnnexB is units of H.264 as a byte stream that ffmpeg reads with -f h264.
func AnnexB(units []*media.AccessUnit) []byte {
	var out []byte
	nal := func(b []byte) { out = append(append(out, 0, 0, 0, 1), b...) }
	for i, u := range units {
		if i == 0 || u.Config != units[i-1].Config {
			for _, set := range append(append([][]byte{}, u.Config.SPS...), u.Config.PPS...) {
				nal(set)
			}
		}
		for b := u.Data; len(b) > 4; {
			size := binary.BigEndian.Uint32(b)
			nal(b[4 : 4+size])
			b = b[4+size:]
		}
	}
	return out
}

// ADTS is units of AAC-LC as a byte stream that ffmpeg reads with -f aac: ISO/IEC 13818-7 §6.2.
func ADTS(units []*media.AccessUnit) []byte {
	var out []byte
	for _, u := range units {
		asc := u.Config.AudioSpecificConfig
		index := asc[0]&7<<1 | asc[1]>>7
		channels := asc[1] >> 3 & 15
		size := len(u.Data) + 7
		out = append(out, 0xff, 0xf1, 1<<6|index<<2|channels>>2, channels<<6|byte(size>>11),
			byte(size>>3), byte(size<<5)|0x1f, 0xfc)
		out = append(out, u.Data...)
	}
	return out
}
