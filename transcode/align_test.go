package transcode

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"nova/internal/media"
)

// Lines of a script: "tracks 1 2", "unit TRACK PTS", "flush", "reset". Each answers with the units that go out.
func TestAligner(t *testing.T) {
	datadriven.RunTest(t, "testdata/align", func(t *testing.T, d *datadriven.TestData) string {
		var a aligner
		var out strings.Builder
		for line := range strings.Lines(d.Input) {
			var ready []*media.AccessUnit
			switch f := strings.Fields(line); f[0] {
			case "tracks":
				a.setTracks(numbers(t, f[1:]))
			case "unit":
				n := numbers(t, f[1:])
				ready = a.push(&media.AccessUnit{Track: n[0], PTS: int64(n[1]), DTS: int64(n[1])})
			case "flush":
				ready = a.flush()
			case "reset":
				a.reset()
			default:
				t.Fatalf("unknown line %q", line)
			}
			fmt.Fprintf(&out, "%s:", strings.TrimSpace(line))
			for _, u := range ready {
				fmt.Fprintf(&out, " %d@%d", u.Track, u.PTS)
			}
			out.WriteString("\n")
		}
		return out.String()
	})
}

func numbers(t *testing.T, fields []string) []int {
	t.Helper()
	list := make([]int, len(fields))
	for i, f := range fields {
		var err error
		if list[i], err = strconv.Atoi(f); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// A rung that gives nothing at all does not make the others wait for ever.
func TestAlignerIsBounded(t *testing.T) {
	var a aligner
	a.setTracks([]int{1, 2})
	out := 0
	for i := range alignHeld + 100 {
		out += len(a.push(&media.AccessUnit{Track: 1, PTS: int64(i), DTS: int64(i)}))
	}
	if out != 100 || a.held != alignHeld {
		t.Errorf("%d units went out and %d are held, want 100 and %d", out, a.held, alignHeld)
	}
}
