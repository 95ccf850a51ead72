// Package playlisttest reads playlists the way a strict player would: it refuses what breaks a rule of RFC
// 8216bis (draft-pantos-hls-rfc8216bis) instead of playing on. Tests of several packages use it.
package playlisttest

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Media is a media playlist.
type Media struct {
	Version               int
	TargetDuration        int
	Sequence              int64
	DiscontinuitySequence int64
	Type                  string
	Ended                 bool
	Segments              []Segment
}

// Segment is a line of a media playlist with the tags that apply to it.
type Segment struct {
	Seq           int64
	URI           string
	Map           string
	Duration      time.Duration
	Time          time.Time
	Discontinuity bool
	Gap           bool
	// Breaks is the segment's discontinuity sequence number (§6.2.1).
	Breaks int64
}

// ParseMedia reads a media playlist and checks it by itself.
func ParseMedia(text []byte) (*Media, error) {
	lines, err := split(text)
	if err != nil {
		return nil, err
	}
	p := mediaParser{m: &Media{Version: 1, TargetDuration: -1}, seen: map[string]bool{}}
	for i, line := range lines {
		if err := p.line(line); err != nil {
			return nil, fmt.Errorf("line %d %q: %w", i+2, line, err)
		}
	}
	return p.m, p.check()
}

// split checks the form (§4.1) and returns the lines after EXTM3U.
func split(text []byte) ([]string, error) {
	s := string(text)
	switch {
	case !strings.HasPrefix(s, "#EXTM3U\n"):
		return nil, errors.New("the first line is not #EXTM3U (§4.4.1.1)")
	case !strings.HasSuffix(s, "\n"):
		return nil, errors.New("the last line has no end: it may be cut off")
	case strings.Contains(s, "\r") || strings.Contains(s, "\n\n"):
		return nil, errors.New("a carriage return or an empty line")
	}
	return strings.Split(strings.TrimSuffix(strings.TrimPrefix(s, "#EXTM3U\n"), "\n"), "\n"), nil
}

type mediaParser struct {
	m    *Media
	next Segment
	inf  bool
	seen map[string]bool
	maps string
}

// once are the tags that stand at most once, before the first segment where true.
var once = map[string]bool{
	"#EXT-X-VERSION": true, "#EXT-X-TARGETDURATION": true, "#EXT-X-MEDIA-SEQUENCE": true,
	"#EXT-X-DISCONTINUITY-SEQUENCE": true, "#EXT-X-PLAYLIST-TYPE": true, "#EXT-X-ENDLIST": false,
}

func (p *mediaParser) line(line string) error {
	if !strings.HasPrefix(line, "#") {
		return p.uri(line)
	}
	name, value, _ := strings.Cut(line, ":")
	if early, ok := once[name]; ok {
		if p.seen[name] {
			return errors.New("stands twice")
		}
		p.seen[name] = true
		if early && len(p.m.Segments) > 0 {
			return errors.New("stands after a segment")
		}
	}
	return p.tag(name, value)
}

func (p *mediaParser) tag(name, value string) (err error) {
	switch name {
	case "#EXT-X-VERSION":
		p.m.Version, err = strconv.Atoi(value)
	case "#EXT-X-TARGETDURATION":
		p.m.TargetDuration, err = strconv.Atoi(value)
	case "#EXT-X-MEDIA-SEQUENCE":
		p.m.Sequence, err = strconv.ParseInt(value, 10, 64)
	case "#EXT-X-DISCONTINUITY-SEQUENCE":
		p.m.DiscontinuitySequence, err = strconv.ParseInt(value, 10, 64)
	case "#EXT-X-PLAYLIST-TYPE":
		p.m.Type = value
		if value != "EVENT" && value != "VOD" {
			err = errors.New("unknown type")
		}
	case "#EXT-X-ENDLIST":
		p.m.Ended = true
	case "#EXT-X-DISCONTINUITY":
		p.next.Discontinuity = true
	case "#EXT-X-GAP":
		p.next.Gap = true
	case "#EXT-X-MAP":
		p.maps, err = quoted(value, "URI")
	case "#EXT-X-PROGRAM-DATE-TIME":
		p.next.Time, err = time.Parse("2006-01-02T15:04:05.999Z07:00", value)
	case "#EXTINF":
		p.inf = true
		p.next.Duration, err = duration(value)
	default:
		err = errors.New("unknown tag")
	}
	return err
}

