package main

import (
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"strings"

	"nova/ingest/auth"
)

type keysCommand struct {
	Stream string `arg:"" help:"The stream's public playback id."`
	Title  string `help:"What the page shows."`
}

// Run prints the key once and the entry for the key file, which holds only its hash.
func (c keysCommand) Run() error {
	key := newKey()
	fmt.Printf("stream key (shown once): %s\n\nentry for the file that ingest.auth.file names:\n", key)
	fmt.Printf("- key_sha256: %s\n  stream: %s\n  title: %q\n", auth.HashKey(key), c.Stream, c.Title)
	return nil
}

// newKey is 160 random bits in lower-case base32: short enough to type, too many to guess.
func newKey() string {
	raw := make([]byte, 20)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the process instead
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw))
}
