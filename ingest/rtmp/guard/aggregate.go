package guard

import (
	"encoding/binary"

	"nova/ingest/rtmp/chunk"
)

// aggregate is the rest of an aggregate message (RTMP 1.0 §7.1.6): FLV tags, whose timestamps count from the
// first one's.
type aggregate struct {
	left   []byte
	stream uint32
	// offset leads from a tag's timestamp to the message's.
	offset uint32
}

// A tag in an aggregate: type, 24-bit size, 24+8-bit timestamp, 24-bit stream id, payload, 32-bit back pointer.
const (
	tagHeader  = 11
	tagTrailer = 4
)

func (a *aggregate) more() bool { return len(a.left) > 0 }

func (c *Conn) beginAggregate(m chunk.Message) {
	if len(m.Payload) < tagHeader {
		c.observer.Repaired(RepairBadAggregate)
		return
	}
	c.observer.Repaired(RepairAggregate)
	c.aggregate = aggregate{left: m.Payload, stream: m.Stream, offset: m.Timestamp - tagTimestamp(m.Payload)}
}

// nextOfAggregate accepts the next message inside. One that runs past the end takes the rest with it. The last
// back pointer may be missing.
func (c *Conn) nextOfAggregate() error {
	a := &c.aggregate
	tag := a.left
	a.left = nil
	if len(tag) < tagHeader {
		c.observer.Repaired(RepairBadAggregate)
		return nil
	}
	end := tagHeader + int(binary.BigEndian.Uint32(tag)&0xffffff)
	if end > len(tag) {
		c.observer.Repaired(RepairBadAggregate)
		return nil
	}
	a.left = tag[min(len(tag), end+tagTrailer):]
	m := chunk.Message{
		Type: tag[0], Stream: a.stream, Timestamp: tagTimestamp(tag) + a.offset, Payload: tag[tagHeader:end],
	}
	switch m.Type {
	case chunk.TypeAudio, chunk.TypeVideo, chunk.TypeDataAMF0:
		return c.accept(m)
	default:
		c.observer.Repaired(RepairUnknown)
		return nil
	}
}

func tagTimestamp(tag []byte) uint32 {
	return binary.BigEndian.Uint32(tag[4:])>>8 | uint32(tag[7])<<24
}
