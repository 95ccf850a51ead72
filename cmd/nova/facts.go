package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"nova/ingest/auth"
)

// facts is .nova/dev.json: what a script needs to know of a nova dev that is ready.
type facts struct {
	HTTPURL    string `json:"http_url"`
	AdminURL   string `json:"admin_url"`
	RTMPURL    string `json:"rtmp_url"`
	StreamKey  string `json:"stream_key"`
	PlaybackID string `json:"playback_id"`
	HLSURL     string `json:"hls_url"`
	WatchURL   string `json:"watch_url"`
	PID        int    `json:"pid"`
}

const (
	factsFile   = "dev.json"
	secretsFile = "secrets.json"
	keysFile    = "keys.yaml"
	// The two streams of a development stack. The first is the user's.
	userStream = "live"
	demoStream = "demo"
)

func readFacts(dir string) (facts, error) {
	var f facts
	if err := readJSON(filepath.Join(dir, factsFile), &f); err != nil {
		return facts{}, fmt.Errorf("no nova dev is ready in %s: %w", dir, err)
	}
	return f, nil
}

// secrets are the plain stream keys of a development stack; the server itself sees only their hashes.
type secrets struct {
	UserKey string `json:"user_key"`
	DemoKey string `json:"demo_key"`
}

func readSecrets(dir string) (secrets, error) {
	var s secrets
	err := readJSON(filepath.Join(dir, secretsFile), &s)
	return s, err
}

// ensureSecrets makes the keys at the first start and keeps them: OBS settings stay good over restarts.
func ensureSecrets(dir string) (secrets, error) {
	s, err := readSecrets(dir)
	if errors.Is(err, fs.ErrNotExist) {
		s = secrets{UserKey: newKey(), DemoKey: newKey()}
		err = writeJSON(filepath.Join(dir, secretsFile), s)
	}
	if err != nil {
		return secrets{}, fmt.Errorf("cannot keep the development keys: %w", err)
	}
	entries := fmt.Sprintf("- key_sha256: %s\n  stream: %s\n  title: My stream\n- key_sha256: %s\n  stream: %s\n  title: Big Buck Bunny\n",
		auth.HashKey(s.UserKey), userStream, auth.HashKey(s.DemoKey), demoStream)
	return s, writeFile(filepath.Join(dir, keysFile), []byte(entries))
}

func readJSON(path string, into any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

func writeJSON(path string, value any) error {
	raw, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(raw, '\n'))
}

// writeFile replaces a file in one step and for its owner alone: it may hold a key.
func writeFile(path string, body []byte) error {
	if err := os.WriteFile(path+".part", body, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".part", path)
}
