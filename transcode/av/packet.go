package av

// #include "shim.h"
import "C"

import "unsafe"

// Packet is one coded unit on its way into or out of a codec.
type Packet struct {
	// Data is the coded payload. In a packet that an Encoder shows, it is C memory that ends with the callback.
	Data []byte
	// PTS, DTS and Duration are in the timescale of the codec that the packet is for.
	PTS, DTS, Duration int64
	Key                bool
	// Mark is a small number that the frame decoded from this packet will carry: see [Frame.Mark].
	Mark int
}

// packet is the C side: reference-counted, padded memory.
type packet struct{ c *C.AVPacket }

func newPacket() (*packet, error) {
	c := C.av_packet_alloc()
	if c == nil {
		return nil, &Error{Op: "allocate packet", Code: ErrNoMemory}
	}
	return &packet{c: c}, nil
}

func (p *packet) fill(from Packet) error {
	if len(from.Data) == 0 {
		return &Error{Op: "fill packet", Code: ErrInvalidData}
	}
	return check("fill packet", C.nova_packet_fill(p.c, (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(from.Data))),
		C.int(len(from.Data)), C.int64_t(from.PTS), C.int64_t(from.DTS), C.int64_t(from.Duration),
		cbool(from.Key), C.int(from.Mark)))
}

// view shows the packet's C memory; it ends with the next call on the packet.
func (p *packet) view() Packet {
	return Packet{
		Data:     unsafe.Slice((*byte)(unsafe.Pointer(p.c.data)), int(p.c.size)),
		PTS:      int64(p.c.pts),
		DTS:      int64(p.c.dts),
		Duration: int64(p.c.duration),
		Key:      p.c.flags&C.AV_PKT_FLAG_KEY != 0,
	}
}

func (p *packet) close() { C.av_packet_free(&p.c) } //nolint:gocritic // cgo writes the comparison

func cbool(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
