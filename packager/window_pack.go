package packager

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"nova/packager/present"
)

// packer makes objects of playlists, compressed once for all viewers. Not safe for concurrent use.
type packer struct {
	gzip *gzip.Writer
	buf  bytes.Buffer
}

// text makes the object of a playlist.
func (p *packer) text(kind present.ObjectKind, text []byte, ended bool) present.Object {
	return present.Object{
		Kind: kind, Body: text, Gzip: p.compress(text), ETag: etag(text), Modified: time.Now(), Ended: ended,
	}
}

func (p *packer) compress(text []byte) []byte {
	p.buf.Reset()
	if p.gzip == nil {
		p.gzip = gzip.NewWriter(&p.buf)
	} else {
		p.gzip.Reset(&p.buf)
	}
	// Writes to a buffer do not fail.
	_, _ = p.gzip.Write(text)
	_ = p.gzip.Close()
	return bytes.Clone(p.buf.Bytes())
}

// etag is a strong entity tag of the content.
func etag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}
