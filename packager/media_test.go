package packager

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"nova/internal/media"
	"nova/internal/testkit"
)

// made keeps the clips of this run: several tests use the same.
var made struct {
	sync.Mutex
	dir   string
	clips map[string]*testkit.Clip
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "nova-packager")
	if err != nil {
		panic(err)
	}
	made.dir, made.clips = dir, map[string]*testkit.Clip{}
	code := m.Run()
	_ = os.RemoveAll(dir)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func program(name string) string { return cmp.Or(os.Getenv("NOVA_"+strings.ToUpper(name)), name) }

// ffmpeg runs it and returns what it wrote to its standard output. What it complains about fails the test.
func ffmpeg(t testing.TB, args ...string) []byte {
	t.Helper()
	return tool(t, "ffmpeg", append([]string{"-hide_banner", "-nostdin", "-v", "error", "-y"}, args...)...)
}

func tool(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(program(name), args...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil || complaints.Len() > 0 {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, complaints.String())
	}
	return out.Bytes()
}

// clip makes a clip by the given ffmpeg arguments, once.
func clip(t testing.TB, args string) *testkit.Clip {
	t.Helper()
	made.Lock()
	defer made.Unlock()
	if c := made.clips[args]; c != nil {
		return c
	}
	path := filepath.Join(made.dir, fmt.Sprintf("%d.mp4", len(made.clips)))
	ffmpeg(t, append(strings.Fields(args), path)...)
	c, err := testkit.ReadClip(path)
	if err != nil {
		t.Fatal(err)
	}
	made.clips[args] = c
	return c
}

// encode is the end of every video's arguments.
const encode = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -sc_threshold 0 -threads 1 "

// picture makes a silent clip: the same frames at every size, keyframes every gop frames.
func picture(t testing.TB, size, rate string, gop, seconds int, more string) *testkit.Clip {
	t.Helper()
	return clip(t, fmt.Sprintf("-f lavfi -i testsrc2=s=%s:r=%s:d=%d %s -g %d %s", size, rate, seconds, encode, gop, more))
}

// sound makes a clip of a tone.
func sound(t testing.TB, rate, channels, seconds int) *testkit.Clip {
	t.Helper()
	return clip(t, fmt.Sprintf("-f lavfi -i sine=r=%d:d=%d -ac %d -c:a aac", rate, seconds, channels))
}

// video and audio are the units of a clip's only track.
func units(t testing.TB, c *testkit.Clip) (media.Track, []*media.AccessUnit) {
	t.Helper()
	if len(c.Tracks) != 1 {
		t.Fatalf("%d tracks", len(c.Tracks))
	}
	return c.Tracks[0], c.Units
}
