package relay

import (
	"encoding/binary"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"

	mediav1 "nova/internal/pb/nova/media/v1"
)

// Writer sends one session over a pipe: an info, then items. Each message stands behind its length as a varint.
// The end of the pipe at a message's end is the proper end of the session. Not safe for concurrent use.
type Writer struct {
	w   io.Writer
	enc *toProto
	buf []byte
}

// NewWriter sends to w, with one Write per item: no buffering is needed around w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w, enc: newToProto()} }

// WriteInfo has to come first, once.
func (w *Writer) WriteInfo(info Info) error { return w.write(w.enc.info(info)) }

// WriteItem sends a track list or a unit. It blocks while the pipe is full.
func (w *Writer) WriteItem(item Item) error {
	messages, err := w.enc.item(item)
	if err != nil {
		return fmt.Errorf("cannot send an item: %w", err)
	}
	return w.write(messages)
}

func (w *Writer) write(messages []*mediav1.SubscribeResponse) error {
	w.buf = w.buf[:0]
	for _, m := range messages {
		size := proto.Size(m)
		if size > MaxMessage {
			return fmt.Errorf("cannot send a message of %d bytes, the limit is %d", size, MaxMessage)
		}
		w.buf = binary.AppendUvarint(w.buf, uint64(size))
		var err error
		if w.buf, err = (proto.MarshalOptions{UseCachedSize: true}).MarshalAppend(w.buf, m); err != nil {
			return fmt.Errorf("cannot send a message: %w", err)
		}
	}
	if _, err := w.w.Write(w.buf); err != nil {
		return fmt.Errorf("cannot send a message: %w", err)
	}
	return nil
}
