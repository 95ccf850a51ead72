package guard

import (
	"encoding/binary"
	"errors"

	"nova/ingest/rtmp/amf"
	"nova/ingest/rtmp/chunk"
)

// Repair is what the guard did to a message that the session library would have ended the connection for. Fit
// for a metric's label.
type Repair string

// The repairs. Where nothing else is said, the message was left out.
const (
	// RepairExtended: a type 3 chunk with, or without, a repeated extended timestamp was put together.
	RepairExtended Repair = "extended_timestamp"
	// RepairRestarted: a new header arrived inside a message; the message's begin was left out.
	RepairRestarted Repair = "restarted_message"
	// RepairAborted: the peer took back the begin of a message.
	RepairAborted Repair = "abort"
	// RepairEmpty: an audio or video message without a byte.
	RepairEmpty Repair = "empty_message"
	// RepairAggregate: an aggregate message was split into those inside.
	RepairAggregate Repair = "aggregate"
	// RepairBadAggregate: the rest of an aggregate message did not hold together.
	RepairBadAggregate Repair = "bad_aggregate"
	// RepairAMF3Form: AMF0 values in an AMF3 message were taken out.
	RepairAMF3Form Repair = "amf3_form"
	// RepairAMF3: a message held real AMF3.
	RepairAMF3 Repair = "amf3"
	// RepairUnknown: a message type that is not RTMP's, or a shared object.
	RepairUnknown Repair = "unknown_message"
	// RepairUserControl: a user control event other than a ping, or a cut one.
	RepairUserControl Repair = "user_control"
	// RepairPing: a ping was handed on, for the session to answer.
	RepairPing Repair = "ping"
	// RepairEarlyMedia: audio, video or data before publish.
	RepairEarlyMedia Repair = "early_media"
	// RepairStreamID: media on another message stream than the one that publishes was taken as if on it.
	RepairStreamID Repair = "stream_id"
	// RepairUnknownCommand: a command that publishing does not need.
	RepairUnknownCommand Repair = "unknown_command"
	// RepairData: metadata that does not decode, is of no use, or is too long.
	RepairData Repair = "bad_data"
	// RepairMetadata: onMetaData came without @setDataFrame, which was added.
	RepairMetadata Repair = "metadata_form"
	// RepairControl: a protocol control message too short to read.
	RepairControl Repair = "short_control"
)

// Repairs are all kinds.
func Repairs() []Repair {
	return []Repair{
		RepairExtended, RepairRestarted, RepairAborted, RepairEmpty, RepairAggregate, RepairBadAggregate,
		RepairAMF3Form, RepairAMF3, RepairUnknown, RepairUserControl, RepairPing, RepairEarlyMedia,
		RepairStreamID, RepairUnknownCommand, RepairData, RepairMetadata, RepairControl,
	}
}

// accept emits m, or what it is repaired to, or nothing.
func (c *Conn) accept(m chunk.Message) error {
	switch m.Type {
	case chunk.TypeAudio, chunk.TypeVideo:
		c.media(m)
	case chunk.TypeSetChunkSize:
		return c.setChunkSize(m.Payload)
	case chunk.TypeAck, chunk.TypeSetPeerBandwidth:
		// Nothing that Nova sends to a publisher is long enough to wait for these.
	case chunk.TypeWindowAckSize:
		c.setWindow(m.Payload)
	case chunk.TypeAbort:
		c.abort(m.Payload)
	case chunk.TypeUserControl:
		c.userControl(m)
	case chunk.TypeCommandAMF0, chunk.TypeCommandAMF3:
		return c.command(m)
	case chunk.TypeDataAMF0, chunk.TypeDataAMF3:
		c.data(m)
	case chunk.TypeAggregate:
		c.beginAggregate(m)
	default:
		c.observer.Repaired(RepairUnknown)
	}
	return nil
}

// media hands on audio and video of a publisher, which also keeps the connection alive.
func (c *Conn) media(m chunk.Message) {
	switch {
	case !c.publishing:
		c.observer.Repaired(RepairEarlyMedia)
		return
	case len(m.Payload) == 0:
		c.observer.Repaired(RepairEmpty)
		return
	case m.Stream != c.stream:
		c.observer.Repaired(RepairStreamID)
		m.Stream = c.stream
	}
	c.renew(c.cfg.MediaTimeout)
	c.emit(m)
}

