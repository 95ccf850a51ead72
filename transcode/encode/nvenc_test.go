package encode

import (
	"strings"
	"testing"

	"nova/internal/media"
	"nova/transcode/av/avtest"
)

// Without a GPU the options cannot be tried; FFmpeg's own help knows their names and values.
func TestNVENCOptionsExist(t *testing.T) {
	generic := map[string]bool{"maxrate": true, "bufsize": true, "bf": true, "g": true}
	for _, name := range []string{NVENC, NVENCHEVC} {
		help := string(avtest.FFmpeg(t, nil, "-h", "encoder="+name))
		v := &Video{cfg: Config{
			Encoder: name, Width: 1280, Height: 720, Bitrate: 1_000_000, FrameRate: media.Rational{Num: 30, Den: 1},
		}.withDefaults()}
		for option, value := range v.nvenc(2) {
			if generic[option] {
				continue
			}
			_, rest, found := strings.Cut(help, "\n  -"+option+" ")
			if !found {
				t.Errorf("%s has no option %s", name, option)
				continue
			}
			own, _, _ := strings.Cut(rest, "\n  -")
			if number := strings.Trim(value, "0123456789") == ""; !number && !strings.Contains(own, "\n     "+value+" ") {
				t.Errorf("%s: option %s has no value %s", name, option, value)
			}
		}
	}
}
