package av

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"nova/internal/media"
)

func TestUnusedOptionsAreNamed(t *testing.T) {
	_, err := OpenEncoder(EncoderConfig{
		Name: "libx264", Width: 64, Height: 48, Timescale: 90000, Bitrate: 100_000,
		Options: Options{"preset": "veryfast", "tresholds": "4", "keyint": "1"},
	})
	var unused *UnusedError
	if !errors.As(err, &unused) || !slices.Equal(unused.Names, []string{"keyint", "tresholds"}) {
		t.Errorf("%v", err)
	}
	if err == nil || !strings.Contains(err.Error(), "tresholds") {
		t.Errorf("%v", err)
	}
}

func TestUnknownCodecs(t *testing.T) {
	if _, err := OpenEncoder(EncoderConfig{Name: "libx266"}); !errors.Is(err, ErrNoEncoder) {
		t.Errorf("%v", err)
	}
	if _, err := OpenDecoder(DecoderConfig{Codec: "theora"}); !errors.Is(err, ErrNoDecoder) {
		t.Errorf("%v", err)
	}
}

// Where there is no GPU the answer is a typed error that says so, for each of the three ways in.
func TestGPUIsRefusedWhereThereIsNone(t *testing.T) {
	if _, err := os.Stat("/dev/nvidiactl"); err == nil {
		t.Skip("this machine has an NVIDIA driver")
	}
	_, err := OpenGPU(0)
	var refused *GPUError
	if !errors.As(err, &refused) || refused.Index != 0 || !strings.Contains(err.Error(), "no NVIDIA driver") {
		t.Errorf("%v", err)
	}
	if _, err := OpenEncoder(EncoderConfig{Name: "h264_nvenc", Width: 256, Height: 256, Timescale: 90000, Bitrate: 100_000}); err == nil {
		t.Error("h264_nvenc opened without a GPU")
	}
}

func TestSessionsAreLimited(t *testing.T) {
	g := &GPU{index: 3}
	for range 2 {
		if err := g.TakeSession(2); err != nil {
			t.Fatal(err)
		}
	}
	var refused *GPUError
	if err := g.TakeSession(2); !errors.As(err, &refused) || refused.Index != 3 || g.Sessions() != 2 {
		t.Errorf("%v, %d sessions", err, g.Sessions())
	}
	g.GiveSession()
	if err := g.TakeSession(2); err != nil {
		t.Error(err)
	}
}

// picture is a grey frame in main memory.
func picture(t testing.TB, width, height int) *Frame {
	t.Helper()
	f, err := newFrameFrom("allocate picture", allocPicture(width, height))
	if err != nil {
		t.Fatal(err)
	}
	f.Timescale = media.VideoTimescale
	f.SetPTS(0)
	return f
}

func TestScalerShapes(t *testing.T) {
	src := picture(t, 101, 57)
	defer src.Release()
	for name, c := range map[string]struct {
		dst  Picture
		fine bool
	}{
		"even":       {Picture{Width: 64, Height: 36}, true},
		"odd":        {Picture{Width: 63, Height: 36}, false},
		"inside":     {Picture{Width: 64, Height: 64, Inner: Rect{Y: 14, Width: 64, Height: 36}}, true},
		"outside":    {Picture{Width: 64, Height: 36, Inner: Rect{X: 2, Width: 64, Height: 36}}, false},
		"odd inside": {Picture{Width: 64, Height: 64, Inner: Rect{Y: 13, Width: 64, Height: 36}}, false},
		"nothing":    {Picture{}, false},
	} {
		s, err := NewScaler(src, c.dst, Bicubic)
		if (err == nil) != c.fine {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		f, err := s.Scale(src)
		if err != nil {
			t.Fatal(err)
		}
		if f.Width() != c.dst.Width || f.Height() != c.dst.Height {
			t.Errorf("%s: %dx%d", name, f.Width(), f.Height())
		}
		s.Close()
		f.Release() // outlives its scaler
	}
}

func TestGraphRefusesNonsense(t *testing.T) {
	src := picture(t, 64, 48)
	defer src.Release()
	for _, spec := range []string{"[in]nosuchfilter[out0]", "[in]hflip", "[in]hflip[other]", ""} {
		if g, err := NewGraph(spec, src, 1); err == nil {
			g.Close()
			t.Errorf("%q was built", spec)
		}
	}
}
