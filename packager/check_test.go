package packager

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"

	"nova/internal/media"
	"nova/packager/timeline"
)

// sample is an access unit as a player reads it from the files.
type sample struct {
	pts, dts, duration int64
	key                bool
	size, seq          int
}

// samples reads a rendition's segments with another implementation's parser.
func (t *recorded) samples(tb testing.TB) []sample {
	tb.Helper()
	var out []sample
	for _, seg := range t.segments {
		if seg.Gap {
			continue
		}
		var parts fmp4.Parts
		if err := parts.Unmarshal(seg.Body); err != nil {
			tb.Fatalf("segment %d: %v", seg.Seq, err)
		}
		if len(parts) != len(seg.Parts) {
			tb.Errorf("segment %d: %d fragments, %d parts", seg.Seq, len(parts), len(seg.Parts))
		}
		for _, part := range parts {
			if len(part.Tracks) != 1 {
				tb.Fatalf("segment %d: %d tracks in a fragment", seg.Seq, len(part.Tracks))
			}
			dts := int64(part.Tracks[0].BaseTime)
			for _, s := range part.Tracks[0].Samples {
				out = append(out, sample{
					pts: dts + int64(s.PTSOffset), dts: dts, duration: int64(s.Duration),
					key: !s.IsNonSyncSample, size: len(s.Payload), seq: int(seg.Seq),
				})
				dts += int64(s.Duration)
			}
		}
	}
	return out
}

// decode plays every stretch of a rendition with FFmpeg; a complaint fails the test. It returns the files.
func (t *recorded) decode(tb testing.TB) (files []string) {
	tb.Helper()
	for _, init := range t.order {
		path := filepath.Join(tb.TempDir(), init)
		if err := os.WriteFile(path, t.file(init), 0o600); err != nil {
			tb.Fatal(err)
		}
		ffmpeg(tb, "-err_detect", "explode", "-xerror", "-i", path, "-map", "0", "-f", "null", "-")
		files = append(files, path)
	}
	return files
}

// checkAll decodes every rendition, and checks what must hold in every recording: parts within their segments
// and their target, sound without overlap, keyframes of all video renditions at the segments' starts.
func (w *world) checkAll(t *testing.T) {
	t.Helper()
	if !w.rec.closed {
		t.Fatal("the recording is not closed")
	}
	starts := map[int]int64{}
	for name, r := range w.rec.tracks {
		if len(r.segments) == 0 {
			continue // it went before its first segment
		}
		r.decode(t)
		checkParts(t, name, r)
		list := r.samples(t)
		for i, s := range list {
			if i > 0 && s.dts < list[i-1].dts+list[i-1].duration {
				t.Errorf("%s: sample %d overlaps the one before it", name, i)
			}
			first := i == 0 || list[i-1].seq != s.seq
			if r.rendition.Kind != media.Video || !first {
				continue
			}
			if !s.key {
				t.Errorf("%s: segment %d does not begin with a keyframe", name, s.seq)
			}
			if at, ok := starts[s.seq]; ok && at != s.pts {
				t.Errorf("%s: segment %d begins at %d, another rendition's at %d", name, s.seq, s.pts, at)
			}
			starts[s.seq] = s.pts
		}
	}
}

func checkParts(t *testing.T, name string, r *recorded) {
	t.Helper()
	target := DefaultConfig().PartTarget
	for _, seg := range r.segments {
		at := 0
		for i, p := range seg.Parts {
			if p.Offset != at || p.Size <= 0 {
				t.Errorf("%s: segment %d: part %d at %d+%d, want %d", name, seg.Seq, i, p.Offset, p.Size, at)
			}
			at += p.Size
			last := i == len(seg.Parts)-1
			if p.Duration > target && len(seg.Parts) > 1 || !last && p.Duration*100 < target*85 {
				t.Errorf("%s: segment %d: part %d lasts %v", name, seg.Seq, i, p.Duration)
			}
		}
		if at != len(seg.Body) {
			t.Errorf("%s: segment %d: parts hold %d of %d bytes", name, seg.Seq, at, len(seg.Body))
		}
		if len(seg.Parts) > 0 && r.rendition.Kind == media.Video && !seg.Parts[0].Independent {
			t.Errorf("%s: segment %d does not begin with an independent part", name, seg.Seq)
		}
	}
}

// exact checks that a rendition holds exactly the lane's units from the first cut on, with the times that the
// publisher gave them.
func (w *world) exact(t *testing.T, name string, l lane) {
	t.Helper()
	r := w.rec.tracks[name]
	if r == nil {
		t.Fatalf("no rendition %q", name)
	}
	track, list := units(t, l.clip)
	shift := media.Ticks(l.shift, track.Timescale)
	first := media.Ticks(r.segments[0].Start.Sub(start), timeline.Clock)
	var want []sample
	for _, u := range list {
		if media.Rescale(u.PTS+shift, track.Timescale, timeline.Clock) >= first && u.PTS+shift >= 0 {
			dts := u.DTS + shift
			if dts < int64(len(want)) { // there is no time before 0: decoded as soon as possible instead
				dts = int64(len(want))
			}
			want = append(want, sample{pts: u.PTS + shift, dts: dts, key: u.Key, size: len(u.Data)})
		}
	}
	got := r.samples(t)
	for i := range got {
		got[i].seq, got[i].duration = 0, 0
	}
	if !slices.Equal(got, want) {
		n := 0
		for n < min(len(got), len(want)) && got[n] == want[n] {
			n++
		}
		t.Errorf("%s: %d samples, want %d; they differ from sample %d on: %+v, want %+v",
			name, len(got), len(want), n, got[n:min(n+3, len(got))], want[n:min(n+3, len(want))])
	}
}
