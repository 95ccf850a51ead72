package auth

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"

	"nova/internal/obs"
)

// Entry is one key of the file.
type Entry struct {
	KeySHA256 string `yaml:"key_sha256" doc:"hexadecimal SHA-256 of the stream key"`
	Stream    string `yaml:"stream" doc:"public identity (playback id) that the key publishes to"`
	Title     string `yaml:"title" doc:"title that the page shows"`
}

// File reads keys from a YAML file: a list of entries. The file is read again when it changes; while the new
// one is not valid, the old keys hold.
type File struct {
	// set by NewFile
	path string
	log  *slog.Logger

	// guarded by mu
	mu struct {
		sync.Mutex
		keys     []key
		modified time.Time
		size     int64
	}
}

// key is an entry with its hash decoded.
type key struct {
	hash  []byte
	grant Grant
}

// NewFile reads the keys in path.
func NewFile(path string, log *slog.Logger) (*File, error) {
	f := &File{path: path, log: log.With(obs.KeyComp, "ingest.auth", obs.KeyPath, path)}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f, f.reload()
}

// AuthorizePublish implements Authorizer.
func (f *File) AuthorizePublish(_ context.Context, req Request) (Grant, error) {
	hash, err := hex.DecodeString(HashKey(req.Key))
	if err != nil {
		return Grant{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.reload(); err != nil {
		f.log.Error("keeping the keys that were read before", obs.Err(err))
	}
	grant, found := Grant{}, false
	for _, k := range f.mu.keys { // all of them: the time must not tell which key came close
		if subtle.ConstantTimeCompare(k.hash, hash) == 1 {
			grant, found = k.grant, true
		}
	}
	if !found {
		return Grant{}, ErrDenied
	}
	return grant, nil
}

// reload reads the file where it changed since the last time, which is also remembered where it is not valid.
// The caller holds mu.
func (f *File) reload() error {
	info, err := os.Stat(f.path)
	if err != nil {
		return fmt.Errorf("cannot read stream keys: %w", err)
	}
	if info.ModTime().Equal(f.mu.modified) && info.Size() == f.mu.size {
		return nil
	}
	f.mu.modified, f.mu.size = info.ModTime(), info.Size()
	b, err := os.ReadFile(f.path)
	if err != nil {
		return fmt.Errorf("cannot read stream keys: %w", err)
	}
	keys, err := parseKeys(b)
	if err != nil {
		return fmt.Errorf("cannot read stream keys in %s: %w", f.path, err)
	}
	f.mu.keys = keys
	f.log.Info("stream keys read", obs.KeyCount, len(keys))
	return nil
}

// parseKeys reads and checks the file's text. Errors name entries by number and never quote a hash.
func parseKeys(text []byte) ([]key, error) {
	var entries []Entry
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&entries); err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.New("not a list of entries with key_sha256, stream and title")
	}
	keys := make([]key, 0, len(entries))
	for i, e := range entries {
		hash, err := hex.DecodeString(e.KeySHA256)
		if err != nil || len(hash) != 32 {
			return nil, fmt.Errorf("entry %d: key_sha256 must be 64 hexadecimal digits", i+1)
		}
		grant, err := granted(e.Stream, e.Title)
		if err != nil {
			return nil, fmt.Errorf("entry %d: stream: %w", i+1, err)
		}
		keys = append(keys, key{hash: hash, grant: grant})
	}
	return keys, nil
}
