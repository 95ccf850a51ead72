package scale

import (
	"errors"
	"fmt"
	"strings"

	"nova/transcode/av"
)

// ShapeError tells that a GPU ladder would have to distort or turn a picture: only the CPU's fits and turns.
type ShapeError struct {
	Rung          string
	Width, Height int
}

func (e *ShapeError) Error() string {
	return fmt.Sprintf("cannot scale %dx%d to rung %q on the GPU: it has another shape or must be turned",
		e.Width, e.Height, e.Rung)
}

// GPUScaler scales frames in CUDA memory, cascaded, without a copy to main memory.
type GPUScaler struct {
	// set by NewGPU
	rungs []Rung

	// owned by the caller's goroutine
	off    []bool
	fields bool
	graph  *av.Graph
	spec   string
	live   []int // the rung of each output of graph
	wait   []*av.Frame
	out    []*av.Frame
}

// NewGPU checks the rungs, which are sorted from the largest to the smallest.
func NewGPU(rungs []Rung) (*GPUScaler, error) {
	if err := check(rungs); err != nil {
		return nil, err
	}
	return &GPUScaler{rungs: rungs, off: make([]bool, len(rungs)), out: make([]*av.Frame, len(rungs))}, nil
}

// Scale takes ownership of f, which is in CUDA memory, and emits one frame per rung. It fails with a *HDRError
// or a *ShapeError for pictures that this ladder does not take.
func (s *GPUScaler) Scale(f *av.Frame, emit Emit) error {
	defer f.Release()
	if err := s.refuse(f); err != nil {
		return err
	}
	s.fields = s.fields || f.Interlaced()
	spec, live := s.chain()
	if s.graph == nil || spec != s.spec || !s.graph.Fits(f) {
		if err := s.Flush(emit); err != nil {
			return err
		}
		graph, err := av.NewGraph(spec, f, len(live))
		if err != nil {
			return err
		}
		s.graph, s.spec, s.live = graph, spec, live
	}
	if err := s.graph.Push(f); err != nil {
		return err
	}
	s.wait = append(s.wait, f.Ref())
	return s.pull(emit)
}

func (s *GPUScaler) refuse(f *av.Frame) error {
	if !f.OnGPU() {
		return fmt.Errorf("cannot scale on the GPU: the frame is in main memory")
	}
	width, height := DisplaySize(f)
	for _, r := range s.rungs {
		if f.Turn != (av.Turn{}) || !sameShape(Rung{Width: width, Height: height}, r) {
			return &ShapeError{Rung: r.Name, Width: width, Height: height}
		}
	}
	return refuseHDR(f)
}

// chain is the graph of the rungs that are on, each made of the one before it.
func (s *GPUScaler) chain() (spec string, live []int) {
	for i, off := range s.off {
		if !off {
			live = append(live, i)
		}
	}
	var b strings.Builder
	from := "[in]"
	if s.fields {
		b.WriteString("[in]bwdif_cuda=mode=send_frame:deint=interlaced[fields];")
		from = "[fields]"
	}
	for n, i := range live {
		r := s.rungs[i]
		fmt.Fprintf(&b, "%sscale_cuda=w=%d:h=%d:format=nv12:interp_algo=bicubic", from, r.Width, r.Height)
		if n == len(live)-1 {
			fmt.Fprintf(&b, "[out%d]", n)
			break
		}
		from = fmt.Sprintf("[next%d]", n)
		fmt.Fprintf(&b, ",split=2[out%d]%s;", n, from)
	}
	return b.String(), live
}

// pull emits a set of frames as often as every output has one: they come in step.
func (s *GPUScaler) pull(emit Emit) error {
	for {
		clear(s.out)
		for n, rung := range s.live {
			f, err := s.graph.Pull(n)
			if err != nil {
				releaseAll(s.out)
				if errors.Is(err, av.ErrAgain) || errors.Is(err, av.ErrEOF) {
					return nil
				}
				return err
			}
			s.out[rung] = f
		}
		if len(s.live) == 0 || len(s.wait) == 0 {
			releaseAll(s.out)
			return nil
		}
		src := s.wait[0]
		s.wait = s.wait[1:]
		for _, rung := range s.live {
			s.out[rung].Inherit(src)
		}
		src.Release()
		if err := emit(s.out); err != nil {
			return err
		}
	}
}

// Flush emits what the graph holds back.
func (s *GPUScaler) Flush(emit Emit) error {
	if s.graph == nil {
		return nil
	}
	defer s.Close()
	if err := s.graph.Push(nil); err != nil {
		return err
	}
	return s.pull(emit)
}

// SetActive switches a rung on or off, from the next frame on.
func (s *GPUScaler) SetActive(rung int, active bool) { s.off[rung] = !active }

// Close frees all that is held.
func (s *GPUScaler) Close() {
	releaseAll(s.wait)
	s.wait = nil
	if s.graph != nil {
		s.graph.Close()
		s.graph = nil
	}
}
