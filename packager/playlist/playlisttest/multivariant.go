package playlisttest

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Multivariant is a multivariant playlist.
type Multivariant struct {
	Version     int
	Independent bool
	Variants    []Variant
	Audio       []Audio
}

// Variant is a stream of a multivariant playlist.
type Variant struct {
	URI                string
	Bandwidth, Average int
	Codecs             []string
	Width, Height      int
	FrameRate          float64
	// Audio is the audio group.
	Audio string
}

// Audio is an audio rendition.
type Audio struct {
	Group, Name, URI, Channels string
	Default                    bool
}

var codecForm = regexp.MustCompile(`^(avc1\.[0-9a-f]{6}|mp4a\.40\.\d+)$`)

// ParseMultivariant reads a multivariant playlist and checks it by itself.
func ParseMultivariant(text []byte) (*Multivariant, error) {
	lines, err := split(text)
	if err != nil {
		return nil, err
	}
	m := &Multivariant{}
	var variant *Variant
	for i, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		switch {
		case variant != nil && strings.HasPrefix(line, "#"):
			err = errors.New("EXT-X-STREAM-INF without a URI behind it (§4.4.6.2)")
		case variant != nil:
			variant.URI = line
			m.Variants = append(m.Variants, *variant)
			variant = nil
		case name == "#EXT-X-VERSION":
			m.Version, err = strconv.Atoi(value)
		case name == "#EXT-X-INDEPENDENT-SEGMENTS":
			m.Independent = true
		case name == "#EXT-X-MEDIA":
			err = m.media(value)
		case name == "#EXT-X-STREAM-INF":
			variant, err = parseVariant(value)
		default:
			err = errors.New("unknown line")
		}
		if err != nil {
			return nil, fmt.Errorf("line %d %q: %w", i+2, line, err)
		}
	}
	if variant != nil {
		return nil, errors.New("EXT-X-STREAM-INF at the end")
	}
	return m, m.check()
}

func (m *Multivariant) media(value string) error {
	a, err := attributes(value)
	if err != nil {
		return err
	}
	if a["TYPE"] != "AUDIO" || a["GROUP-ID"] == "" || a["NAME"] == "" || a["URI"] == "" {
		return errors.New("TYPE, GROUP-ID, NAME or URI is missing (§4.4.6.1)")
	}
	if a["DEFAULT"] == "YES" && a["AUTOSELECT"] != "YES" {
		return errors.New("DEFAULT without AUTOSELECT (§4.4.6.1)")
	}
	unquote := func(s string) string { return strings.Trim(s, `"`) }
	m.Audio = append(m.Audio, Audio{
		Group: unquote(a["GROUP-ID"]), Name: unquote(a["NAME"]), URI: unquote(a["URI"]),
		Channels: unquote(a["CHANNELS"]), Default: a["DEFAULT"] == "YES",
	})
	return nil
}

func parseVariant(value string) (*Variant, error) {
	a, err := attributes(value)
	if err != nil {
		return nil, err
	}
	v := &Variant{Audio: strings.Trim(a["AUDIO"], `"`)}
	if v.Bandwidth, err = strconv.Atoi(a["BANDWIDTH"]); err != nil || v.Bandwidth <= 0 {
		return nil, errors.New("BANDWIDTH is missing or not positive (§4.4.6.2)")
	}
	if v.Average, err = strconv.Atoi(a["AVERAGE-BANDWIDTH"]); err != nil || v.Average > v.Bandwidth {
		return nil, errors.New("AVERAGE-BANDWIDTH is missing or above BANDWIDTH")
	}
	v.Codecs = strings.Split(strings.Trim(a["CODECS"], `"`), ",")
	for _, c := range v.Codecs {
		if !codecForm.MatchString(c) {
			return nil, fmt.Errorf("codec %q", c)
		}
	}
	if s, ok := a["RESOLUTION"]; ok {
		if _, err := fmt.Sscanf(s, "%dx%d", &v.Width, &v.Height); err != nil {
			return nil, fmt.Errorf("RESOLUTION %q", s)
		}
	}
	if s, ok := a["FRAME-RATE"]; ok {
		if v.FrameRate, err = strconv.ParseFloat(s, 64); err != nil || v.FrameRate <= 0 {
			return nil, fmt.Errorf("FRAME-RATE %q", s)
		}
	}
	return v, nil
}

func (m *Multivariant) check() error {
	if len(m.Variants) == 0 {
		return errors.New("no variants")
	}
	groups := map[string]bool{}
	for _, a := range m.Audio {
		groups[a.Group] = true
	}
	uris := map[string]bool{}
	for _, v := range m.Variants {
		video := strings.HasPrefix(v.Codecs[0], "avc1")
		switch {
		case v.Audio != "" && !groups[v.Audio]:
			return fmt.Errorf("variant %s: no audio group %q (§4.4.6.2)", v.URI, v.Audio)
		case v.Audio == "" && len(groups) > 0:
			return fmt.Errorf("variant %s: silent beside others with sound", v.URI)
		case video && (v.Width == 0 || v.FrameRate == 0):
			return fmt.Errorf("variant %s: a picture without RESOLUTION or FRAME-RATE", v.URI)
		case video && len(v.Codecs) == 1 && v.Audio != "":
			return fmt.Errorf("variant %s: CODECS does not name the sound", v.URI)
		case uris[v.URI]:
			return fmt.Errorf("variant %s stands twice", v.URI)
		}
		uris[v.URI] = true
	}
	return nil
}
