package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// TestQueue drives the queue by words: push LANE NAME seconds=N bytes=N · take · fail NAME · done NAME · open
// LANE · wait SECONDS · abandon · show.
func TestQueue(t *testing.T) {
	datadriven.Walk(t, "testdata/queue", func(t *testing.T, file string) {
		h := &queueHarness{lanes: map[string]*lane{}, jobs: map[string]*job{}, now: start, owner: &session{}}
		datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string { return h.run(t, d) })
	})
}

type queueHarness struct {
	q     *queue
	lanes map[string]*lane
	jobs  map[string]*job
	now   time.Time
	owner *session
}

func (h *queueHarness) run(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "new":
		var seconds, bytes int
		d.ScanArgs(t, "seconds", &seconds)
		d.ScanArgs(t, "bytes", &bytes)
		h.q = newQueue(time.Duration(seconds)*time.Second, int64(bytes), 2)
		return ""
	case "push":
		return h.push(t, d)
	case "open":
		h.q.openLanes(h.lane(d.CmdArgs[0].Key))
		return ""
	case "take":
		j, wait := h.q.take(h.now)
		if j == nil {
			return fmt.Sprintf("nothing, wait %v", wait)
		}
		return j.key
	case "fail":
		h.q.retry(h.jobs[d.CmdArgs[0].Key], h.now, func(tries int) time.Duration { return time.Duration(tries) * time.Second })
		return ""
	case "done":
		h.q.done(h.jobs[d.CmdArgs[0].Key])
		return ""
	case "wait":
		var seconds int
		d.ScanArgs(t, "seconds", &seconds)
		h.now = h.now.Add(time.Duration(seconds) * time.Second)
		return ""
	case "abandon":
		return keys(h.q.abandon(h.owner))
	case "show":
		return h.show()
	default:
		t.Fatalf("no command %q", d.Cmd)
		return ""
	}
}

func (h *queueHarness) lane(name string) *lane {
	if h.lanes[name] == nil {
		h.lanes[name] = &lane{}
	}
	return h.lanes[name]
}

func (h *queueHarness) push(t *testing.T, d *datadriven.TestData) string {
	var seconds, bytes int
	d.ScanArgs(t, "seconds", &seconds)
	d.ScanArgs(t, "bytes", &bytes)
	name := d.CmdArgs[1].Key
	h.jobs[name] = &job{
		key: name, lane: h.lane(d.CmdArgs[0].Key), length: time.Duration(seconds) * time.Second,
		body: make([]byte, bytes), session: h.owner,
	}
	return keys(h.q.push(h.jobs[name]))
}

func keys(jobs []*job) string {
	if len(jobs) == 0 {
		return ""
	}
	names := make([]string, len(jobs))
	for i, j := range jobs {
		names[i] = j.key
	}
	return "dropped " + strings.Join(names, " ")
}

func (h *queueHarness) show() string {
	var b strings.Builder
	for _, j := range h.q.mu.jobs {
		fmt.Fprintf(&b, "%s", j.key)
		if j.inFlight {
			b.WriteString(" in flight")
		}
		if j.tries > 0 {
			fmt.Fprintf(&b, " tries=%d", j.tries)
		}
		b.WriteByte('\n')
	}
	longest, bytes, objects := h.q.depth()
	fmt.Fprintf(&b, "longest %v, %d bytes, %d objects", longest, bytes, objects)
	return b.String()
}
