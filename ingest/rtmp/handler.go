package rtmp

import (
	"errors"
	"io"
	"strings"
	"time"

	gortmp "github.com/yutopp/go-rtmp"
	"github.com/yutopp/go-rtmp/message"

	"nova/ingest/rtmp/chunk"
	"nova/ingest/rtmp/guard"
)

// The windows that are announced to publishers, in bytes, and the chunk size that is used towards them.
const (
	windowSize    = 2_500_000
	sentChunkSize = 65536
	limitDynamic  = message.LimitTypeDynamic
)

// handler is the session as go-rtmp calls it: the methods here are the protocol's steps, on the connection's
// goroutine, one at a time.
type handler struct {
	gortmp.DefaultHandler
	*session
}

func (c *session) handler() gortmp.Handler { return &handler{session: c} }

// OnServe follows the handshake. The guard sends whole messages in single chunks, and asks for acknowledgements
// itself: go-rtmp counts the guard's bytes, not the publisher's.
func (h *handler) OnServe(conn *gortmp.Conn) {
	h.conn = conn
	peer := conn.GetChunkStreamer().PeerState()
	// Half of -2 is a window of 2^32-1 bytes to go-rtmp: it never acknowledges by itself.
	if err := errors.Join(peer.SetChunkSize(chunk.MaxSize), peer.SetAckWindowSize(-2)); err != nil {
		h.Fail(err)
	}
}

// OnConnect notes the application and raises the chunk size, which go-rtmp leaves at 128 bytes.
func (h *handler) OnConnect(_ uint32, cmd *message.NetConnectionConnect) error {
	app, _, _ := strings.Cut(cmd.Command.App, "?")
	h.app = strings.Trim(app, "/")
	h.agent, h.url = cmd.Command.FlashVer, cmd.Command.TCURL
	if err := h.conn.GetChunkStreamer().SelfState().SetChunkSize(sentChunkSize); err != nil {
		return err
	}
	return h.send(0, controlStream, &message.SetChunkSize{ChunkSize: sentChunkSize})
}

// OnReleaseStream answers, which go-rtmp does not: some encoders wait.
func (h *handler) OnReleaseStream(uint32, *message.NetConnectionReleaseStream) error {
	return h.result(h.Transaction())
}

// OnFCPublish answers, as OnReleaseStream.
func (h *handler) OnFCPublish(uint32, *message.NetStreamFCPublish) error {
	return errors.Join(h.result(h.Transaction()), h.onFCPublish())
}

// OnPublish decides about the publication. go-rtmp tells the publisher of the success, and after a refusal adds
// its own status without a reason.
func (h *handler) OnPublish(ctx *gortmp.StreamContext, _ uint32, cmd *message.NetStreamPublish) error {
	if h.out == nil {
		h.stream = ctx.StreamID
	}
	if err := h.publish(ctx.StreamID, cmd.PublishingName); err != nil {
		return h.refuse(err)
	}
	return nil
}

// OnPlay refuses.
func (h *handler) OnPlay(ctx *gortmp.StreamContext, _ uint32, _ *message.NetStreamPlay) error {
	h.stream = ctx.StreamID
	return h.refuse(&refusal{
		reason: refusedPlay, code: codePlayFailed, public: "this server does not play over RTMP: streams play over HLS",
	})
}

// OnFCUnpublish is the end, as OBS and ffmpeg announce it.
func (h *handler) OnFCUnpublish(uint32, *message.NetStreamFCUnpublish) error {
	h.finish(nil)
	return nil
}

// OnDeleteStream ends the publication, and the connection: go-rtmp has no use for what may follow.
func (h *handler) OnDeleteStream(uint32, *message.NetStreamDeleteStream) error {
	h.finish(nil)
	return io.EOF
}

// OnUnknownCommandMessage sees closeStream, which go-rtmp reads but does not act on.
func (h *handler) OnUnknownCommandMessage(_ uint32, cmd *message.CommandMessage) error {
	if cmd.CommandName == "closeStream" {
		h.finish(nil)
	}
	return nil
}

// OnSetDataFrame takes the metadata, which the guard has brought to one form.
func (h *handler) OnSetDataFrame(_ uint32, data *message.NetStreamSetDataFrame) error {
	if h.out != nil && !h.ended {
		h.out.metadata(data.Payload)
	}
	return nil
}

// OnAudio takes an audio tag. The reader is go-rtmp's own buffer: the payload is copied out.
func (h *handler) OnAudio(timestamp uint32, payload io.Reader) error {
	return h.tag(payload, func(p []byte, arrived time.Time) error { return h.out.audioTag(timestamp, p, arrived) })
}

// OnVideo takes a video tag, as OnAudio.
func (h *handler) OnVideo(timestamp uint32, payload io.Reader) error {
	return h.tag(payload, func(p []byte, arrived time.Time) error { return h.out.videoTag(timestamp, p, arrived) })
}

// OnUnknownMessage answers pings, and sends the acknowledgements that the guard asks for.
func (h *handler) OnUnknownMessage(_ uint32, msg message.Message) error {
	switch m := msg.(type) {
	case *message.Ack:
		return h.send(0, controlStream, m)
	case *message.UserCtrl:
		if ping, ok := m.Event.(*message.UserCtrlEventPingRequest); ok {
			return h.send(0, controlStream, &message.UserCtrl{
				Event: &message.UserCtrlEventPingResponse{Timestamp: ping.Timestamp},
			})
		}
	}
	return nil
}

// OnClose ends the publication where the publisher did not, and tells a publisher that the server stops.
func (h *handler) OnClose() {
	err := h.Err()
	if errors.Is(err, errStopping) && h.out != nil && !h.ended {
		h.Linger()
		h.status(h.stream, levelStatus, codeUnpublished, errStopping.Error())
	}
	h.finish(failure(err))
	h.report()
}

// failure is the error that broke a publication off; nil where it came to a proper end.
func failure(err error) error {
	if err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errStopping) {
		return nil
	}
	var v *guard.Violation
	if errors.As(err, &v) {
		return v.Err
	}
	return err
}
