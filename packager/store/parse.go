package store

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"nova/packager/present"
)

// errPlaylist tells that a playlist in S3 is not one that this package wrote.
var errPlaylist = errors.New("not a playlist of ours")

// parsePlaylist reads a media playlist back as this package writes it. Numbers start at 0.
func parsePlaylist(text []byte) ([]present.Segment, error) {
	if !bytes.HasPrefix(text, []byte("#EXTM3U\n")) {
		return nil, errPlaylist
	}
	var segments []present.Segment
	var next present.Segment
	number := 0
	for line := range bytes.Lines(text) {
		number++
		word := strings.TrimRight(string(line), "\r\n")
		if word != "" && !strings.HasPrefix(word, "#") {
			if next.Duration <= 0 {
				return nil, fmt.Errorf("%w: line %d has no EXTINF", errPlaylist, number)
			}
			next.Name, next.Seq = word, int64(len(segments))
			segments = append(segments, next)
			next = present.Segment{InitName: next.InitName}
			continue
		}
		if err := parseTag(&next, word); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", errPlaylist, number, err)
		}
	}
	for i := range segments {
		if segments[i].Gap {
			segments[i].InitName = ""
		}
	}
	return segments, nil
}

func parseTag(next *present.Segment, line string) (err error) {
	tag, value, _ := strings.Cut(line, ":")
	switch tag {
	case "#EXT-X-DISCONTINUITY":
		next.Discontinuity = true
	case "#EXT-X-GAP":
		next.Gap = true
	case "#EXT-X-MAP":
		next.InitName = strings.TrimSuffix(strings.TrimPrefix(value, `URI="`), `"`)
	case "#EXT-X-PROGRAM-DATE-TIME":
		next.Start, err = time.Parse(time.RFC3339Nano, value)
	case "#EXTINF":
		next.Duration, err = parseSeconds(strings.TrimSuffix(value, ","))
	}
	return err
}

// parseSeconds reads decimal seconds to the nanosecond.
func parseSeconds(s string) (time.Duration, error) {
	seconds, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, err
	}
	if !(seconds > 0 && seconds < 3600) {
		return 0, fmt.Errorf("a duration of %q", s)
	}
	return time.Duration(seconds*float64(time.Second) + 0.5), nil
}

// splitName takes a segment's number from its name, "<prefix>-<seq>.m4s".
func splitName(name string) (prefix string, seq int64, ok bool) {
	stem, isMedia := strings.CutSuffix(name, ".m4s")
	dash := strings.LastIndexByte(stem, '-')
	if !isMedia || dash < 0 {
		return "", 0, false
	}
	seq, err := strconv.ParseInt(stem[dash+1:], 10, 64)
	return stem[:dash], seq, err == nil && seq >= 0
}
