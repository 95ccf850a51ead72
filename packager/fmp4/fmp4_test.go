package fmp4

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	reader "github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"nova/internal/media"
	"nova/internal/testkit"
)

// run starts ffmpeg or ffprobe. What it complains about fails the test.
func run(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(cmp.Or(os.Getenv("NOVA_"+strings.ToUpper(name)), name), append([]string{"-v", "error"}, args...)...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil || complaints.Len() > 0 {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, complaints.String())
	}
	return out.Bytes()
}

// encode makes a clip of one track.
func encode(t testing.TB, args string) (media.Track, []*media.AccessUnit) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clip.mp4")
	run(t, "ffmpeg", append(strings.Fields(args), path)...)
	c, err := testkit.ReadClip(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Tracks) != 1 {
		t.Fatalf("%d tracks", len(c.Tracks))
	}
	return c.Tracks[0], c.Units
}

// samplesOf are the units as samples: each lasts until the next one's DTS.
func samplesOf(list []*media.AccessUnit, shift int64) []Sample {
	var out []Sample
	for i, u := range list {
		d := u.Duration
		if i+1 < len(list) {
			d = list[i+1].DTS - u.DTS
		}
		out = append(out, Sample{PTS: u.PTS + shift, DTS: u.DTS + shift, Duration: d, Key: u.Key, Data: u.Data})
	}
	return out
}

// file writes the samples as a file in parts of n.
func file(t testing.TB, tr Track, cfg *media.CodecConfig, samples []Sample, n int) (init, segment []byte, path string) {
	t.Helper()
	init, err := Init(tr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	segment = AppendSegmentType(nil)
	seq := uint32(0)
	for part := range slices.Chunk(samples, n) {
		seq++
		if segment, err = AppendPart(segment, tr, seq, part); err != nil {
			t.Fatal(err)
		}
	}
	path = filepath.Join(t.TempDir(), "out.mp4")
	if err := os.WriteFile(path, slices.Concat(init, segment), 0o600); err != nil {
		t.Fatal(err)
	}
	return init, segment, path
}

// packet is what ffprobe says of a sample.
type packet struct {
	PTS      int64  `json:"pts"`
	DTS      int64  `json:"dts"`
	Duration int64  `json:"duration"`
	Size     string `json:"size"`
	Flags    string `json:"flags"`
}

func probe(t testing.TB, path string) []packet {
	var out struct {
		Packets []packet `json:"packets"`
	}
	text := run(t, "ffprobe", "-show_packets", "-of", "json", path)
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out.Packets
}

// Two readers see each sample with the time that it was given, and FFmpeg decodes what was written.
func TestReadBack(t *testing.T) {
	const x264 = " -c:v libx264 -preset veryfast -pix_fmt yuv420p "
	for _, c := range []struct {
		name, args string
		shift      int64 // of all times
	}{
		{"24 fps", "-f lavfi -i testsrc2=s=128x96:r=24:d=2" + x264 + "-bf 0", 0},
		{"29.97 fps", "-f lavfi -i testsrc2=s=128x96:r=30000/1001:d=2" + x264 + "-bf 0", 90000 * 3600},
		{"B-frames", "-f lavfi -i testsrc2=s=128x96:r=25:d=2" + x264 + "-bf 3 -g 25", 0},
		{"26 hours", "-f lavfi -i testsrc2=s=128x96:r=25:d=1" + x264 + "-bf 2", 26 * 3600 * 90000},
		{"variable", "-f lavfi -i testsrc2=s=128x96:r=30:d=3 -vf select='not(eq(mod(n\\,7)\\,3))' -fps_mode vfr -video_track_timescale 90000" + x264, 0},
		{"anamorphic, BT.709", "-f lavfi -i testsrc2=s=720x576:r=25:d=0.4 -vf setsar=64/45 -colorspace bt709 -color_primaries bt709 -color_trc bt709" + x264, 0},
		{"AAC 44.1 kHz", "-f lavfi -i sine=r=44100:d=2 -ac 2 -c:a aac", 5000},
		{"AAC 48 kHz mono", "-f lavfi -i sine=r=48000:d=2 -ac 1 -c:a aac", 0},
		{"AAC 96 kHz", "-f lavfi -i sine=r=96000:d=1 -ac 2 -c:a aac", 0},
		{"AAC 5.1", "-f lavfi -i sine=r=48000:d=1 -ac 6 -c:a aac", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			track, list := encode(t, c.args)
			samples := samplesOf(list, c.shift)
			tr := Track{Kind: track.Kind, Timescale: track.Timescale}
			init, segment, path := file(t, tr, track.Config, samples, 7)
			checkReader(t, tr, init, segment, samples)
			packets := probe(t, path)
			if len(packets) != len(samples) {
				t.Fatalf("ffprobe sees %d samples, want %d", len(packets), len(samples))
			}
			for i, p := range packets {
				s := samples[i]
				if p.PTS != s.PTS || p.Size != fmt.Sprint(len(s.Data)) || (p.Flags[0] == 'K') != s.Key {
					t.Fatalf("sample %d: ffprobe sees %+v, want %d %d %v", i, p, s.PTS, len(s.Data), s.Key)
				}
			}
			run(t, "ffmpeg", "-xerror", "-err_detect", "explode", "-i", path, "-f", "null", "-")
		})
	}
}

