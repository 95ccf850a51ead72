package rtmp

import (
	"bytes"
	"context"
	"fmt"

	gortmp "github.com/yutopp/go-rtmp"
	"github.com/yutopp/go-rtmp/message"

	"nova/ingest/rtmp/amf"
	"nova/internal/obs"
)

// The chunk streams of what the server sends.
const (
	controlStream = 2
	commandStream = 3
)

// Status codes of NetStream (Adobe's ActionScript reference, NetStatusEvent) and their levels.
const (
	codeBadName      = "NetStream.Publish.BadName"
	codeUnauthorized = "NetStream.Publish.Unauthorized"
	codeFailed       = "NetStream.Publish.Failed"
	codePlayFailed   = "NetStream.Play.Failed"
	codeUnpublished  = "NetStream.Unpublish.Success"
	codePublishStart = "NetStream.Publish.Start"

	levelStatus = "status"
	levelError  = "error"
)

// send writes one message to the publisher.
func (c *session) send(stream uint32, chunkStream int, msg message.Message) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.server.cfg.WriteTimeout)
	defer cancel()
	if err := c.conn.Write(ctx, chunkStream, 0, &gortmp.ChunkMessage{StreamID: stream, Message: msg}); err != nil {
		return fmt.Errorf("cannot answer the publisher: %w", err)
	}
	return nil
}

func (c *session) command(stream uint32, name string, transaction int64, arguments ...any) error {
	return c.send(stream, commandStream, &message.CommandMessage{
		CommandName:   name,
		TransactionID: transaction,
		Encoding:      message.EncodingTypeAMF0,
		Body:          bytes.NewReader(amf.Append(nil, arguments...)),
	})
}

// status sends onStatus (RTMP 1.0 §7.2.2). A publisher that cannot be told is gone anyway.
func (c *session) status(stream uint32, level, code, description string) {
	err := c.command(stream, "onStatus", 0, nil, amf.Object{
		{Key: "level", Value: level}, {Key: "code", Value: code}, {Key: "description", Value: description},
	})
	if err != nil {
		c.log.Debug("publisher left before it was told", "code", code, obs.Err(err))
	}
}

// result answers a command that has nothing to return.
func (c *session) result(transaction int64) error {
	return c.command(0, "_result", transaction, nil, amf.Undefined{})
}

func (c *session) onFCPublish() error {
	return c.command(0, "onFCPublish", 0, nil, amf.Object{
		{Key: "code", Value: codePublishStart}, {Key: "description", Value: "ready"},
	})
}
