// Package archtest holds the import rules of the folder tree, each with its reason, and a test that proves
// them on every Go file. `go test ./internal/archtest` answers in a second.
package archtest

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

const module = "nova"

// services are the folders that run apart in a cluster.
var services = []string{"ingest", "transcode", "packager", "realtime", "ranking", "control"}

// confined libraries may be imported only below the folders named.
var confined = []struct {
	library string
	folders []string
	reason  string
}{
	{"C", []string{"transcode/av"}, "one package answers for memory that the collector does not see"},
	{"github.com/asticode/go-astiav", []string{"transcode/av"}, "libav is reached through one wrapper that guards its traps"},
	{"github.com/yutopp/go-rtmp", []string{"ingest/rtmp", "bench"}, "it is safe only behind the guard"},
	{"github.com/yutopp/go-amf0", []string{"ingest/rtmp"}, "its decoder can be killed from outside: only behind the guard"},
	{"github.com/bluenviron/gortsplib", []string{"ingest/rtsp"}, "one protocol, one folder"},
	{"github.com/pion", []string{"ingest/whip"}, "one protocol, one folder"},
	{"github.com/yalue/onnxruntime_go", []string{"ranking/model"}, "C memory behind one package"},
	{"github.com/aws", []string{"internal/blob"}, "one place knows S3's retries, checksums and errors"},
	{"github.com/jackc/pgx", []string{"control", "transcode/vod", "internal/outbox"}, "each domain owns its schema"},
	{"github.com/twmb/franz-go", []string{"internal/bus", "internal/devstack"}, "one place knows Kafka"},
	{"github.com/redis/rueidis", []string{"internal/kv"}, "one place knows Redis's retries and deadlines"},
	{"github.com/alecthomas/kong", []string{"cmd"}, "flags belong to the program"},
}

// file is one Go file's place and imports.
type file struct {
	path    string
	dir     string
	test    bool
	imports []string
}

// violations lists what breaks a rule.
func violations(files []file) []string {
	var out []string
	for _, f := range files {
		for _, imported := range f.imports {
			if reason := forbidden(f, imported); reason != "" {
				out = append(out, fmt.Sprintf("%s imports %s: %s", f.path, imported, reason))
			}
		}
	}
	return out
}

func forbidden(f file, imported string) string {
	for _, c := range confined {
		if under(imported, c.library) && !slices.ContainsFunc(c.folders, func(dir string) bool { return under(f.dir, dir) }) {
			return fmt.Sprintf("only %s may, since %s", strings.Join(c.folders, ", "), c.reason)
		}
	}
	target, ours := strings.CutPrefix(imported, module+"/")
	if !ours {
		if (under(f.dir, "internal/media") || under(f.dir, "internal/errs")) && !f.test && strings.Contains(imported, ".") {
			return "the shared words use the standard library only"
		}
		return ""
	}
	return forbiddenInside(f, target)
}

// forbiddenInside rules imports within the module.
func forbiddenInside(f file, target string) string {
	from, to := root(f.dir), root(target)
	switch {
	case to == "cmd" || (to == "bench" && from != "cmd" && from != "bench"):
		return "nobody imports cmd or bench"
	case from == "cmd" || from == "bench":
		return ""
	case from == "internal" && to != "internal":
		return "internal packages know no service"
	case slices.Contains(services, from) && slices.Contains(services, to) && from != to:
		return "services never import each other: they meet over the relay, RPC or events"
	case slices.Contains(services, from) && target == from && f.dir != from && !f.test:
		return "a service's folders do not know the service that wires them"
	default:
		return ""
	}
}

func root(dir string) string {
	first, _, _ := strings.Cut(dir, "/")
	return first
}

func under(path, prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }

// read lists every Go file below the module's root.
func read(moduleRoot string) ([]file, error) {
	var files []file
	err := filepath.WalkDir(moduleRoot, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != moduleRoot && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := readFile(moduleRoot, path)
		if err == nil {
			files = append(files, f)
		}
		return err
	})
	return files, err
}

func readFile(moduleRoot, path string) (file, error) {
	relative, err := filepath.Rel(moduleRoot, path)
	if err != nil {
		return file{}, err
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		return file{}, fmt.Errorf("cannot parse %s: %w", relative, err)
	}
	f := file{
		path: filepath.ToSlash(relative),
		dir:  filepath.ToSlash(filepath.Dir(relative)),
		test: strings.HasSuffix(path, "_test.go"),
	}
	for _, spec := range parsed.Imports {
		f.imports = append(f.imports, strings.Trim(spec.Path.Value, `"`))
	}
	return f, nil
}
