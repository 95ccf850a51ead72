package store

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"nova/packager/present"
)

// wreck is what a killed process left of a session in S3, put in order.
type wreck struct {
	renditions map[string]*wreckRendition
	// timeline is what is known of each number: all renditions share it.
	timeline map[int64]present.Segment
}

type wreckRendition struct {
	// objects are the names in the rendition's folder.
	objects map[string]bool
	// segments have a media object and its section in S3, by number.
	segments map[int64]present.Segment
}

// newWreck sorts the session's keys, relative to its folder, by rendition.
func newWreck(keys []string) *wreck {
	w := &wreck{renditions: make(map[string]*wreckRendition), timeline: make(map[int64]present.Segment)}
	for _, key := range keys {
		folder, name, ok := strings.Cut(key, "/")
		if !ok {
			continue
		}
		r := w.renditions[folder]
		if r == nil {
			r = &wreckRendition{objects: make(map[string]bool), segments: make(map[int64]present.Segment)}
			w.renditions[folder] = r
		}
		r.objects[name] = true
	}
	return w
}

// add takes a segment that a playlist or the object's metadata tells of. It counts as media where S3 has it.
func (w *wreck) add(r *wreckRendition, seg present.Segment) {
	if _, known := w.timeline[seg.Seq]; !known {
		w.timeline[seg.Seq] = seg
	}
	if !seg.Gap && r.objects[seg.Name] && r.objects[seg.InitName] {
		r.segments[seg.Seq] = seg
	}
}

// unknown lists the segments of a rendition that no playlist tells of.
func (r *wreckRendition) unknown() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(r.objects)) {
		if _, seq, ok := splitName(name); ok {
			if _, known := r.segments[seq]; !known {
				names = append(names, name)
			}
		}
	}
	return names
}

// length is the number of entries of every playlist: up to the first number that nothing is known of.
func (w *wreck) length() int64 {
	for n := int64(0); ; n++ {
		if _, known := w.timeline[n]; !known {
			return n
		}
	}
}

// playlist lays a rendition out along the whole timeline; nil where it has no media in it.
func (w *wreck) playlist(r *wreckRendition) []present.Segment {
	prefix := "lost"
	for name := range r.objects {
		if p, _, ok := splitName(name); ok {
			prefix = p
		}
	}
	list := make([]present.Segment, 0, w.length())
	media := 0
	for n := range w.length() {
		seg, ok := r.segments[n]
		if ok {
			media++
		} else {
			seg = w.timeline[n]
			seg.Name, seg.InitName, seg.Gap = fmt.Sprintf("%s-%d.m4s", prefix, n), "", true
		}
		list = append(list, seg)
	}
	if media == 0 {
		return nil
	}
	return list
}

// duration is the length of the timeline.
func (w *wreck) duration() time.Duration {
	var sum time.Duration
	for n := range w.length() {
		sum += w.timeline[n].Duration
	}
	return sum
}

// leftovers lists the keys, relative to the session's folder, that the given playlists do not name.
func leftovers(keys []string, playlists map[string][]present.Segment) []string {
	named := map[string]bool{"index.m3u8": true, posterName: true}
	for rendition, segments := range playlists {
		named[rendition+"/index.m3u8"] = true
		for _, seg := range segments {
			if !seg.Gap {
				named[rendition+"/"+seg.Name] = true
				named[rendition+"/"+seg.InitName] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return named[key] })
}

// inPlaylists lists the described renditions that have a playlist. The marker describes all of them: it is
// written before a rendition's first object.
func inPlaylists(described []present.Rendition, playlists map[string][]present.Segment) []present.Rendition {
	return slices.DeleteFunc(slices.Clone(described), func(desc present.Rendition) bool {
		return playlists[desc.Name] == nil
	})
}
