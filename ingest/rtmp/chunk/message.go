// Package chunk takes an RTMP chunk stream apart into messages, and puts messages into chunks.
//
//	bytes ──[Reader: limits, repairs]──▶ Message          Message ──Append──▶ bytes
//
// Standard: Adobe's Real Time Messaging Protocol 1.0, §5.3 (chunking) and §5.4 (protocol control).
package chunk

import "encoding/binary"

// Message types (RTMP 1.0 §5.4, §6.2, §7.1).
const (
	TypeSetChunkSize     = 1
	TypeAbort            = 2
	TypeAck              = 3
	TypeUserControl      = 4
	TypeWindowAckSize    = 5
	TypeSetPeerBandwidth = 6
	TypeAudio            = 8
	TypeVideo            = 9
	TypeDataAMF3         = 15
	TypeSharedObjectAMF3 = 16
	TypeCommandAMF3      = 17
	TypeDataAMF0         = 18
	TypeSharedObjectAMF0 = 19
	TypeCommandAMF0      = 20
	TypeAggregate        = 22
)

// MaxSize is the largest chunk size that makes a difference: a message's length has 24 bits (RTMP 1.0 §5.4.1).
const MaxSize = 0xffffff

// noTimestamp in a header's 24-bit field announces the extended timestamp (RTMP 1.0 §5.3.1.3).
const noTimestamp = 0xffffff

// Message is one RTMP message.
type Message struct {
	// ChunkStream is the chunk stream that carried it, 2 to 65,599.
	ChunkStream int
	// Type is one of the Type constants, or one that this package does not know.
	Type uint8
	// Stream is the message stream: 0 for control, else what createStream gave.
	Stream uint32
	// Timestamp counts milliseconds modulo 2^32.
	Timestamp uint32
	// Payload is valid until the next call of the Reader that gave it.
	Payload []byte
}

// Append writes m behind dst in chunks of at most size payload bytes, the first with a full header. Payloads of
// 16 MiB and more do not fit the format; the caller keeps them out.
func Append(dst []byte, m Message, size int) []byte {
	dst = AppendHeader(dst, m)
	for rest := m.Payload; ; {
		n := min(len(rest), size)
		dst = append(dst, rest[:n]...)
		if rest = rest[n:]; len(rest) == 0 {
			return dst
		}
		dst = appendBasic(dst, 3, m.ChunkStream)
		if m.Timestamp >= noTimestamp {
			dst = binary.BigEndian.AppendUint32(dst, m.Timestamp)
		}
	}
}

// AppendHeader writes m's full header (type 0), which the payload's first chunk follows.
func AppendHeader(dst []byte, m Message) []byte {
	dst = appendBasic(dst, 0, m.ChunkStream)
	dst = appendUint24(dst, min(m.Timestamp, noTimestamp))
	dst = appendUint24(dst, uint32(len(m.Payload)))
	dst = append(dst, m.Type)
	dst = binary.LittleEndian.AppendUint32(dst, m.Stream)
	if m.Timestamp >= noTimestamp {
		dst = binary.BigEndian.AppendUint32(dst, m.Timestamp)
	}
	return dst
}

// appendBasic writes the basic header in its 1, 2 or 3 byte form (RTMP 1.0 §5.3.1.1).
func appendBasic(dst []byte, format byte, stream int) []byte {
	switch {
	case stream < 64:
		return append(dst, format<<6|byte(stream))
	case stream < 320:
		return append(dst, format<<6, byte(stream-64))
	default:
		return append(dst, format<<6|1, byte(stream-64), byte((stream-64)>>8))
	}
}

func appendUint24(dst []byte, v uint32) []byte {
	return append(dst, byte(v>>16), byte(v>>8), byte(v))
}

func uint24(b []byte) uint32 {
	return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])
}
