package guard

import (
	"errors"
	"io"

	"nova/ingest/rtmp/amf"
	"nova/ingest/rtmp/chunk"
)

// Reason is a short word for why a connection was ended, fit for a metric's label.
type Reason string

// The reasons.
const (
	ReasonHandshake  Reason = "handshake"
	ReasonIdle       Reason = "idle"
	ReasonLength     Reason = "message_length"
	ReasonStreams    Reason = "chunk_streams"
	ReasonPending    Reason = "pending_bytes"
	ReasonHeader     Reason = "chunk_header"
	ReasonChunkSize  Reason = "chunk_size"
	ReasonAMF        Reason = "amf"
	ReasonCommand    Reason = "command"
	ReasonConnection Reason = "connection"
)

// Violation tells that the peer broke a limit or the protocol.
type Violation struct {
	Reason Reason
	Err    error
}

func (v *Violation) Error() string { return v.Err.Error() }

func (v *Violation) Unwrap() error { return v.Err }

// classify gives an error of the layers below its reason. The peer's end and what is a Violation stay as they
// are.
func classify(err error) error {
	var v *Violation
	if errors.As(err, &v) || errors.Is(err, io.EOF) {
		return err
	}
	for sentinel, reason := range map[error]Reason{
		chunk.ErrMessageTooLong: ReasonLength,
		chunk.ErrTooManyStreams: ReasonStreams,
		chunk.ErrTooMuchPending: ReasonPending,
		chunk.ErrNoHeader:       ReasonHeader,
		chunk.ErrSize:           ReasonChunkSize,
		amf.ErrTruncated:        ReasonAMF,
		amf.ErrTooDeep:          ReasonAMF,
		amf.ErrTooMany:          ReasonAMF,
		amf.ErrMarker:           ReasonAMF,
	} {
		if errors.Is(err, sentinel) {
			return &Violation{reason, err}
		}
	}
	return &Violation{ReasonConnection, err}
}
