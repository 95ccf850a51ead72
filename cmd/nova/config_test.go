package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nova/internal/conf"
)

// The generated pages say what the program does: `make docs` was run.
func TestConfigPagesAreCurrent(t *testing.T) {
	for path, generate := range map[string]func(io.Writer, any) error{
		"docs/CONFIG.md":          conf.Reference,
		"deploy/nova.sample.yaml": conf.Sample,
	} {
		var b strings.Builder
		if err := generate(&b, defaultConfig()); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(filepath.Join("..", "..", path))
		if err != nil {
			t.Fatal(err)
		}
		if string(raw) != b.String() {
			t.Errorf("%s is not what the program would write: run make docs", path)
		}
	}
}

func TestEverySettingIsExplained(t *testing.T) {
	for _, k := range conf.Keys(defaultConfig()) {
		if k.Doc == "" {
			t.Errorf("%s has no doc tag", k.Path)
		}
	}
}

func TestSampleIsGood(t *testing.T) {
	s := sources{Config: filepath.Join("..", "..", "deploy", "nova.sample.yaml")}
	if _, err := s.load(); err != nil {
		t.Error(err)
	}
}

func TestValidateNamesTheSection(t *testing.T) {
	for set, want := range map[string]string{
		"transcode.encoder=x265":         "transcode.encoder",
		"packager.segment_target=-1s":    "packager.segment_target",
		"store.workers=0":                "store.workers",
		"s3.endpoint=http://127.0.0.1:9": "s3.bucket",
		"drain_timeout=1ms":              "drain_timeout",
		"log.level=LOUD":                 "log.level",
	} {
		if _, err := (sources{Set: []string{set}}).load(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v does not name %s", set, err, want)
		}
	}
}
