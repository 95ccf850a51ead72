package encode

import (
	"bytes"
	"image/jpeg"
	"testing"

	"nova/internal/media"
	"nova/transcode/av/avtest"
)

// Posters keep the picture's shape and its colours, of whatever matrix and size the source is.
func TestPoster(t *testing.T) {
	for name, c := range map[string]struct {
		size, filter  string
		width, height int
	}{
		"1080p":      {"1920x1080", "scale=out_color_matrix=bt709,setparams=colorspace=bt709", 640, 360},
		"BT.601":     {"1280x720", "scale=out_color_matrix=smpte170m,setparams=colorspace=smpte170m", 640, 360},
		"full range": {"1280x720", "scale=out_color_matrix=bt709:out_range=pc,setparams=colorspace=bt709:range=pc", 640, 360},
		"small":      {"321x181", "format=yuv444p", 320, 180},
		"anamorphic": {"720x576", "setsar=64/45", 640, 360},
		"portrait":   {"1080x1920", "scale=out_color_matrix=bt709,setparams=colorspace=bt709", 640, 1136},
	} {
		t.Run(name, func(t *testing.T) {
			clip := avtest.Make(t, "-f", "lavfi", "-i", "color=0xC04020:size="+c.size+":rate=25:duration=0.08,format=rgb24",
				"-vf", c.filter, "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0")
			in := frames(t, clip, 2)
			p, err := NewPoster(PosterConfig{})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			var u *media.AccessUnit
			for _, f := range in {
				pts := f.PTS()
				if u, err = p.Encode(f); err != nil {
					t.Fatal(err)
				}
				if u.PTS != pts || !u.Key || u.Config.Codec != media.JPEG || u.Arrived.IsZero() {
					t.Errorf("%+v", u)
				}
			}
			picture, err := jpeg.Decode(bytes.NewReader(u.Data))
			if err != nil {
				t.Fatal(err)
			}
			if b := picture.Bounds(); b.Dx() != c.width || b.Dy() != c.height || u.Config.Width != c.width || u.Config.Height != c.height {
				t.Errorf("%v, want %dx%d", b, c.width, c.height)
			}
			r, g, b, _ := picture.At(c.width/2, c.height/2).RGBA()
			if !near(r>>8, 0xc0) || !near(g>>8, 0x40) || !near(b>>8, 0x20) {
				t.Errorf("color %02x%02x%02x, want c04020", r>>8, g>>8, b>>8)
			}
		})
	}
}

func near(a, b uint32) bool { return max(a, b)-min(a, b) <= 6 }

func TestPosterQuality(t *testing.T) {
	in := frames(t, cuts(t, "640x360", "0.2"), 2)
	defer release(in)
	var sizes []int
	for _, q := range []int{2, 8, 24} {
		p, err := NewPoster(PosterConfig{Quantizer: q})
		if err != nil {
			t.Fatal(err)
		}
		u, err := p.Encode(in[0].Ref())
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(u.Data))
		p.Close()
	}
	if sizes[0] <= sizes[1] || sizes[1] <= sizes[2] {
		t.Errorf("sizes %v do not fall with the quality", sizes)
	}
	for _, cfg := range []PosterConfig{{Quantizer: 1}, {Quantizer: 32}, {MaxWidth: -1}} {
		if _, err := NewPoster(cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
}