// checkReader reads with mediacommon.
func checkReader(t *testing.T, tr Track, init, segment []byte, samples []Sample) {
	t.Helper()
	var in reader.Init
	if err := in.Unmarshal(bytes.NewReader(init)); err != nil {
		t.Fatal(err)
	}
	if len(in.Tracks) != 1 || in.Tracks[0].ID != TrackID || int(in.Tracks[0].TimeScale) != tr.Timescale {
		t.Fatalf("tracks %+v", in.Tracks)
	}
	var parts reader.Parts
	if err := parts.Unmarshal(segment); err != nil {
		t.Fatal(err)
	}
	n := 0
	for i, p := range parts {
		if int(p.SequenceNumber) != i+1 {
			t.Errorf("fragment %d has number %d", i, p.SequenceNumber)
		}
		dts := int64(p.Tracks[0].BaseTime)
		for _, got := range p.Tracks[0].Samples {
			want := samples[n]
			if dts != want.DTS || dts+int64(got.PTSOffset) != want.PTS ||
				int64(got.Duration) != want.Duration || got.IsNonSyncSample == want.Key || !bytes.Equal(got.Payload, want.Data) {
				t.Fatalf("sample %d: %d + %d, %d ticks; want %+v", n, dts, got.PTSOffset, got.Duration, want)
			}
			dts += int64(got.Duration)
			n++
		}
	}
	if n != len(samples) {
		t.Errorf("%d samples, want %d", n, len(samples))
	}
}

