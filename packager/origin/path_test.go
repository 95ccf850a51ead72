package origin

import (
	"errors"
	"path"
	"strings"
	"testing"

	"nova/packager/present"
)

var pathCases = []struct {
	path string
	kind present.ObjectKind
	err  error
}{
	{"/hls/demo/index.m3u8", present.MultivariantPlaylist, nil},
	{"/hls/demo/poster.jpg", present.PosterImage, nil},
	{"/hls/demo/720p/index.m3u8", present.MediaPlaylist, nil},
	{"/hls/a_B-9/source-audio/x1-12.m4s", present.MediaSegment, nil},
	{"/hls/demo/720p/x1-init-0.mp4", present.InitSection, nil},
	{"/vod/demo-0a1b/720p/x1-12.m4s", present.MediaSegment, nil},
	{"/vod/" + strings.Repeat("v", 128) + "/index.m3u8", present.MultivariantPlaylist, nil},
	{"/hls/" + strings.Repeat("p", 64) + "/index.m3u8", present.MultivariantPlaylist, nil},
	{"/hls/" + strings.Repeat("p", 65) + "/index.m3u8", 0, errSyntax},
	{"/hls/../index.m3u8", 0, errSyntax},
	{"/hls/./index.m3u8", 0, errSyntax},
	{"/hls//index.m3u8", 0, errSyntax},
	{"/hls/de mo/index.m3u8", 0, errSyntax},
	{"/hls/demo\x00/index.m3u8", 0, errSyntax},
	{"/hls/dëmo/index.m3u8", 0, errSyntax},
	{"/hls/demo/../p-1.m4s", 0, errSyntax},
	{"/hls/demo/720p/../m4s", 0, errShape},
	{"/hls/demo/720p/.m4s", 0, errSyntax},
	{"/hls/demo/720p/p.1.m4s", 0, errShape},
	{"/hls/demo/720p/p-1.ts", 0, errShape},
	{"/hls/demo/720p/p-1", 0, errShape},
	{"/hls/demo/720p/" + strings.Repeat("n", 200) + ".m4s", 0, errSyntax},
	{"/hls/demo/" + strings.Repeat("r", 33) + "/p-1.m4s", 0, errSyntax},
	{"/hls/demo/other.m3u8", 0, errShape},
	{"/hls/demo/a/b/p-1.m4s", 0, errShape},
	{"/hls/demo/", 0, errShape},
	{"/hls/demo", 0, errShape},
	{"/hls/", 0, errShape},
	{"/", 0, errShape},
	{"", 0, errShape},
	{"hls/demo/index.m3u8", 0, errShape},
	{"/live/demo/index.m3u8", 0, errShape},
	{"/recordings/demo/index.m3u8", 0, errShape},
}

func TestParsePath(t *testing.T) {
	for _, c := range pathCases {
		a, err := parsePath(c.path)
		if !errors.Is(err, c.err) || (err == nil && a.kind != c.kind) {
			t.Errorf("%q: %v, %v, want %v, %v", c.path, a.kind, err, c.kind, c.err)
		}
	}
}

// Whatever gets through stays in the id's folder, under the spelling that it came with.
func FuzzParsePath(f *testing.F) {
	for _, c := range pathCases {
		f.Add(c.path)
	}
	f.Fuzz(func(t *testing.T, p string) {
		a, err := parsePath(p)
		if err != nil {
			return
		}
		if back := "/" + a.root + "/" + a.id + "/" + a.rest; back != p || path.Clean(back) != back {
			t.Errorf("%q became %q", p, back)
		}
		if a.kind == 0 || a.contentType() == "" {
			t.Errorf("%q has no kind", p)
		}
		if strings.ContainsAny(p, "\\%?# \x00") || strings.Contains(p, "..") {
			t.Errorf("%q got through", p)
		}
	})
}
