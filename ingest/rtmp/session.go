package rtmp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	gortmp "github.com/yutopp/go-rtmp"

	"nova/ingest/auth"
	"nova/ingest/hub"
	"nova/ingest/rtmp/flv"
	"nova/ingest/rtmp/guard"
	"nova/internal/obs"
)

// session is one connection, from accept to close. It is what go-rtmp reads from; handler is what go-rtmp calls.
type session struct {
	*guard.Conn

	// set by newSession
	ctx      context.Context
	server   *Server
	protocol string
	remote   netip.Addr
	log      *slog.Logger
	closing  sync.Once

	// owned by the connection's goroutine
	conn    *gortmp.Conn
	app     string
	agent   string
	url     string
	stream  uint32 // the message stream that publishes
	request auth.Request
	grant   auth.Grant
	out     *publication // nil before publish
	ended   bool         // the publication ended
	payload bytes.Buffer
	repairs map[guard.Repair]int
}

// newSession guards conn. The session ends early when ctx does.
func newSession(ctx context.Context, s *Server, conn net.Conn, protocol string, remote netip.Addr) *session {
	c := &session{
		ctx: ctx, server: s, protocol: protocol, remote: remote,
		log:     s.log.With(obs.KeyRemote, remote.String()),
		repairs: map[guard.Repair]int{},
	}
	c.Conn = guard.New(conn, s.cfg.guard(), c)
	return c
}

// Close ends the connection and gives its place back. Idempotent.
func (c *session) Close() error {
	err := c.Conn.Close()
	c.closing.Do(func() { c.server.release(c) })
	return err
}

// Received implements guard.Observer.
func (c *session) Received(messageType uint8, size int) {
	label := messageLabel(messageType)
	c.server.metrics.messages.WithLabelValues(label).Inc()
	c.server.metrics.bytes.WithLabelValues(label).Add(float64(size))
}

// Repaired implements guard.Observer. Each kind is logged once a connection.
func (c *session) Repaired(kind guard.Repair) {
	c.server.metrics.repairs.WithLabelValues(string(kind)).Inc()
	if c.repairs[kind]++; c.repairs[kind] == 1 && kind != guard.RepairPing {
		c.log.Info("repairing the publisher's messages", "kind", string(kind))
	}
}

// refusal is why a publish does not happen: for the metric, for the publisher, and for the log.
type refusal struct {
	reason string
	code   string
	public string
	err    error
}

func (r *refusal) Error() string {
	if r.err != nil {
		return fmt.Sprintf("%s: %v", r.public, r.err)
	}
	return r.public
}

func (r *refusal) Unwrap() error { return r.err }

// publish begins a publication under the stream name that the publisher gave, which is its key.
func (c *session) publish(stream uint32, name string) error {
	if c.out != nil || c.ended {
		return &refusal{reason: refusedAgain, code: codeBadName, public: "this connection has published already: open another one"}
	}
	if !slices.Contains(c.server.cfg.Apps, c.app) {
		return &refusal{reason: refusedApp, code: codeBadName, public: "no such application: publish to /" + c.server.cfg.Apps[0] + "/STREAM_KEY"}
	}
	key := streamKey(name)
	if key == "" {
		return &refusal{reason: refusedName, code: codeBadName, public: "the stream key is missing"}
	}
	c.request = auth.Request{Key: key, App: c.app, Protocol: c.protocol, RemoteIP: c.remote, Agent: c.agent, URL: c.url}
	grant, err := c.authorize()
	if err != nil {
		return err
	}
	out, err := c.server.hub.Publish(hub.Publication{
		Stream: grant.Stream, Title: grant.Title, Protocol: c.protocol, Remote: c.remote.String(), ClockRate: 1000, ClockBits: 32,
	})
	if err != nil {
		c.done(grant)
		return publishRefusal(err)
	}
	c.grant, c.stream = grant, stream
	c.log = c.log.With(obs.KeyStream, grant.Stream)
	c.out = newPublication(out, c.server.cfg, c.log, c.server.metrics)
	c.Publishing(stream)
	c.server.metrics.publishers.Inc()
	c.log.Info("publisher accepted", "protocol", c.protocol)
	return nil
}