// duration reads EXTINF (§4.4.4.1): a decimal with at least five places, so that errors do not add up.
func duration(value string) (time.Duration, error) {
	number, _, ok := strings.Cut(value, ",")
	if !ok {
		return 0, errors.New("no comma")
	}
	if _, places, _ := strings.Cut(number, "."); len(places) < 5 {
		return 0, errors.New("fewer than five decimal places")
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || v <= 0 {
		return 0, fmt.Errorf("duration %q is not a positive number", number)
	}
	return time.Duration(math.Round(v * 1e9)), nil
}

func quoted(value, name string) (string, error) {
	attrs, err := attributes(value)
	if err != nil {
		return "", err
	}
	v, ok := strings.CutPrefix(attrs[name], `"`)
	if !ok {
		return "", fmt.Errorf("%s is missing or not quoted", name)
	}
	return strings.TrimSuffix(v, `"`), nil
}

func (p *mediaParser) uri(line string) error {
	if !p.inf {
		return errors.New("a URI without EXTINF")
	}
	if strings.ContainsAny(line, " \t") {
		return errors.New("a URI with white space")
	}
	s := p.next
	s.URI, s.Map = line, p.maps
	s.Seq = p.m.Sequence + int64(len(p.m.Segments))
	s.Breaks = p.m.DiscontinuitySequence
	if n := len(p.m.Segments); n > 0 {
		s.Breaks = p.m.Segments[n-1].Breaks
	}
	if s.Discontinuity {
		s.Breaks++
	}
	p.m.Segments = append(p.m.Segments, s)
	p.next, p.inf = Segment{}, false
	return nil
}

// check finds what only the whole playlist shows.
func (p *mediaParser) check() error {
	m := p.m
	switch {
	case m.TargetDuration <= 0:
		return errors.New("no EXT-X-TARGETDURATION (§4.4.3.1)")
	case m.Version < 6:
		return fmt.Errorf("version %d does not know EXT-X-MAP (§8)", m.Version)
	case p.inf || p.next != (Segment{}):
		return errors.New("tags behind the last segment")
	case len(m.Segments) == 0:
		return errors.New("no segments")
	case m.Type == "VOD" && !m.Ended:
		return errors.New("a VOD without EXT-X-ENDLIST (§4.4.3.5)")
	case m.Type != "" && m.Segments[0].Seq != 0:
		return fmt.Errorf("type %s begins at %d: segments were removed (§4.4.3.5)", m.Type, m.Segments[0].Seq)
	}
	uris := map[string]bool{}
	for i, s := range m.Segments {
		if err := p.segment(i, s); err != nil {
			return fmt.Errorf("segment %d: %w", s.Seq, err)
		}
		if uris[s.URI] {
			return fmt.Errorf("segment %d: its URI stands twice", s.Seq)
		}
		uris[s.URI] = true
	}
	return nil
}

func (p *mediaParser) segment(i int, s Segment) error {
	if rounded := int(math.Round(s.Duration.Seconds())); rounded > p.m.TargetDuration {
		return fmt.Errorf("it is %v long, the target duration is %d s (§4.4.3.1)", s.Duration, p.m.TargetDuration)
	}
	if !s.Gap && s.Map == "" {
		return errors.New("fragmented MP4 without EXT-X-MAP (§4.4.4.5)")
	}
	if i == 0 {
		return nil
	}
	before := p.m.Segments[i-1]
	if s.Map != before.Map && before.Map != "" && !s.Discontinuity {
		return errors.New("another initialization section without EXT-X-DISCONTINUITY (§4.4.4.3)")
	}
	if want := before.Time.Add(before.Duration); !s.Time.IsZero() && s.Time.Sub(want).Abs() > 2*time.Millisecond {
		return fmt.Errorf("program date-time %v, the segment before ends at %v (§6.2.1)", s.Time, want)
	}
	return nil
}
