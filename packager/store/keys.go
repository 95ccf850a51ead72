package store

import (
	"fmt"
	"strings"
	"time"

	"nova/internal/blob"
	"nova/packager/playlist"
)

// The names of objects in the bucket:
//
//	vod/<video_id>/index.m3u8, poster.jpg          the multivariant playlist, the poster
//	vod/<video_id>/<rendition>/index.m3u8, …       a media playlist, its segments and initialization sections
//	live/<video_id>.json                           marks a session that is not finished, and whose it is
//	recordings/<newest first>-<video_id>.json      one line of the list of recordings
const (
	vodPrefix        = "vod/"
	markerPrefix     = "live/"
	recordingsPrefix = "recordings/"
	posterName       = "poster.jpg"
)

func sessionKey(videoID string) string { return vodPrefix + videoID + "/" }

func renditionKey(videoID, rendition, name string) string {
	return sessionKey(videoID) + rendition + "/" + name
}

func markerKey(videoID string) string { return markerPrefix + videoID + ".json" }

// recordingKey sorts the newest recording first, because S3 lists keys in rising order only: a page of the
// listing is then the newest recordings, however many there are.
func recordingKey(start time.Time, videoID string) string {
	const beyond = int64(1e13) // the year 2286
	return fmt.Sprintf("%s%013d-%s.json", recordingsPrefix, max(beyond-1-start.UnixMilli(), 0), videoID)
}

// The lifetimes in HTTP caches. What never changes may stay for a year; a finished playlist changes only when
// the recording is deleted.
const (
	cacheForever  = "public, max-age=31536000, immutable"
	cacheFinished = "public, max-age=3600"
	cacheGrowing  = "public, max-age=2"
	cachePrivate  = "no-store"
)

func mediaOptions(audio bool) blob.PutOptions {
	contentType := "video/mp4"
	if audio {
		contentType = "audio/mp4"
	}
	return blob.PutOptions{ContentType: contentType, CacheControl: cacheForever}
}

func playlistOptions(finished bool) blob.PutOptions {
	opts := blob.PutOptions{ContentType: "application/vnd.apple.mpegurl", CacheControl: cacheGrowing}
	if finished {
		opts.CacheControl = cacheFinished
	}
	return opts
}

func posterOptions() blob.PutOptions {
	return blob.PutOptions{ContentType: "image/jpeg", CacheControl: "public, max-age=60"}
}

func jsonOptions() blob.PutOptions {
	return blob.PutOptions{ContentType: "application/json", CacheControl: cachePrivate}
}

// isPlaylist tells a playlist from media by its name.
func isPlaylist(name string) bool { return strings.HasSuffix(name, playlist.IndexName) }