// authorize asks whether the key may publish.
func (c *session) authorize() (auth.Grant, error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.server.cfg.SetupTimeout)
	defer cancel()
	grant, err := c.server.auth.AuthorizePublish(ctx, c.request)
	switch {
	case err == nil:
		return grant, nil
	case errors.Is(err, auth.ErrDenied):
		return auth.Grant{}, &refusal{reason: refusedKey, code: codeUnauthorized, public: "the stream key is not accepted"}
	case errors.Is(err, auth.ErrThrottled):
		return auth.Grant{}, &refusal{reason: refusedThrottled, code: codeUnauthorized, public: "too many refused attempts: wait before the next one"}
	default:
		return auth.Grant{}, &refusal{reason: refusedUnknown, code: codeFailed, public: "the stream key cannot be checked now: try again later", err: err}
	}
}

func publishRefusal(err error) *refusal {
	if errors.Is(err, hub.ErrBusy) {
		return &refusal{reason: refusedBusy, code: codeBadName, public: "the stream is being published by somebody else"}
	}
	return &refusal{reason: refusedHub, code: codeFailed, public: "the stream cannot be published now: try again later", err: err}
}

// streamKey takes the key out of a stream name: encoders append a query, and some a slash in front.
func streamKey(name string) string {
	name, _, _ = strings.Cut(name, "?")
	return strings.Trim(name, "/ ")
}

// refuse tells the publisher why, and returns err for go-rtmp to end the connection.
func (c *session) refuse(err error) error {
	var r *refusal
	if !errors.As(err, &r) {
		return err
	}
	c.server.metrics.refused.WithLabelValues(r.reason).Inc()
	c.Fail(r)
	c.Linger()
	c.status(c.stream, levelError, r.code, r.public)
	return r
}

// done tells the authorizer that a grant is over.
func (c *session) done(grant auth.Grant) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), c.server.cfg.WriteTimeout)
	defer cancel()
	if err := auth.Done(ctx, c.server.auth, c.request, grant); err != nil {
		c.log.Warn("cannot tell the authorizer of the end", obs.Err(err))
	}
}

// finish ends the publication. reason is nil for a proper end.
func (c *session) finish(reason error) {
	if c.out == nil || c.ended {
		return
	}
	c.ended = true
	c.out.close(reason)
	c.server.metrics.publishers.Dec()
	c.done(c.grant)
}

// tag hands an audio or video payload to the publication. One whose codec is not taken ends the connection.
func (c *session) tag(payload io.Reader, write func(p []byte, arrived time.Time) error) error {
	if c.out == nil || c.ended {
		return nil
	}
	c.payload.Reset()
	if _, err := c.payload.ReadFrom(payload); err != nil {
		return err
	}
	err := write(c.payload.Bytes(), c.Arrived())
	var unsupported *flv.UnsupportedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &unsupported):
		return c.refuse(&refusal{reason: refusedCodec, code: codeFailed, public: unsupported.Error()})
	default:
		return c.refuse(&refusal{reason: refusedHub, code: codeFailed, public: "the publication was ended by the server", err: err})
	}
}

// report logs how the connection ended, once.
func (c *session) report() {
	err := c.Err()
	var v *guard.Violation
	var r *refusal
	switch {
	case errors.As(err, &r):
		c.log.Warn("publish refused", obs.KeyReason, r.reason, obs.Err(r))
	case errors.As(err, &v) && c.out == nil && (v.Reason == guard.ReasonConnection || v.Reason == guard.ReasonIdle):
		// Port scanners and health checks connect and say nothing.
		c.server.metrics.refused.WithLabelValues(string(v.Reason)).Inc()
		c.log.Debug("connection ended before publish", obs.KeyReason, string(v.Reason), obs.Err(err))
	case errors.As(err, &v):
		c.server.metrics.refused.WithLabelValues(string(v.Reason)).Inc()
		c.log.Warn("connection closed", obs.KeyReason, string(v.Reason), obs.Err(err))
	case c.out != nil:
		c.log.Info("publisher gone", obs.KeyReason, endReason(err))
	default:
		c.log.Debug("connection ended before publish")
	}
}

func endReason(err error) string {
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return "closed by the publisher"
	default:
		return err.Error()
	}
}
