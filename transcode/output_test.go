package transcode

import (
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nova/internal/media"
)

// sink records what is published.
type sink struct {
	lists [][]media.Track
	units []*media.AccessUnit
}

func (s *sink) SetTracks(tracks []media.Track) { s.lists = append(s.lists, tracks) }
func (s *sink) Write(u *media.AccessUnit)      { s.units = append(s.units, u) }

func newTestOutput(t *testing.T) (*output, *sink) {
	t.Helper()
	m, err := newMetrics(prometheus.NewRegistry(), newAdmission(DefaultConfig()))
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{}
	return newOutput(s, m, discard()), s
}

// config is a new pointer each time, as after a restart.
func config(version byte) *media.CodecConfig {
	return &media.CodecConfig{Codec: media.H264, Width: 640, Height: 360, SPS: [][]byte{{version}}}
}

func tracksOf(cfg *media.CodecConfig) []media.Track {
	return []media.Track{{ID: 360, Kind: media.Video, Name: "360p", Timescale: 90000, Config: cfg}}
}

func put(t *testing.T, o *output, cfg *media.CodecConfig, stamps ...int64) {
	t.Helper()
	for _, pts := range stamps {
		if err := o.unit(&media.AccessUnit{Track: 360, PTS: pts, DTS: pts, Config: cfg}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOutputJoinsWorkers(t *testing.T) {
	o, s := newTestOutput(t)
	one, same, other := config(1), config(1), config(2)
	o.setTracks(tracksOf(one))
	put(t, o, one, 0, 3000, 6000)
	o.finish(false)
	if at := o.resume()["360p"]; at != 6000 {
		t.Errorf("resume at %d, want 6000", at)
	}
	o.setTracks(tracksOf(same))
	put(t, o, same, 3000, 6000, 9000) // a worker that repeats what is out
	o.finish(false)
	o.setTracks(tracksOf(other))
	put(t, o, other, 12000, 15000)

	var stamps []int64
	for _, u := range s.units {
		stamps = append(stamps, u.PTS)
	}
	if !slices.Equal(stamps, []int64{0, 3000, 6000, 9000, 12000, 15000}) {
		t.Errorf("published %v", stamps)
	}
	for i, u := range s.units {
		want := one
		if i >= 4 {
			want = other
		}
		if u.Config != want || u.Discontinuity != (i == 4) {
			t.Errorf("unit %d: same pointer %v, flagged %v", i, u.Config == want, u.Discontinuity)
		}
	}
	if len(s.lists) != 2 {
		t.Errorf("%d track lists, want one for each configuration", len(s.lists))
	}
}

// A restarted worker announces its rungs first: the poster that is out stays on the list.
func TestOutputKeepsPosterTrack(t *testing.T) {
	o, s := newTestOutput(t)
	jpeg := &media.CodecConfig{Codec: media.JPEG, Width: 640, Height: 360}
	o.setTracks(append(tracksOf(config(1)), media.Track{ID: 1, Kind: media.Image, Name: media.Poster, Timescale: 90000, Config: jpeg}))
	o.finish(false)
	o.setTracks(tracksOf(config(1)))
	if len(s.lists) != 1 {
		t.Errorf("track lists %v and %v", names(s.lists[0]), names(s.lists[1]))
	}
	o.setTracks(append(tracksOf(config(1))[:0], media.Track{ID: 480, Kind: media.Video, Name: "480p", Timescale: 90000}))
	if got := names(s.lists[len(s.lists)-1]); len(got) != 2 || got[0] != "480p" || got[1] != media.Poster {
		t.Errorf("tracks %v, want the new rung and the poster", got)
	}
}

func TestOutputRefusesUnknownTrack(t *testing.T) {
	o, _ := newTestOutput(t)
	o.setTracks(tracksOf(config(1)))
	if err := o.unit(&media.AccessUnit{Track: 7}); err == nil {
		t.Error("a unit of a track that was not announced was taken")
	}
}

// What a dead worker left of a picture that not all rungs have is made anew by its successor.
func TestOutputForgetsHalfPictures(t *testing.T) {
	o, s := newTestOutput(t)
	tracks := append(tracksOf(config(1)), media.Track{ID: 480, Kind: media.Video, Name: "480p", Timescale: 90000, Config: config(3)})
	o.setTracks(tracks)
	put(t, o, tracks[0].Config, 0)
	o.finish(false)
	if len(s.units) != 0 || len(o.resume()) != 0 {
		t.Errorf("%d units are out, resume %v", len(s.units), o.resume())
	}
	o.setTracks(tracks)
	put(t, o, tracks[0].Config, 0)
	o.finish(true)
	if len(s.units) != 1 {
		t.Errorf("%d units after a proper end, want what was held", len(s.units))
	}
}

func TestOutputPublishedTime(t *testing.T) {
	o, _ := newTestOutput(t)
	tracks := append(tracksOf(config(1)),
		media.Track{ID: 2, Kind: media.Audio, Name: media.SharedAudio, Timescale: 48000},
		media.Track{ID: 1, Kind: media.Image, Name: media.Poster, Timescale: 90000})
	o.setTracks(tracks)
	put(t, o, tracks[0].Config, 0, 5*90000)
	if at, ok := o.published(); ok {
		t.Errorf("published up to %v before any sound was", at)
	}
	if err := o.unit(&media.AccessUnit{Track: 2, PTS: 3 * 48000, DTS: 3 * 48000}); err != nil {
		t.Fatal(err)
	}
	if at, ok := o.published(); !ok || at != 3*time.Second-soundAhead {
		t.Errorf("published up to %v, want a second before the sound", at)
	}
}
