package archtest

import "testing"

func TestImportRulesHold(t *testing.T) {
	files, err := read("../..")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 50 {
		t.Fatalf("only %d files read: the walk is broken", len(files))
	}
	for _, v := range violations(files) {
		t.Error(v)
	}
}

// The rules themselves: each of these must be refused.
func TestRulesRefuse(t *testing.T) {
	for _, f := range []file{
		{dir: "packager/store", imports: []string{"nova/ingest/hub"}},
		{dir: "packager/store", imports: []string{"nova/packager"}},
		{dir: "internal/relay", imports: []string{"nova/ingest"}},
		{dir: "internal/media", imports: []string{"github.com/x/y"}},
		{dir: "transcode/encode", imports: []string{"C"}},
		{dir: "transcode/encode", imports: []string{"github.com/asticode/go-astiav"}},
		{dir: "packager/store", imports: []string{"github.com/aws/aws-sdk-go-v2/service/s3"}},
		{dir: "packager", imports: []string{"nova/cmd/nova"}},
		{dir: "packager", imports: []string{"nova/bench"}},
		{dir: "ingest/whip", imports: []string{"github.com/yutopp/go-rtmp"}},
	} {
		if len(violations([]file{f})) == 0 {
			t.Errorf("%s importing %v must be refused", f.dir, f.imports)
		}
	}
}

// And these must be let through.
func TestRulesAllow(t *testing.T) {
	for _, f := range []file{
		{dir: "packager", imports: []string{"nova/packager/store", "nova/internal/relay"}},
		{dir: "ingest/rtmp", imports: []string{"nova/ingest/hub", "github.com/yutopp/go-rtmp/message"}},
		{dir: "cmd/nova", imports: []string{"nova/packager", "nova/ingest", "nova/bench"}},
		{dir: "bench", imports: []string{"nova/transcode/av"}},
		{dir: "internal/media", imports: []string{"math/bits"}},
	} {
		if v := violations([]file{f}); len(v) != 0 {
			t.Errorf("must be allowed: %v", v)
		}
	}
}
