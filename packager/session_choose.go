package packager

import (
	"fmt"
	"maps"
	"slices"

	"nova/internal/media"
	"nova/internal/obs"
	"nova/packager/timeline"
)

// choice is one rendition and the track that should feed it.
type choice struct {
	name  string
	role  timeline.Role
	input input
	track media.Track
}

// choose matches renditions and tracks again after the tracks or their configurations have changed.
func (s *session) choose() {
	choices := s.choices()
	s.inputs = map[input]*rendition{}
	for _, c := range choices {
		r := s.rendition(c.name)
		if r == nil {
			r = newRendition(s, c.name, c.track.Kind, c.role)
			s.renditions = append(s.renditions, r)
			s.log.Info("rendition announced", obs.KeyRendition, c.name)
		}
		r.gone = false
		r.declared = c.track.Bitrate
		s.inputs[c.input] = r
		s.timeline.SetTrack(c.name, c.role)
	}
	for _, r := range s.renditions {
		if r.gone || s.feeds(r) {
			continue
		}
		r.gone = true
		s.timeline.RemoveTrack(r.name)
		s.log.Info("rendition gone", obs.KeyRendition, r.name)
		if r.real == 0 && s.shows(r.kind) {
			r.abandon()
		}
	}
	s.timeline.ExpectVideo(s.has(media.Video))
}

// choices are the renditions that the tracks allow now.
func (s *session) choices() []choice {
	var list []choice
	var sound *choice
	for _, id := range slices.Sorted(maps.Keys(s.tracks[fromSource])) {
		in, t := input{fromSource, id}, s.tracks[fromSource][id]
		switch {
		case t.Kind == media.Video && passable(t.Config):
			list = append(list, choice{media.SourceVideo, timeline.Source, in, t})
		case t.Kind == media.Audio && passableAudio(t.Config):
			sound = &choice{audioName, timeline.Audio, in, t}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.tracks[fromRenditions])) {
		in, t := input{fromRenditions, id}, s.tracks[fromRenditions][id]
		switch {
		case t.Kind == media.Video && t.Config != nil && t.Config.Codec != media.H264:
			s.badSample.Add(fmt.Errorf("rendition %q has codec %q", t.Name, t.Config.Codec))
		case t.Kind == media.Video && t.Name != media.SourceVideo && t.Name != audioName:
			list = append(list, choice{t.Name, timeline.Rung, in, t})
		case t.Kind == media.Audio && sound == nil:
			sound = &choice{audioName, timeline.Audio, in, t}
		}
	}
	if sound != nil {
		list = append(list, *sound)
	}
	return list
}

// feeds tells whether a track feeds the rendition.
func (s *session) feeds(r *rendition) bool {
	for _, fed := range s.inputs {
		if fed == r {
			return true
		}
	}
	return false
}

// shows tells whether some rendition of the kind is fed, so that one that goes is not missed.
func (s *session) shows(kind media.Kind) bool {
	for _, fed := range s.inputs {
		if fed.kind == kind && !fed.refused() {
			return true
		}
	}
	return false
}

// rendition finds a rendition by its name.
func (s *session) rendition(name string) *rendition {
	for _, r := range s.renditions {
		if r.name == name {
			return r
		}
	}
	return nil
}

// has tells whether any feed announces a track of the kind.
func (s *session) has(kind media.Kind) bool {
	for _, tracks := range s.tracks {
		for _, t := range tracks {
			if t.Kind == kind {
				return true
			}
		}
	}
	return false
}
