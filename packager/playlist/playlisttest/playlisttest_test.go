package playlisttest

import (
	"strings"
	"testing"
)

const good = `#EXTM3U
#EXT-X-VERSION:9
#EXT-X-TARGETDURATION:4
#EXT-X-MEDIA-SEQUENCE:5
#EXT-X-MAP:URI="i.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:05.000Z
#EXTINF:4.000000,
a.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:09.000Z
#EXTINF:4.000000,
b.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:13.000Z
#EXTINF:4.000000,
c.m4s
`

// The checker takes what is right and finds each broken rule.
func TestParseMedia(t *testing.T) {
	if _, err := ParseMedia([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"no header":          {"#EXTM3U\n", ""},
		"cut off":            {"c.m4s\n", "c.m4s"},
		"no target duration": {"#EXT-X-TARGETDURATION:4\n", ""},
		"too long":           {"#EXTINF:4.000000,\nb", "#EXTINF:4.500000,\nb"},
		"few places":         {"#EXTINF:4.000000,\nb", "#EXTINF:4.0,\nb"},
		"zero":               {"#EXTINF:4.000000,\nb", "#EXTINF:0.000000,\nb"},
		"hole in time":       {"03:04:09", "03:04:10"},
		"URI twice":          {"b.m4s", "a.m4s"},
		"no map":             {"#EXT-X-MAP:URI=\"i.mp4\"\n", ""},
		"map not quoted":     {`"i.mp4"`, `i.mp4`},
		"unknown tag":        {"#EXT-X-VERSION:9\n", "#EXT-X-VERSION:9\n#EXT-X-NEW\n"},
		"tag twice":          {"#EXT-X-VERSION:9\n", "#EXT-X-VERSION:9\n#EXT-X-VERSION:9\n"},
		"no EXTINF":          {"#EXTINF:4.000000,\nb", "b"},
		"new map":            {"b.m4s\n", "b.m4s\n#EXT-X-MAP:URI=\"j.mp4\"\n"},
		"removed event":      {"#EXT-X-VERSION:9\n", "#EXT-X-VERSION:9\n#EXT-X-PLAYLIST-TYPE:EVENT\n"},
	} {
		text := strings.Replace(good, change[0], change[1], 1)
		if text == good {
			t.Fatalf("%s changes nothing", name)
		}
		if _, err := ParseMedia([]byte(text)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestCheckUpdate(t *testing.T) {
	parse := func(text string) *Media {
		m, err := ParseMedia([]byte(text))
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		return m
	}
	next := "#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:17.000Z\n#EXTINF:4.000000,\nd.m4s\n"
	first := "#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:05.000Z\n#EXTINF:4.000000,\na.m4s\n"
	slid := strings.Replace(good, "SEQUENCE:5", "SEQUENCE:6", 1)
	slid = strings.Replace(slid, first, "", 1)
	old := parse(good)
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"grown":          {good + next, true},
		"slid":           {slid + next, true},
		"ended":          {good + "#EXT-X-ENDLIST\n", true},
		"emptied":        {slid, false},
		"another URI":    {strings.Replace(good, "b.m4s", "x.m4s", 1), false},
		"another target": {strings.Replace(good, "DURATION:4", "DURATION:5", 1), false},
		"renumbered":     {strings.Replace(good, "SEQUENCE:5", "SEQUENCE:4", 1), false},
		"now a gap":      {strings.Replace(good, "#EXTINF:4.000000,\nb", "#EXT-X-GAP\n#EXTINF:4.000000,\nb", 1), false},
	} {
		if err := CheckUpdate(old, parse(c.text)); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	ended := parse(good + "#EXT-X-ENDLIST\n")
	if CheckUpdate(ended, old) == nil {
		t.Error("a playlist that goes on after its end is taken")
	}
}

func TestCheckAligned(t *testing.T) {
	a, _ := ParseMedia([]byte(good))
	b, _ := ParseMedia([]byte(strings.ReplaceAll(good, ".m4s", ".mp4")))
	if err := CheckAligned(a, b, false); err != nil {
		t.Error(err)
	}
	b.Segments[1].Discontinuity = true
	if CheckAligned(a, b, false) == nil {
		t.Error("a discontinuity in one rendition only is taken")
	}
}

func TestParseMultivariant(t *testing.T) {
	const good = "#EXTM3U\n#EXT-X-VERSION:9\n" +
		"#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"a\",DEFAULT=YES,AUTOSELECT=YES,URI=\"a/i\"\n" +
		"#EXT-X-STREAM-INF:BANDWIDTH=2,AVERAGE-BANDWIDTH=1,CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=4x3,FRAME-RATE=25.000,AUDIO=\"a\"\nv/i\n"
	if m, err := ParseMultivariant([]byte(good)); err != nil || len(m.Variants) != 1 || m.Variants[0].Width != 4 {
		t.Fatalf("%+v, %v", m, err)
	}
	for name, change := range map[string][2]string{
		"no group":         {`GROUP-ID="a"`, `GROUP-ID="b"`},
		"default alone":    {"AUTOSELECT=YES", "AUTOSELECT=NO"},
		"no bandwidth":     {"BANDWIDTH=2,", ""},
		"average too high": {"AVERAGE-BANDWIDTH=1", "AVERAGE-BANDWIDTH=3"},
		"bad codec":        {"avc1.64001f", "avc1"},
		"no resolution":    {"RESOLUTION=4x3,", ""},
		"sound not named":  {",mp4a.40.2", ""},
		"no URI":           {"v/i\n", ""},
		"open quote":       {`AUDIO="a"`, `AUDIO="a`},
	} {
		text := strings.Replace(good, change[0], change[1], 1)
		if _, err := ParseMultivariant([]byte(text)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// No text makes the parsers fail other than by an error.
func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Add("#EXTM3U\n#EXT-X-STREAM-INF:A=\"\n")
	f.Add("#EXTM3U\n#EXTINF:1,\n")
	f.Fuzz(func(_ *testing.T, text string) {
		_, _ = ParseMedia([]byte(text))
		_, _ = ParseMultivariant([]byte(text))
	})
}
