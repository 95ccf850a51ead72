package testkit

import (
	"math"
	"os"
	"testing"
)

func TestReadClip(t *testing.T) {
	path := os.Getenv("NOVA_CLIP")
	if path == "" {
		t.Skip("NOVA_CLIP is not set; make test sets it")
	}
	clip, err := ReadClip(path)
	if err != nil {
		t.Fatal(err)
	}
	video, audio, keys := 0, 0, 0
	for _, u := range clip.Units {
		switch u.Track {
		case VideoTrack:
			video++
			if u.Key {
				keys++
			}
		case AudioTrack:
			audio++
		}
		if u.PTS < u.DTS {
			t.Fatalf("PTS %d before DTS %d", u.PTS, u.DTS)
		}
	}
	if video != 720 || keys != 5 || math.Abs(clip.Seconds()-30) > 0.2 {
		t.Errorf("%d pictures, %d keyframes, %f s: the clip has 720, 5 and 30", video, keys, clip.Seconds())
	}
	if c := clip.Config(VideoTrack); c.Width != 1920 || c.Height != 1080 || clip.Config(AudioTrack).Channels != 6 || audio == 0 {
		t.Errorf("configuration %+v %+v", c, clip.Config(AudioTrack))
	}
	if clip.Config(7) != nil {
		t.Error("a track that is not there has no configuration")
	}
}

func TestReadClipRefusesWhatIsNone(t *testing.T) {
	if _, err := ReadClip("clip_test.go"); err == nil {
		t.Error("a Go file is no clip")
	}
}
