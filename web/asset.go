package web

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"mime"
	"path"
	"strings"
)

// asset is one file of the page in the forms that it can be sent in.
type asset struct {
	contentType  string
	cacheControl string
	forms        []form // preferred first; the last one is the file as it is
}

// form is a file in one content coding (RFC 9110 §8.4).
type form struct {
	encoding string // "br", "gzip" or "" for none
	etag     string
	body     []byte
}

// codings are the endings that the build gives to compressed forms, the smallest first.
var codings = []struct{ ending, encoding string }{{".br", "br"}, {".gz", "gzip"}, {"", ""}}

// contentTypes are the page's own, so that no table of the machine can change them.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".svg":  "image/svg+xml",
	".json": "application/json",
	".txt":  "text/plain; charset=utf-8",
}

// loadAssets reads every file of the page once. Files that begin with a dot are not part of it.
func loadAssets(files fs.FS) map[string]*asset {
	assets := make(map[string]*asset)
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		ending := path.Ext(name)
		if err != nil || entry.IsDir() || strings.HasPrefix(entry.Name(), ".") || ending == ".br" || ending == ".gz" {
			return err
		}
		assets["/"+name] = loadAsset(files, name)
		return nil
	})
	if err != nil {
		panic("web: cannot read the embedded page: " + err.Error()) // it lies in the binary
	}
	return assets
}

func loadAsset(files fs.FS, name string) *asset {
	a := &asset{contentType: contentTypeOf(name), cacheControl: cacheAskEach}
	if strings.HasPrefix(name, "assets/") {
		a.cacheControl = cacheForGood
	}
	for _, coding := range codings {
		body, err := fs.ReadFile(files, name+coding.ending)
		if err != nil {
			continue // the build writes a form only where it is smaller
		}
		a.forms = append(a.forms, form{coding.encoding, etagOf(body), body})
	}
	return a
}

func contentTypeOf(name string) string {
	ending := path.Ext(name)
	if known := contentTypes[ending]; known != "" {
		return known
	}
	if known := mime.TypeByExtension(ending); known != "" {
		return known
	}
	return "application/octet-stream"
}

// etagOf is strong: each form has its own bytes, hence its own tag (RFC 9110 §8.8.3.3).
func etagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}

// formFor picks the first form that an Accept-Encoding header takes (RFC 9110 §12.5.3).
func (a *asset) formFor(acceptEncoding string) form {
	for _, candidate := range a.forms[:len(a.forms)-1] {
		if accepts(acceptEncoding, candidate.encoding) {
			return candidate
		}
	}
	return a.forms[len(a.forms)-1]
}

// accepts reports whether the header names coding with a weight above zero. "*" is not taken as an invitation:
// a client that does not name a coding may not know it.
func accepts(header, coding string) bool {
	for item := range strings.SplitSeq(header, ",") {
		name, parameters, _ := strings.Cut(strings.TrimSpace(item), ";")
		if !strings.EqualFold(strings.TrimSpace(name), coding) {
			continue
		}
		weight, found := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(parameters), " ", ""), "q=")
		return !found || strings.Trim(weight, "0.") != ""
	}
	return false
}
