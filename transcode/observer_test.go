package transcode

import (
	"testing"
	"time"

	"nova/internal/media"
	"nova/internal/relay"
)

func pictureItem(pts int64, key bool) relay.Item {
	return relay.Item{Unit: &media.AccessUnit{Track: sourceID, PTS: pts, DTS: pts, Key: key}}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestObserverMeasuresFrameRate(t *testing.T) {
	for name, c := range map[string]struct {
		stated media.Rational
		stamps []int64
		want   media.Rational
	}{
		"stated":                 {media.Rational{Num: 25, Den: 1}, []int64{0}, media.Rational{Num: 25, Den: 1}},
		"stated nonsense":        {media.Rational{Num: 90000, Den: 1}, []int64{0, 3600, 7200, 10800, 14400, 18000, 21600, 25200}, media.Rational{Num: 25, Den: 1}},
		"in milliseconds":        {media.Rational{}, []int64{0, 3780, 7470, 11250, 15030, 18720, 22500, 26280}, media.Rational{Num: 24, Den: 1}},
		"NTSC":                   {media.Rational{}, []int64{0, 3003, 6006, 9009, 12012, 15015, 18018, 21021}, media.Rational{Num: 30000, Den: 1001}},
		"reordered, one missing": {media.Rational{}, []int64{0, 7200, 3600, 14400, 10800, 21600, 25200, 28800}, media.Rational{Num: 25, Den: 1}},
		"no common rate":         {media.Rational{}, []int64{0, 5000, 10000, 15000, 20000, 25000, 30000, 35000}, media.Rational{Num: 18, Den: 1}},
		"too few":                {media.Rational{}, []int64{0, 3600}, media.Rational{}},
	} {
		o := newObserver(true)
		cfg := source720()
		cfg.FrameRate = c.stated
		o.see(relay.Item{Tracks: videoTracks(cfg)})
		for _, pts := range c.stamps {
			o.see(pictureItem(pts, pts == 0))
		}
		src, _ := o.plan()
		if src.FrameRate != c.want {
			t.Errorf("%s: %v, want %v", name, src.FrameRate, c.want)
		}
		if ready := o.ready(time.Now()); ready != (c.want.Num > 0) {
			t.Errorf("%s: ready %v", name, ready)
		}
		if !o.ready(time.Now().Add(observeLimit)) {
			t.Errorf("%s: not ready after the limit", name)
		}
	}
}

func TestObserverTellsWhenPlanIsStale(t *testing.T) {
	stereo := &media.CodecConfig{Codec: media.AAC, Channels: 2, FrameSamples: 1024, AudioSpecificConfig: []byte{0x11, 0x90}}
	surround := &media.CodecConfig{Codec: media.AAC, Channels: 6, FrameSamples: 1024, AudioSpecificConfig: []byte{0x11, 0xb0}}
	sound := func(cfg *media.CodecConfig) []media.Track {
		return []media.Track{{ID: 2, Kind: media.Audio, Name: media.SourceAudio, Timescale: 48000, Config: cfg}}
	}
	both := append(videoTracks(source720()), sound(surround)...)
	hevc := source720()
	hevc.Codec = media.H265
	for name, c := range map[string]struct {
		before, after relay.Item
		stale         bool
	}{
		"nothing new":                   {relay.Item{Tracks: videoTracks(source720())}, pictureItem(90000, false), false},
		"keyframes 4 s apart":           {relay.Item{Tracks: videoTracks(source720())}, pictureItem(4*90000, true), false},
		"no keyframe for longer":        {relay.Item{Tracks: videoTracks(source720())}, pictureItem(4*90000+1, false), true},
		"sound joins the picture":       {relay.Item{Tracks: videoTracks(source720())}, relay.Item{Tracks: both}, false},
		"a picture joins the sound":     {relay.Item{Tracks: sound(surround)}, relay.Item{Tracks: both}, true},
		"sound that must be encoded":    {relay.Item{Tracks: sound(stereo)}, relay.Item{Tracks: sound(surround)}, true},
		"a codec that cannot be passed": {relay.Item{Tracks: videoTracks(source720())}, relay.Item{Tracks: videoTracks(hevc)}, true},
	} {
		o := newObserver(true)
		o.see(c.before)
		o.see(pictureItem(0, true))
		o.plan()
		o.see(c.after)
		if got := isClosed(o.stale()); got != c.stale {
			t.Errorf("%s: stale %v", name, got)
		}
	}
}

// A jump of the clock is no group of pictures.
func TestObserverIgnoresDiscontinuities(t *testing.T) {
	o := newObserver(true)
	o.see(relay.Item{Tracks: videoTracks(source720())})
	o.see(pictureItem(0, true))
	jump := pictureItem(60*90000, true)
	jump.Unit.Discontinuity = true
	o.see(jump)
	if src, _ := o.plan(); src.GOP != 0 || !src.Passable() {
		t.Errorf("a GOP of %v", src.GOP)
	}
}

// Where the clock jumped, or where pictures were lost, keyframes are further apart than the source made them.
func TestObserverMeasuresGOPWithinOneStretch(t *testing.T) {
	for name, item := range map[string]relay.Item{
		"discontinuity": {Unit: &media.AccessUnit{Track: sourceID, PTS: 900_000, DTS: 900_000, Discontinuity: true}},
		"loss":          {Lost: 100, Unit: &media.AccessUnit{Track: sourceID, PTS: 900_000, DTS: 900_000, Key: true}},
	} {
		o := newObserver(true)
		o.see(relay.Item{Tracks: videoTracks(source720())})
		o.see(pictureItem(0, true))
		o.see(pictureItem(90_000, false))
		o.see(item)
		o.see(pictureItem(903_000, false))
		if src, _ := o.plan(); src.GOP != time.Second {
			t.Errorf("%s: the distance of keyframes is %v, want 1s", name, src.GOP)
		}
	}
}
