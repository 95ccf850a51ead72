// Package playlist writes HLS playlists: text from descriptions, nothing else. The same renderer serves the live
// window from memory and the playlists that packager/store keeps in S3.
//
//	[]present.Rendition ──Multivariant──▶ index.m3u8
//	Header + []present.Segment ──Media──▶ <rendition>/index.m3u8
//	             └─ AppendHeader, AppendSegment, AppendEnd: the same text in pieces, for playlists that only grow
//
// Sections are those of RFC 8216bis (draft-pantos-hls-rfc8216bis). URIs are relative: the multivariant playlist
// stands beside the renditions' folders, and a media playlist beside its segments.
//
// Stage: 5/6 · In: present.Rendition, present.Segment · Out: playlist text
package playlist

// Version is the EXT-X-VERSION (§4.4.1.2) of every playlist. EXT-X-MAP needs 6; 9 lets delta updates
// (EXT-X-SKIP) join without a change of version in a running stream.
const Version = 9

// Type is the EXT-X-PLAYLIST-TYPE (§4.4.3.5).
type Type string

// The types of media playlist.
const (
	// Live is a sliding window and states no type: segments leave at its start.
	Live Type = ""
	// Event only grows.
	Event Type = "EVENT"
	// VOD never changes.
	VOD Type = "VOD"
)

// IndexName is the file name of every playlist.
const IndexName = "index.m3u8"

// AudioGroup is the GROUP-ID of the audio renditions (§4.4.6.1).
const AudioGroup = "audio"