// What the initialization section says of picture and colour is what the encoder was told.
func TestInitDescribesThePicture(t *testing.T) {
	track, list := encode(t, "-f lavfi -i testsrc2=s=720x576:r=25:d=0.2 -vf setsar=64/45 -c:v libx264 -pix_fmt yuv420p "+
		"-x264-params colorprim=bt470bg:transfer=bt470bg:colormatrix=bt470bg")
	cfg := *track.Config
	cfg.SampleAspectRatio = media.Rational{Num: 64, Den: 45}
	_, _, path := file(t, Track{Kind: media.Video, Timescale: 90000}, &cfg, samplesOf(list, 0), 5)
	got := string(run(t, "ffprobe", "-show_entries",
		"stream=codec_tag_string,width,height,sample_aspect_ratio,display_aspect_ratio,color_space,color_primaries,color_transfer",
		"-of", "default=nw=1", path))
	for _, want := range []string{"avc1", "width=720", "height=576", "64:45", "16:9", "color_space=bt470bg", "color_primaries=bt470bg"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if w, h := DisplaySize(&cfg); w != 1024 || h != 576 {
		t.Errorf("display size %d×%d", w, h)
	}
	if !bytes.Contains(mustInit(t, &cfg), []byte("colrnclx\x00\x05")) {
		t.Error("no colr box with the encoder's primaries")
	}
}

func mustInit(t *testing.T, cfg *media.CodecConfig) []byte {
	t.Helper()
	b, err := Init(Track{Kind: media.Video, Timescale: 90000}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Several parameter sets all reach the decoder configuration record.
func TestSeveralParameterSets(t *testing.T) {
	track, _ := encode(t, "-f lavfi -i testsrc2=s=128x96:r=25:d=0.2 -c:v libx264 -pix_fmt yuv420p")
	cfg := *track.Config
	second := append([]byte(nil), cfg.PPS[0]...)
	cfg.PPS = append(slices.Clone(cfg.PPS), append(second, 0x80))
	init := mustInit(t, &cfg)
	at := bytes.Index(init, []byte("avcC")) + 4
	if init[at+5] != 0xe1 {
		t.Errorf("number of SPS is %#x", init[at+5])
	}
	at += 8 + len(cfg.SPS[0])
	if init[at] != 2 {
		t.Fatalf("%d PPS", init[at])
	}
	for _, pps := range cfg.PPS {
		if n := int(binary.BigEndian.Uint16(init[at+1:])); n != len(pps) || !bytes.Equal(init[at+3:at+3+n], pps) {
			t.Errorf("PPS of %d bytes", n)
		}
		at += 2 + len(pps)
	}
	if !bytes.Equal(init[at+1:at+5], []byte{0xfd, 0xf8, 0xf8, 0}) {
		t.Errorf("the high profile's format is % x", init[at+1:at+5])
	}
}

// HE-AAC keeps its AudioSpecificConfig and is counted at its output rate.
func TestHEAAC(t *testing.T) {
	asc, err := (&mpeg4audio.AudioSpecificConfig{
		Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 22050, ChannelConfig: 2,
		ExtensionType: mpeg4audio.ObjectTypeSBR, ExtensionSampleRate: 44100,
	}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	cfg := &media.CodecConfig{
		Codec: media.AAC, SampleRate: 44100, Channels: 2, FrameSamples: 2048, AudioSpecificConfig: asc,
	}
	init, err := Init(Track{Kind: media.Audio, Timescale: 44100}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	var in reader.Init
	if err := in.Unmarshal(bytes.NewReader(init)); err != nil {
		t.Fatal(err)
	}
	codec, ok := in.Tracks[0].Codec.(*codecs.MPEG4Audio)
	if !ok || codec.Config.ExtensionType != mpeg4audio.ObjectTypeSBR || codec.Config.SampleRate != 22050 {
		t.Errorf("codec %+v", in.Tracks[0].Codec)
	}
}

func TestCodecs(t *testing.T) {
	sps := []byte{0x67, 0x64, 0x00, 0x1f, 0xac}
	for _, c := range []struct {
		cfg  *media.CodecConfig
		want string
	}{
		{&media.CodecConfig{Codec: media.H264, SPS: [][]byte{sps}}, "avc1.64001f"},
		{&media.CodecConfig{Codec: media.H264}, ""},
		{&media.CodecConfig{Codec: media.AAC, AudioSpecificConfig: []byte{0x12, 0x10}}, "mp4a.40.2"},
		{&media.CodecConfig{Codec: media.AAC, AudioSpecificConfig: []byte{0x2b, 0x92, 0x08, 0x00}}, "mp4a.40.5"},
		{&media.CodecConfig{Codec: media.AAC, AudioSpecificConfig: []byte{0xeb, 0x8a, 0x08, 0x00}}, "mp4a.40.29"},
		// AAC-LC of 24 kHz with the sync extension behind it: old players take it for plain AAC-LC.
		{&media.CodecConfig{Codec: media.AAC, AudioSpecificConfig: []byte{0x13, 0x10, 0x56, 0xe5, 0x98}}, "mp4a.40.5"},
		{&media.CodecConfig{Codec: media.AAC, AudioSpecificConfig: []byte{0x13, 0x10, 0x56, 0xe5, 0x9d, 0x48, 0x80}}, "mp4a.40.29"},
		{&media.CodecConfig{Codec: media.AAC, AudioSpecificConfig: []byte{0x12}}, ""},
		{&media.CodecConfig{Codec: media.AV1}, ""},
		{nil, ""},
	} {
		got, err := Codecs(c.cfg)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("Codecs(%+v) = %q, %v; want %q", c.cfg, got, err, c.want)
		}
	}
}

func TestParseFormat(t *testing.T) {
	track, _ := encode(t, "-f lavfi -i testsrc2=s=128x96:r=25:d=0.2 -c:v libx264 -pix_fmt yuv420p")
	f, err := ParseFormat(track.Config.SPS[0])
	if err != nil || f.BitDepth != 8 || f.ChromaFormat != 1 || f.Profile != 100 {
		t.Errorf("%+v, %v", f, err)
	}
	track, _ = encode(t, "-f lavfi -i testsrc2=s=128x96:r=25:d=0.2 -c:v libx264 -pix_fmt yuv444p")
	if f, err := ParseFormat(track.Config.SPS[0]); err != nil || f.ChromaFormat != 3 {
		t.Errorf("%+v, %v", f, err)
	}
	for _, bad := range [][]byte{nil, {0x67}, {0x67, 100, 0, 31}, {0x68, 1, 2, 3, 4, 5}} {
		if f, err := ParseFormat(bad); err == nil {
			t.Errorf("% x is taken as %+v", bad, f)
		}
	}
}

// What does not fit its field is refused and nothing is written.
func TestAppendPartRefuses(t *testing.T) {
	tr := Track{Kind: media.Video, Timescale: 90000}
	good := Sample{PTS: 10, DTS: 10, Duration: 5, Key: true, Data: []byte{1}}
	for name, list := range map[string][]Sample{
		"nothing":           nil,
		"negative DTS":      {{PTS: 0, DTS: -1, Duration: 5}},
		"negative duration": {{Duration: -1}},
		"long duration":     {{Duration: math.MaxUint32 + 1}},
		"far offset":        {{PTS: math.MaxInt32 + 1, Duration: 5}},
		"hole":              {good, {PTS: 16, DTS: 16, Duration: 5}},
	} {
		before := []byte("before")
		if b, err := AppendPart(before, tr, 1, list); err == nil || string(b) != "before" {
			t.Errorf("%s: %v, %q", name, err, b)
		}
	}
	if _, err := AppendPart(nil, tr, 1, []Sample{good}); err != nil {
		t.Error(err)
	}
}

func TestInitRefuses(t *testing.T) {
	sps, pps := []byte{0x67, 0x42, 0xc0, 0x0a, 0xda, 0x3d, 0xf9}, []byte{0x68, 0xce}
	video := Track{Kind: media.Video, Timescale: 90000}
	audio := Track{Kind: media.Audio, Timescale: 48000}
	asc := []byte{0x11, 0x90}
	many := make([][]byte, 32)
	for i := range many {
		many[i] = sps
	}
	for name, c := range map[string]struct {
		track Track
		cfg   *media.CodecConfig
	}{
		"no configuration": {video, nil},
		"no timescale":     {Track{Kind: media.Video}, &media.CodecConfig{Codec: media.H264}},
		"another codec":    {video, &media.CodecConfig{Codec: media.H265}},
		"sound as picture": {video, &media.CodecConfig{Codec: media.AAC, AudioSpecificConfig: asc}},
		"no SPS":           {video, &media.CodecConfig{Codec: media.H264, PPS: [][]byte{pps}, Width: 16, Height: 16}},
		"32 SPS":           {video, &media.CodecConfig{Codec: media.H264, SPS: many, PPS: [][]byte{pps}, Width: 16, Height: 16}},
		"empty PPS":        {video, &media.CodecConfig{Codec: media.H264, SPS: [][]byte{sps}, PPS: [][]byte{{}}, Width: 16, Height: 16}},
		"no size":          {video, &media.CodecConfig{Codec: media.H264, SPS: [][]byte{sps}, PPS: [][]byte{pps}}},
		"no ASC":           {audio, &media.CodecConfig{Codec: media.AAC}},
		"long ASC":         {audio, &media.CodecConfig{Codec: media.AAC, AudioSpecificConfig: append(asc, make([]byte, 2000)...)}},
	} {
		if _, err := Init(c.track, c.cfg); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// No configuration makes the writer fail other than by an error, and what it writes has boxes that add up.
func FuzzInit(f *testing.F) {
	f.Add([]byte{0x67, 0x42, 0xc0, 0x0a, 0xda, 0x3d, 0xf9}, []byte{0x68, 0xce}, []byte{0x12, 0x10}, 16, 16, 1, 1)
	f.Add([]byte{0x67, 100, 0, 31, 0xac, 0xd9, 0x40}, []byte{0x68}, []byte{0x2b, 0x92, 0x08, 0x00}, 1280, 720, 64, 45)
	f.Add([]byte{}, []byte{}, []byte{0xff, 0xff, 0xff}, -1, 70000, math.MaxInt, -5)
	f.Fuzz(func(t *testing.T, sps, pps, asc []byte, width, height, num, den int) {
		cfg := &media.CodecConfig{
			Codec: media.H264, SPS: [][]byte{sps}, PPS: [][]byte{pps}, Width: width, Height: height,
			SampleAspectRatio: media.Rational{Num: num, Den: den},
		}
		if b, err := Init(Track{Kind: media.Video, Timescale: 90000}, cfg); err == nil {
			checkBoxes(t, b)
		}
		cfg = &media.CodecConfig{Codec: media.AAC, AudioSpecificConfig: asc, Channels: num}
		if b, err := Init(Track{Kind: media.Audio, Timescale: 48000}, cfg); err == nil {
			checkBoxes(t, b)
		}
		_, _ = Codecs(cfg)
	})
}

// checkBoxes checks that the top-level boxes fill the bytes.
func checkBoxes(t *testing.T, b []byte) {
	for len(b) > 0 {
		n := int(binary.BigEndian.Uint32(b))
		if n < 8 || n > len(b) {
			t.Fatalf("a box of %d in %d bytes", n, len(b))
		}
		b = b[n:]
	}
}

func BenchmarkAppendPart(b *testing.B) {
	samples := make([]Sample, 15)
	size := 0
	for i := range samples {
		samples[i] = Sample{PTS: int64(i) * 3000, DTS: int64(i) * 3000, Duration: 3000, Key: i == 0, Data: make([]byte, 20_000)}
		size += 20_000
	}
	tr := Track{Kind: media.Video, Timescale: 90000}
	buf := make([]byte, 0, size+4096)
	b.ReportAllocs()
	b.SetBytes(int64(size))
	for b.Loop() {
		if _, err := AppendPart(buf, tr, 1, samples); err != nil {
			b.Fatal(err)
		}
	}
}
