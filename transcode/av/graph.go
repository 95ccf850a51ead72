package av

// #include "shim.h"
import "C"

import (
	"fmt"

	"github.com/asticode/go-astiav"

	"nova/internal/media"
)

// Graph is a libavfilter graph with one input and one or more outputs, for what swscale alone cannot do:
// deinterlacing, turning, and everything on a GPU.
type Graph struct {
	src   source
	graph *astiav.FilterGraph
	in    *astiav.BuffersrcFilterContext
	outs  []*astiav.BuffersinkFilterContext
	scale int
}

// NewGraph is for frames like src. spec names the graph's ends in and out0, out1, …
func NewGraph(spec string, src *Frame, outputs int) (*Graph, error) {
	g := &Graph{src: sourceOf(src), scale: src.Timescale, graph: astiav.AllocFilterGraph()}
	if g.graph == nil {
		return nil, &Error{Op: "allocate filter graph", Code: ErrNoMemory}
	}
	if err := g.build(spec, src, outputs); err != nil {
		g.Close()
		return nil, fmt.Errorf("cannot build filter graph %q: %w", spec, err)
	}
	return g, nil
}

func (g *Graph) build(spec string, src *Frame, outputs int) (err error) {
	g.graph.SetThreadCount(1)
	if g.in, err = g.source(src); err != nil {
		return err
	}
	var sinks *astiav.FilterInOut
	for i := outputs - 1; i >= 0; i-- {
		name := fmt.Sprintf("out%d", i)
		sink, err := g.graph.NewBuffersinkFilterContext(astiav.FindFilterByName("buffersink"), name)
		if err != nil {
			return wrap("open filter buffersink", err)
		}
		g.outs = append([]*astiav.BuffersinkFilterContext{sink}, g.outs...)
		sinks = end(name, sink.FilterContext(), sinks)
	}
	source := end("in", g.in.FilterContext(), nil)
	defer source.Free()
	defer func() { sinks.Free() }()
	if err := g.graph.Parse(spec, sinks, source); err != nil {
		return wrap("parse filter graph", err)
	}
	return wrap("configure filter graph", g.graph.Configure())
}

// source is the graph's input, shaped like src.
func (g *Graph) source(src *Frame) (*astiav.BuffersrcFilterContext, error) {
	in, err := g.graph.NewBuffersrcFilterContext(astiav.FindFilterByName("buffer"), "in")
	if err != nil {
		return nil, wrap("open filter buffer", err)
	}
	p := astiav.AllocBuffersrcFilterContextParameters()
	defer p.Free()
	sar := src.SampleAspectRatio()
	p.SetWidth(src.Width())
	p.SetHeight(src.Height())
	p.SetPixelFormat(src.lib.PixelFormat())
	p.SetSampleAspectRatio(astiav.NewRational(sar.Num, sar.Den))
	p.SetTimeBase(astiav.NewRational(1, src.Timescale))
	p.SetColorSpace(src.lib.ColorSpace())
	p.SetColorRange(src.lib.ColorRange())
	p.SetHardwareFramesContext(src.lib.HardwareFramesContext())
	if err := in.SetParameters(p); err != nil {
		return nil, wrap("set filter parameters", err)
	}
	return in, wrap("open filter buffer", in.Initialize(nil))
}

// end is one named end of the graph, in front of next.
func end(name string, filter *astiav.FilterContext, next *astiav.FilterInOut) *astiav.FilterInOut {
	e := astiav.AllocFilterInOut()
	e.SetName(name)
	e.SetFilterContext(filter)
	e.SetPadIdx(0)
	e.SetNext(next)
	return e
}

// Fits tells whether the graph was built for frames like f.
func (g *Graph) Fits(f *Frame) bool { return g.src == sourceOf(f) && g.scale == f.Timescale }

// Push gives the graph a frame, which stays the caller's; nil tells that no frame follows.
func (g *Graph) Push(f *Frame) error {
	if f == nil {
		return wrap("drain filter graph", g.in.AddFrame(nil, astiav.NewBuffersrcFlags()))
	}
	return wrap("filter frame", g.in.AddFrame(f.lib, astiav.NewBuffersrcFlags(astiav.BuffersrcFlagKeepRef)))
}

// Pull gives the next frame of an output, which the caller owns, or ErrAgain, or ErrEOF. Only the picture, its
// times and its Mark have passed the graph: Go's fields are the caller's to set.
func (g *Graph) Pull(output int) (*Frame, error) {
	f, err := newFrame()
	if err != nil {
		return nil, err
	}
	if err := g.outs[output].GetFrame(f.lib, astiav.NewBuffersinkFlags()); err != nil {
		f.Release()
		return nil, wrap("receive filtered frame", err)
	}
	base := g.outs[output].TimeBase()
	f.Timescale = g.scale
	f.SetPTS(media.Rescale(f.PTS()*int64(base.Num()), base.Den(), g.scale))
	return f, nil
}

// Close frees the graph. Frames that it gave live on.
func (g *Graph) Close() { g.graph.Free() }
