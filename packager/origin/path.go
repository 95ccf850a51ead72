package origin

import (
	"errors"
	"strings"

	"nova/internal/media"
	"nova/packager/playlist"
	"nova/packager/present"
)

// The longest names. A video id is a playback id, a dash and a session's word.
const (
	maxPlaybackID = 64
	maxVideoID    = 128
	maxRendition  = 32
	maxName       = 128
)

// The roots of URLs.
const (
	liveRoot = "hls"
	vodRoot  = "vod"
)

// Two ways in which a path may be wrong.
var (
	errSyntax = errors.New("bad path")
	errShape  = errors.New("no such object")
)

// address is a parsed path.
type address struct {
	root string // liveRoot or vodRoot
	id   string // playback id or video id
	rest string // below the id, as the packager and S3 name it
	kind present.ObjectKind
	// audio tells a rendition that is sound alone.
	audio bool
}

// parsePath reads "/hls/<playback_id>/…" and "/vod/<video_id>/…". Nothing that gets through it can leave the
// id's folder: names are letters, digits, dashes and underscores.
func parsePath(path string) (address, error) {
	parts := strings.Split(path, "/")
	if len(parts) < 4 || len(parts) > 5 || parts[0] != "" {
		return address{}, errShape
	}
	a := address{root: parts[1], id: parts[2], rest: strings.Join(parts[3:], "/")}
	longest := maxPlaybackID
	if a.root == vodRoot {
		longest = maxVideoID
	} else if a.root != liveRoot {
		return address{}, errShape
	}
	if !isWord(a.id, longest) {
		return address{}, errSyntax
	}
	if len(parts) == 4 {
		return a, a.setTop(parts[3])
	}
	return a, a.setRendition(parts[3], parts[4])
}

func (a *address) setTop(name string) error {
	switch name {
	case playlist.IndexName:
		a.kind = present.MultivariantPlaylist
	case "poster.jpg":
		a.kind = present.PosterImage
	default:
		return errShape
	}
	return nil
}

func (a *address) setRendition(rendition, name string) error {
	if !isWord(rendition, maxRendition) || len(name) > maxName {
		return errSyntax
	}
	a.audio = rendition == media.SharedAudio || rendition == media.SourceAudio
	stem, extension, _ := strings.Cut(name, ".")
	if !isWord(stem, maxName) {
		return errSyntax
	}
	switch {
	case name == playlist.IndexName:
		a.kind = present.MediaPlaylist
	case extension == "m4s":
		a.kind = present.MediaSegment
	case extension == "mp4":
		a.kind = present.InitSection
	default:
		return errShape
	}
	return nil
}

func isWord(s string, longest int) bool {
	if s == "" || len(s) > longest {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// isMedia tells what never changes once it is there.
func (a *address) isMedia() bool {
	return a.kind == present.MediaSegment || a.kind == present.InitSection
}

func (a *address) contentType() string {
	switch a.kind {
	case present.MultivariantPlaylist, present.MediaPlaylist:
		return "application/vnd.apple.mpegurl"
	case present.PosterImage:
		return "image/jpeg"
	default:
		if a.audio {
			return "audio/mp4"
		}
		return "video/mp4"
	}
}
