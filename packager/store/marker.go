package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"nova/packager/present"
)

// owner is a running store: which node, which process there, and which run of it.
type owner struct {
	Node     string `json:"node"`
	PID      int    `json:"pid"`
	Instance string `json:"instance"`
}

func newOwner(node, instance string) owner {
	return owner{Node: node, PID: os.Getpid(), Instance: instance}
}

// marker is the object under live/: what a later run needs to finish the session.
type marker struct {
	VideoID        string              `json:"video_id"`
	PlaybackID     string              `json:"playback_id"`
	Title          string              `json:"title"`
	StartedAt      time.Time           `json:"started_at"`
	TargetDuration time.Duration       `json:"target_duration_ns"`
	Renditions     []present.Rendition `json:"renditions"`
	Owner          owner               `json:"owner"`
}

func (o owner) marker(info present.Session, list []present.Rendition) []byte {
	body, _ := json.Marshal(marker{ // strings and numbers: it cannot fail
		VideoID: info.VideoID, PlaybackID: info.PlaybackID, Title: info.Title, StartedAt: info.Start,
		TargetDuration: info.TargetDuration, Renditions: list, Owner: o,
	})
	return body
}

func parseMarker(body []byte, videoID string) (*marker, error) {
	var m marker
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, fmt.Errorf("cannot read marker of %q: %w", videoID, err)
	}
	if m.VideoID != videoID || m.PlaybackID == "" || m.TargetDuration <= 0 {
		return nil, fmt.Errorf("cannot read marker of %q: a field is missing", videoID)
	}
	return &m, nil
}

func (m *marker) session() present.Session {
	return present.Session{
		VideoID: m.VideoID, PlaybackID: m.PlaybackID, Title: m.Title, Start: m.StartedAt,
		TargetDuration: m.TargetDuration,
	}
}

// hasLost tells that the session of an owner, whose marker was renewed age ago, has nobody any more. On its own
// node the kernel knows; elsewhere only the silence does.
func (o owner) hasLost(other owner, age, lease time.Duration) bool {
	switch {
	case other.Instance == o.Instance:
		return true // this run gave it up
	case age > lease:
		return true
	case other.Node != o.Node:
		return false
	default:
		return other.PID == o.PID || errors.Is(syscall.Kill(other.PID, 0), syscall.ESRCH)
	}
}
