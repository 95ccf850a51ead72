package av_test

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"testing"

	"nova/internal/media"
	"nova/transcode/av"
	"nova/transcode/av/avtest"
	"nova/transcode/decode"
	"nova/transcode/encode"
	"nova/transcode/scale"
)

func TestMain(m *testing.M) { os.Exit(avtest.Main(m)) }

// resident is the process's memory in MiB.
func resident(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip(err)
	}
	pages, err := strconv.Atoi(string(bytes.Fields(b)[1]))
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize() >> 20
}

// A worker's whole chain is opened, used and closed 200 times: no frame is left, and memory does not grow. A
// single decoder, scaler, encoder or graph that is not freed costs more than 100 kB each time.
func TestOpenAndCloseKeepsMemory(t *testing.T) {
	clip := avtest.Make(t, "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=0.2",
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=32000:duration=0.2",
		"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-flags", "+ildct+ilme", "-x264-params", "tff=1", "-c:a", "aac")
	before := av.FramesInUse()
	var settled int
	for i := range 200 {
		chain(t, clip)
		if i == 40 {
			runtime.GC()
			settled = resident(t)
		}
	}
	runtime.GC()
	if grown := resident(t) - settled; grown > 16 {
		t.Errorf("resident memory grew by %d MiB in 160 cycles, from %d MiB", grown, settled)
	}
	if n := av.FramesInUse() - before; n != 0 {
		t.Errorf("%d frames are left\n%s", n, av.Leaks())
	}
}

// chain decodes, scales and encodes a clip.
func chain(t *testing.T, clip *avtest.File) {
	t.Helper()
	drop := func(*media.AccessUnit) error { return nil }
	d, err := decode.NewVideo(clip.VideoConfig, decode.Options{})
	must(t, err)
	defer d.Close()
	s, err := scale.New([]scale.Rung{{Name: "a", Width: 160, Height: 90}, {Name: "b", Width: 80, Height: 46}})
	must(t, err)
	defer s.Close()
	var v *encode.Video
	toRung := func(set []*av.Frame) error {
		if v == nil {
			v, err = encode.NewVideo(encode.Config{Encoder: encode.X264, Width: 160, Height: 90, Bitrate: 100_000}, set[0], nil)
			must(t, err)
		}
		set[1].Release()
		return v.Encode(set[0], drop)
	}
	toLadder := func(f *av.Frame) error { return s.Scale(f, toRung) }
	for _, u := range clip.Video {
		must(t, d.Decode(u, toLadder))
	}
	must(t, d.Flush(toLadder))
	must(t, s.Flush(toRung))
	must(t, v.Flush(drop))
	v.Close()
	chainSound(t, clip, drop)
}

func chainSound(t *testing.T, clip *avtest.File, drop encode.Emit) {
	t.Helper()
	d, err := decode.NewAudio(clip.AudioConfig, decode.Options{})
	must(t, err)
	defer d.Close()
	a, err := encode.NewAudio(encode.AudioConfig{}, clip.AudioConfig.SampleRate)
	must(t, err)
	defer a.Close()
	toAAC := func(f *av.Frame) error { return a.Encode(f, drop) }
	for _, u := range clip.Audio {
		must(t, d.Decode(u, toAAC))
	}
	must(t, d.Flush(toAAC))
	must(t, a.Flush(drop))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
