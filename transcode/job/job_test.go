package job

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"nova/internal/media"
	"nova/transcode/ladder"
)

func sample() Spec {
	return Spec{
		Stream: "demo", LogLevel: slog.LevelDebug, Encoder: "libx264", Preset: "veryfast", GPU: 1, Threads: 2,
		KeyframeInterval: 2 * time.Second, Cores: 1.5, Ladder: ladder.DefaultConfig(),
		Source: ladder.Source{Width: 1920, Height: 1080, Codec: media.H264, GOP: 2 * time.Second},
		Rungs:  []ladder.Rung{{Name: "720p", Width: 1280, Height: 720, Bitrate: 2_800_000}},
		Resume: map[string]int64{"720p": 900_000},
	}
}

func TestSpecSurvivesThePipe(t *testing.T) {
	var pipe bytes.Buffer
	want := sample()
	want.Stream = strings.Repeat("x", 10_000) // longer than the reader's buffer
	if err := want.Write(&pipe); err != nil {
		t.Fatal(err)
	}
	pipe.WriteString("media")
	r := bufio.NewReader(&pipe)
	got, err := ReadSpec(r)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if rest, _ := io.ReadAll(r); string(rest) != "media" {
		t.Errorf("%q follows the spec, want the media", rest)
	}
}

func TestReadSpecRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":  "",
		"cut":      `{"stream":"de`,
		"not JSON": "hello\n",
		"endless":  strings.Repeat("x", maxSpec+2),
	} {
		if _, err := ReadSpec(bufio.NewReader(strings.NewReader(in))); err == nil || !strings.HasPrefix(err.Error(), "cannot read the job") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func FuzzReadSpec(f *testing.F) {
	line, err := json.Marshal(sample())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(line, '\n'))
	f.Add([]byte("{}\n"))
	f.Add([]byte(`{"rungs":[{"width":-1}],"resume":{"a":9223372036854775807}}` + "\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		spec, err := ReadSpec(bufio.NewReader(bytes.NewReader(in)))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := spec.Write(&out); err != nil {
			t.Fatalf("a spec that was read cannot be written: %v", err)
		}
	})
}

func TestPassAudio(t *testing.T) {
	lc := media.CodecConfig{Codec: media.AAC, Channels: 2, FrameSamples: 1024, AudioSpecificConfig: []byte{0x11, 0x90}}
	for name, c := range map[string]struct {
		change func(*media.CodecConfig)
		want   bool
	}{
		"AAC-LC stereo":   {func(*media.CodecConfig) {}, true},
		"mono":            {func(c *media.CodecConfig) { c.Channels = 1 }, true},
		"5.1":             {func(c *media.CodecConfig) { c.Channels = 6 }, false},
		"HE-AAC":          {func(c *media.CodecConfig) { c.AudioSpecificConfig = []byte{0x2b, 0x92} }, false},
		"implicit HE-AAC": {func(c *media.CodecConfig) { c.FrameSamples = 2048 }, false},
		"Opus":            {func(c *media.CodecConfig) { c.Codec = media.Opus }, false},
		"no config":       {func(c *media.CodecConfig) { c.AudioSpecificConfig = nil }, false},
	} {
		cfg := lc
		c.change(&cfg)
		if got := PassAudio(&cfg); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if PassAudio(nil) {
		t.Error("no configuration must not pass")
	}
}
