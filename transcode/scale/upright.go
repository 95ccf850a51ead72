package scale

import (
	"errors"
	"strings"

	"nova/transcode/av"
)

// upright makes progressive, upright pictures of frames that are flagged otherwise. Frames that are not flagged
// pass untouched, until the first that is.
type upright struct {
	graph *av.Graph
	spec  string
	// fields is true once a frame was interlaced: it stays so until the size changes, because streams mix both
	// and the deinterlacer passes progressive frames on.
	fields  bool
	waiting []*av.Frame // pushed, not yet pulled: what Go knows of them
}

// push owns f.
func (u *upright) push(f *av.Frame, emit func(*av.Frame) error) error {
	defer f.Release()
	if u.graph != nil && !u.graph.Fits(f) {
		u.fields = false
	}
	u.fields = u.fields || f.Interlaced()
	spec := u.chain(f.Turn)
	if spec == "" && u.graph == nil {
		return emit(f.Ref())
	}
	if u.graph == nil || spec != u.spec || !u.graph.Fits(f) {
		if err := u.reopen(spec, f, emit); err != nil {
			return err
		}
	}
	if u.graph == nil {
		return emit(f.Ref())
	}
	if err := u.graph.Push(f); err != nil {
		return err
	}
	u.waiting = append(u.waiting, f.Ref())
	return u.pull(emit)
}

// chain is the filters for frames that are turned like this; empty where there is nothing to do.
func (u *upright) chain(turn av.Turn) string {
	var filters []string
	if u.fields {
		filters = append(filters, "bwdif=mode=send_frame:deint=interlaced")
	}
	filters = append(filters, [...][]string{nil, {"transpose=clock"}, {"hflip", "vflip"}, {"transpose=cclock"}}[turn.Quarters&3]...)
	if turn.Mirrored {
		filters = append(filters, "hflip")
	}
	return strings.Join(filters, ",")
}

// reopen emits what the old graph holds and builds the one for f.
func (u *upright) reopen(spec string, f *av.Frame, emit func(*av.Frame) error) (err error) {
	if err := u.flush(emit); err != nil {
		return err
	}
	if u.spec = spec; spec == "" {
		return nil
	}
	u.graph, err = av.NewGraph("[in]"+spec+"[out0]", f, 1)
	return err
}

func (u *upright) pull(emit func(*av.Frame) error) error {
	for {
		f, err := u.graph.Pull(0)
		if errors.Is(err, av.ErrAgain) || errors.Is(err, av.ErrEOF) {
			return nil
		}
		if err != nil {
			return err
		}
		src := u.take(f.PTS())
		if src == nil {
			f.Release()
			continue
		}
		f.Inherit(src)
		src.Release()
		if err := emit(f); err != nil {
			return err
		}
	}
}

// take finds the frame that was pushed with that time; older ones have no picture any more.
func (u *upright) take(pts int64) *av.Frame {
	for len(u.waiting) > 0 && u.waiting[0].PTS() <= pts {
		src := u.waiting[0]
		u.waiting = u.waiting[1:]
		if src.PTS() == pts {
			return src
		}
		src.Release()
	}
	return nil
}

// flush emits what the graph holds and closes it.
func (u *upright) flush(emit func(*av.Frame) error) error {
	if u.graph == nil {
		return nil
	}
	defer u.close()
	if err := u.graph.Push(nil); err != nil {
		return err
	}
	return u.pull(emit)
}

func (u *upright) close() {
	releaseAll(u.waiting)
	u.waiting = nil
	if u.graph != nil {
		u.graph.Close()
		u.graph = nil
	}
}