func (c *Conn) setChunkSize(p []byte) error {
	if len(p) < 4 {
		return &Violation{ReasonChunkSize, errors.New("message that sets the chunk size is cut short")}
	}
	return c.chunks.SetSize(binary.BigEndian.Uint32(p))
}

// The window of acknowledgements where the peer names none, and the smallest that is followed: an
// acknowledgement per message would be work for nothing.
const (
	defaultWindow = 2_500_000
	minWindow     = 64 << 10
)

// setWindow follows the peer's Window Acknowledgement Size. Half of it, so that a peer which waits never does.
func (c *Conn) setWindow(p []byte) {
	if len(p) < 4 {
		c.observer.Repaired(RepairControl)
		return
	}
	c.window = uint64(max(binary.BigEndian.Uint32(p), minWindow)) / 2
}

// askForAck gives the session an Ack message with the number of received bytes, for it to send: only the
// session knows where in its own chunk stream a message may go.
func (c *Conn) askForAck(received uint32) {
	c.scratch = binary.BigEndian.AppendUint32(c.scratch[:0], received)
	c.emit(chunk.Message{Type: chunk.TypeAck, Payload: c.scratch})
}

func (c *Conn) abort(p []byte) {
	if len(p) < 4 {
		c.observer.Repaired(RepairControl)
		return
	}
	c.observer.Repaired(RepairAborted)
	if id := binary.BigEndian.Uint32(p); id <= 65599 {
		c.chunks.Abort(int(id))
	}
}

// userControl hands on pings, cut to their form, for the session to answer (RTMP 1.0 §7.1.7).
func (c *Conn) userControl(m chunk.Message) {
	const pingRequest = 6
	if len(m.Payload) < 6 || binary.BigEndian.Uint16(m.Payload) != pingRequest {
		c.observer.Repaired(RepairUserControl)
		return
	}
	c.observer.Repaired(RepairPing)
	m.Stream, m.Payload = 0, m.Payload[:6]
	c.emit(m)
}

// noteRepairs reports what the chunk reader put right since the last time.
func (c *Conn) noteRepairs() {
	now := c.chunks.Repaired()
	for ; c.noted.Extended < now.Extended; c.noted.Extended++ {
		c.observer.Repaired(RepairExtended)
	}
	for ; c.noted.Restarted < now.Restarted; c.noted.Restarted++ {
		c.observer.Repaired(RepairRestarted)
	}
}

// unwrapAMF3 takes the AMF0 values out of an AMF3 message: they follow one zero byte, which some senders leave
// out.
func (c *Conn) unwrapAMF3(m chunk.Message) chunk.Message {
	if len(m.Payload) > 0 && m.Payload[0] == 0 {
		m.Payload = m.Payload[1:]
	}
	c.observer.Repaired(RepairAMF3Form)
	return m
}

// data rewrites metadata as @setDataFrame onMetaData, and leaves everything else out.
func (c *Conn) data(m chunk.Message) {
	if !c.publishing {
		c.observer.Repaired(RepairEarlyMedia)
		return
	}
	if m.Type == chunk.TypeDataAMF3 {
		m = c.unwrapAMF3(m)
	}
	values, err := []any(nil), error(nil)
	if len(m.Payload) <= c.cfg.MaxSetupMessage {
		values, err = amf.Decode(m.Payload)
	}
	if errors.Is(err, amf.ErrAMF3) {
		c.observer.Repaired(RepairAMF3)
		return
	}
	if len(values) > 0 && values[0] == "@setDataFrame" {
		values = values[1:]
	} else if len(values) > 0 && values[0] == "onMetaData" {
		c.observer.Repaired(RepairMetadata)
	}
	if err != nil || len(values) < 2 || values[0] != "onMetaData" {
		c.observer.Repaired(RepairData)
		return
	}
	c.scratch = amf.Append(c.scratch[:0], "@setDataFrame", "onMetaData", values[1])
	c.emit(chunk.Message{Type: chunk.TypeDataAMF0, Stream: c.stream, Timestamp: m.Timestamp, Payload: c.scratch})
}
