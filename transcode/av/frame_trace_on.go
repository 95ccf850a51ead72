//go:build novadebug

package av

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
)

// frameTrace records who acquired and who released a frame.
type frameTrace struct {
	mu struct {
		sync.Mutex
		events []frameEvent
	}
}

type frameEvent struct {
	release bool
	pcs     []uintptr
}

// held is every frame that has not been freed.
var held struct {
	sync.Mutex
	frames map[*Frame]struct{}
}

func (t *frameTrace) acquired(f *Frame) {
	t.record(false)
	held.Lock()
	defer held.Unlock()
	if held.frames == nil {
		held.frames = make(map[*Frame]struct{})
	}
	held.frames[f] = struct{}{}
}

func (t *frameTrace) released(*Frame) { t.record(true) }

func (t *frameTrace) freed(f *Frame) {
	held.Lock()
	defer held.Unlock()
	delete(held.frames, f)
}

func (t *frameTrace) record(release bool) {
	pcs := make([]uintptr, 16)
	pcs = pcs[:runtime.Callers(4, pcs)]
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.events = append(t.mu.events, frameEvent{release: release, pcs: pcs})
}

func (t *frameTrace) history(*Frame) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	for i, e := range t.mu.events {
		verb := "acquired"
		if e.release {
			verb = "released"
		}
		fmt.Fprintf(&b, "\n  %d. %s at", i+1, verb)
		frames := runtime.CallersFrames(e.pcs)
		for more := true; more; {
			var at runtime.Frame
			at, more = frames.Next()
			fmt.Fprintf(&b, "\n     %s\n       %s:%d", at.Function, at.File, at.Line)
		}
	}
	return b.String()
}

// Leaks tells which frames are held, with the stacks of everyone who acquired and released them; it is empty
// where there are none.
func Leaks() string {
	held.Lock()
	frames := make([]*Frame, 0, len(held.frames))
	for f := range held.frames {
		frames = append(frames, f)
	}
	held.Unlock()
	var b strings.Builder
	for _, f := range frames {
		fmt.Fprintf(&b, "a frame with %d references is held:%s\n", f.refs.Load(), f.trace.history(f))
	}
	return b.String()
}
