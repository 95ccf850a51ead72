package worker

import (
	"context"
	"io"
	"slices"

	"nova/internal/media"
	"nova/internal/relay"
)

// heldUnits bounds what waits for the first rungs before the track list is written without them.
const heldUnits = 512

// message is one step of the output: a unit, a new ladder, another track, or a rung that has ended.
type message struct {
	unit *media.AccessUnit
	// ladder tells that rungs replace the rungs so far.
	ladder bool
	rungs  []media.Track
	other  *media.Track
	retire int
}

// output writes to stdout. Owned by runOutput.
type output struct {
	w    *worker
	pipe *relay.Writer
	// others are the tracks besides the rungs.
	rungs, others []media.Track
	// waiting tells that rungs are to come; held is what came before them.
	waiting bool
	held    []*media.AccessUnit
}

func newOutput(w *worker, stdout io.Writer) *output {
	return &output{w: w, pipe: relay.NewWriter(stdout), waiting: len(w.spec.Rungs) > 0}
}

// runOutput is the only writer of stdout.
func (o *output) runOutput(ctx context.Context, info relay.Info) error {
	if err := o.pipe.WriteInfo(info); err != nil {
		return err
	}
	for m := range o.w.outputQ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := o.take(m); err != nil {
			return err
		}
	}
	return o.release()
}

func (o *output) take(m message) error {
	switch {
	case m.unit != nil && o.waiting && len(o.held) < heldUnits:
		o.held = append(o.held, m.unit)
		return nil
	case m.unit != nil:
		if err := o.release(); err != nil {
			return err
		}
		return o.pipe.WriteItem(relay.Item{Unit: m.unit})
	case m.ladder:
		o.rungs, o.waiting = m.rungs, false
	case m.other != nil:
		o.others = append(slices.Clone(o.others), *m.other)
		slices.SortFunc(o.others, func(a, b media.Track) int { return b.ID - a.ID })
	case m.retire != 0:
		if !o.w.state.isShed(m.retire) {
			return nil // the end of the stream, or of a ladder that another one replaces
		}
		o.rungs = slices.DeleteFunc(slices.Clone(o.rungs), func(t media.Track) bool { return t.ID == m.retire })
	}
	if o.waiting {
		return nil
	}
	return o.announce()
}

func (o *output) announce() error {
	tracks := append(make([]media.Track, 0, len(o.rungs)+len(o.others)), o.rungs...)
	if err := o.pipe.WriteItem(relay.Item{Tracks: append(tracks, o.others...)}); err != nil {
		return err
	}
	return o.release()
}

// release writes what waited for the track list; where that has not come, it is written as it is.
func (o *output) release() error {
	if o.waiting {
		o.waiting = false
		if len(o.held) == 0 && len(o.others) == 0 {
			return nil
		}
		return o.announce()
	}
	held := o.held
	o.held = nil
	for _, u := range held {
		if err := o.pipe.WriteItem(relay.Item{Unit: u}); err != nil {
			return err
		}
	}
	return nil
}
