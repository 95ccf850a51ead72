package relay

import (
	"context"
	"maps"
	"slices"
)

// Watch implements Source. A watcher compares what it told last with what is live now: it never holds up the hub,
// however slow it is, and needs no queue.
func (h *Hub) Watch(ctx context.Context) <-chan Event { return h.watch(ctx, nil) }

// Follow implements Offer.
func (h *Hub) Follow(ctx context.Context) ([]Info, <-chan Event) {
	live, _ := h.liveNow()
	return slices.Collect(maps.Values(live)), h.watch(ctx, live)
}

// watch tells what differs from told, then each change.
func (h *Hub) watch(ctx context.Context, told map[string]Info) <-chan Event {
	w := &watcher{hub: h, told: told, events: make(chan Event)}
	// Owns: w.told and the sending side of w.events.
	// Ends when: ctx ends.
	// Waited for by: the caller, who sees the channel closed.
	go w.runWatch(ctx)
	return w.events
}

type watcher struct {
	// set by watch
	hub    *Hub
	events chan Event

	// owned by runWatch
	told map[string]Info
}

func (w *watcher) runWatch(ctx context.Context) {
	defer close(w.events)
	for {
		live, changed := w.hub.liveNow()
		for _, e := range difference(w.told, live) {
			select {
			case w.events <- e:
			case <-ctx.Done():
				return
			}
		}
		w.told = live
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// liveNow is what is live, and a channel that is closed when that changes.
func (h *Hub) liveNow() (map[string]Info, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	live := make(map[string]Info, len(h.mu.streams))
	for id, s := range h.mu.streams {
		live[id] = s.info
	}
	return live, h.mu.changed
}

// difference is the events that lead from told to live: ends first, so that a stream which began anew ends before
// it begins.
func difference(told, live map[string]Info) []Event {
	var events []Event
	for id, old := range told {
		if now, ok := live[id]; !ok || now.Session != old.Session {
			events = append(events, Event{Info: old})
		}
	}
	for id, now := range live {
		if old, ok := told[id]; !ok || old.Session != now.Session {
			events = append(events, Event{Info: now, Live: true})
		}
	}
	return events
}
