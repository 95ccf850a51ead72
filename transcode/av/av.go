// Package av is Nova's only wrapper of libav. Everything that a stage needs of FFmpeg 7.1 is here, behind types
// that say who owns C memory; no other package imports go-astiav or "C".
//
//	bytes ──Packet──▶ Decoder ──▶ Frame ──▶ Graph, Scaler, Resampler ──▶ Frame ──▶ Encoder ──▶ bytes
//
// A [Frame] is counted: whoever receives one owns one reference and must Release it; handing it on moves that
// reference. [FramesInUse] is the gauge of all of them. Building with the tag novadebug records the stack of
// each acquire and release, so that [Leaks] and a double release name their places.
//
// Objects other than Frame belong to one goroutine at a time. No Go pointer is kept by C: coded data is copied
// into padded C memory, and C memory is shown to Go for the length of a callback only.
package av

// #cgo pkg-config: libavcodec libavfilter libavutil libswresample libswscale
// #include "shim.h"
import "C"
