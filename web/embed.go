// Package web serves the page: the live list and the player, built from TypeScript into dist and carried in the binary.
//
//	src/*.ts ──npm run build──▶ dist/ ──go:embed──▶ Handler ──HTTP──▶ browser
//
// Files under dist/assets have their content's hash in the name and are cached for good; index.html is asked for
// anew each time and answers every path that is a view of the page. Brotli and gzip forms are made by the build.
package web

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:embed all:dist
var dist embed.FS

// Handler serves the built page. Before the first build it answers 503 with a line that says what to run.
func Handler() http.Handler {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic("web: dist is not embedded: " + err.Error()) // the embed directive above names it
	}
	return newHandler(files)
}
