package store

import (
	"bytes"
	"testing"
	"time"

	"nova/packager/playlist"
	"nova/packager/present"
)

func someSegments() []present.Segment {
	segments := []present.Segment{
		segment(video, 0), segment(video, 1), segment(video, 2), segment(video, 3), segment(video, 4),
	}
	for i := range segments {
		segments[i].Body = nil
	}
	segments[1].Gap, segments[1].InitName = true, ""
	segments[2].Discontinuity, segments[2].InitName = true, "p-init-1.mp4"
	segments[3].Duration, segments[3].InitName = 1234567*time.Microsecond, "p-init-1.mp4"
	segments[4].InitName = "p-init-1.mp4"
	return segments
}

func TestParsePlaylist(t *testing.T) {
	want := someSegments()
	header := playlist.Header{TargetDuration: segmentLength, Type: playlist.Event}
	got, err := parsePlaylist(playlist.Media(header, want, true))
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d segments, %v", len(got), err)
	}
	for i := range want {
		a, b := got[i], want[i]
		if a.Seq != b.Seq || a.Name != b.Name || a.InitName != b.InitName || a.Duration != b.Duration ||
			!a.Start.Equal(b.Start) || a.Gap != b.Gap || a.Discontinuity != b.Discontinuity {
			t.Errorf("segment %d is %+v, want %+v", i, a, b)
		}
	}
	for name, text := range map[string]string{
		"nothing":     "",
		"other text":  "<html>",
		"no duration": "#EXTM3U\na.m4s\n",
		"bad number":  "#EXTM3U\n#EXTINF:two,\na.m4s\n",
		"negative":    "#EXTM3U\n#EXTINF:-2,\na.m4s\n",
		"not finite":  "#EXTM3U\n#EXTINF:NaN,\na.m4s\n",
		"bad date":    "#EXTM3U\n#EXT-X-PROGRAM-DATE-TIME:soon\n#EXTINF:2,\na.m4s\n",
	} {
		if segments, err := parsePlaylist([]byte(text)); err == nil {
			t.Errorf("%s: %+v", name, segments)
		}
	}
}

// What parses can be written, and parses to the same again.
func FuzzParsePlaylist(f *testing.F) {
	header := playlist.Header{TargetDuration: segmentLength, Type: playlist.VOD}
	f.Add(playlist.Media(header, someSegments(), true))
	f.Add([]byte("#EXTM3U\n#EXTINF:2,\na.m4s\n"))
	f.Add([]byte("#EXTM3U\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		segments, err := parsePlaylist(text)
		if err != nil {
			return
		}
		written := playlist.Media(header, segments, true)
		again, err := parsePlaylist(written)
		if err != nil || len(again) != len(segments) {
			t.Fatalf("%d segments became %d, %v", len(segments), len(again), err)
		}
		if !bytes.Equal(playlist.Media(header, again, true), written) {
			t.Errorf("not the same a second time:\n%s", written)
		}
	})
}

func TestSplitName(t *testing.T) {
	for name, want := range map[string]struct {
		prefix string
		seq    int64
		ok     bool
	}{
		"p-7.m4s": {"p", 7, true}, "a-b-12.m4s": {"a-b", 12, true}, "p-init-0.mp4": {}, "p.m4s": {}, "p-.m4s": {},
		"p--1.m4s": {"p-", 1, true}, "p-x.m4s": {}, "p-99999999999999999999.m4s": {},
	} {
		prefix, seq, ok := splitName(name)
		if ok != want.ok || (ok && (prefix != want.prefix || seq != want.seq)) {
			t.Errorf("%q: %q, %d, %v", name, prefix, seq, ok)
		}
	}
}
