// Package rtmp takes RTMP and RTMPS publishers in: chunks become messages, messages become tags, tags become
// samples of a hub's publication.
//
//	socket ──▶ [Server.runAccept: limits] ──▶ guard.Conn ──▶ go-rtmp ──▶ session ──▶ publication ──Sample──▶ hub
//
// One goroutine per connection, go-rtmp's, does all of it: the socket's back pressure is the only queue. The
// guard in front of go-rtmp is what makes it fit for strangers; see package guard.
//
// rtmp://HOST/live/KEY publishes. The stream key is a secret: it is looked at in session.publish, and appears in
// no log, metric or error.
//
// Stage: 1/6 · In: bytes · Out: hub.Sample
package rtmp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	gortmp "github.com/yutopp/go-rtmp"
	"golang.org/x/sync/errgroup"

	"nova/ingest/auth"
	"nova/ingest/hub"
	"nova/internal/media"
	"nova/internal/obs"
)

// Hub is where publications go.
type Hub interface {
	// Publish begins a publication. It fails with hub.ErrBusy where the stream has a live one.
	Publish(pub hub.Publication) (Publisher, error)
}

// Publisher is one publication, as *hub.Publisher.
type Publisher interface {
	SetTracks(tracks []media.Track)
	Write(s hub.Sample) error
	Close(reason error)
}

// errStopping is the reason of connections that end because the server does.
var errStopping = errors.New("server is stopping")

// Server accepts RTMP connections.
type Server struct {
	// set by New
	cfg     Config
	hub     Hub
	auth    auth.Authorizer
	log     *slog.Logger
	refused *obs.Repeated
	metrics *metrics
	limits  *limiter
	inbox   *inbox

	// set by Listen
	listeners []listener

	mu struct {
		sync.Mutex
		sessions map[*session]struct{}
	}
	// open counts the sessions of mu and those on their way there.
	open sync.WaitGroup
}

// listener is one of the two doors.
type listener struct {
	net.Listener
	protocol string
}

// New checks cfg. A nil reg means a registry of the server's own.
func New(cfg Config, h Hub, a auth.Authorizer, log *slog.Logger, reg prometheus.Registerer) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("cannot serve RTMP: %w", err)
	}
	m, err := newMetrics(reg)
	if err != nil {
		return nil, err
	}
	log = log.With(obs.KeyComp, "ingest.rtmp")
	s := &Server{
		cfg: cfg, hub: h, auth: a, log: log, metrics: m,
		refused: obs.NewRepeated(log, slog.LevelWarn, "connection refused"),
		limits:  newLimiter(cfg.MaxConnections, cfg.MaxConnectionsPerIP),
		inbox:   newInbox(),
	}
	s.mu.sessions = map[*session]struct{}{}
	return s, nil
}

// Listen opens the ports. Run does it where nobody did; calling it first tells Addr.
func (s *Server) Listen() error {
	if s.listeners != nil {
		return nil
	}
	if s.cfg.Address != "" {
		if err := s.listen("rtmp", "address", s.cfg.Address, nil); err != nil {
			return err
		}
	}
	if s.cfg.TLS.Certificate == "" {
		return nil
	}
	c, err := newCertificate(s.cfg.TLS, s.log)
	if err == nil {
		err = s.listen("rtmps", "tls.address", s.cfg.TLS.Address, c.config())
	}
	if err != nil {
		s.closeListeners()
		s.listeners = nil
	}
	return err
}

func (s *Server) listen(protocol, field, address string, secure *tls.Config) error {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return listenError(protocol, field, address, err)
	}
	if secure != nil {
		l = tls.NewListener(l, secure)
	}
	s.listeners = append(s.listeners, listener{l, protocol})
	s.log.Info("listening", "protocol", protocol, "address", l.Addr().String())
	return nil
}

// listenError says what to do about the two mistakes that everybody makes.
func listenError(protocol, field, address string, err error) error {
	hint := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		hint = fmt.Sprintf(": the port is in use: stop the other program (ss -ltnp shows it), or set rtmp.%s to another port", field)
	case errors.Is(err, syscall.EACCES):
		hint = fmt.Sprintf(": ports below 1024 need a privilege: set rtmp.%s to a higher port", field)
	}
	return fmt.Errorf("cannot listen for %s on %s%s: %w", protocol, address, hint, err)
}

// Addr is where the server listens for "rtmp" or "rtmps"; nil before Listen and where it does not.
func (s *Server) Addr(protocol string) net.Addr {
	for _, l := range s.listeners {
		if l.protocol == protocol {
			return l.Addr()
		}
	}
	return nil
}

// Run serves until ctx ends. Then it stops accepting, ends each publication, and returns once all connections
// are closed.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Listen(); err != nil {
		return err
	}
	library := gortmp.NewServer(&gortmp.ServerConfig{OnConnect: s.connected})
	var accepting, serving errgroup.Group
	for _, l := range s.listeners {
		// Owns: the listener's Accept. Ends when: the listener is closed.
		// Waited for by: Run.
		accepting.Go(func() error { return s.runAccept(ctx, l) })
	}
	// Owns: the inbox's reading end. Ends when: library is closed.
	// Waited for by: Run.
	serving.Go(func() error { return s.runLibrary(library) })

	<-ctx.Done()
	s.closeListeners()
	err := accepting.Wait()
	s.interrupt()
	s.open.Wait()
	err = errors.Join(err, library.Close(), serving.Wait())
	s.log.Info("stopped")
	return err
}

func (s *Server) closeListeners() {
	for _, l := range s.listeners {
		_ = l.Close() // a listener has nothing to lose
	}
}

// runLibrary lets go-rtmp serve what the accept loops put into the inbox.
func (s *Server) runLibrary(library *gortmp.Server) error {
	if err := library.Serve(s.inbox); !errors.Is(err, gortmp.ErrClosed) {
		return err
	}
	return nil
}

// The pauses after a failed Accept, which is mostly a lack of file descriptors.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

// runAccept takes connections in and hands them to go-rtmp.
func (s *Server) runAccept(ctx context.Context, l listener) error {
	pause := firstPause
	failed := obs.NewRepeated(s.log, slog.LevelError, "cannot accept a connection")
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			failed.Add(err)
			if !wait(ctx, pause) {
				return nil
			}
			pause = min(2*pause, lastPause)
			continue
		}
		pause = firstPause
		s.admit(ctx, conn, l.protocol)
	}
}

// wait tells whether d passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// admit begins a session, or closes conn where there are too many.
func (s *Server) admit(ctx context.Context, conn net.Conn, protocol string) {
	remote := addressOf(conn)
	if reason := s.limits.take(auth.Network(remote)); reason != "" {
		s.metrics.refused.WithLabelValues(reason).Inc()
		s.refused.Add(fmt.Errorf("limit %s reached, last by %v", reason, remote))
		_ = conn.Close() // nothing was said on it
		return
	}
	s.metrics.accepted.WithLabelValues(protocol).Inc()
	s.metrics.connections.WithLabelValues(protocol).Inc()
	c := newSession(ctx, s, conn, protocol, remote)
	s.open.Add(1)
	s.mu.Lock()
	s.mu.sessions[c] = struct{}{}
	s.mu.Unlock()
	if !s.inbox.put(ctx, c) {
		_ = c.Close() // the server is stopping
	}
}

// release undoes admit. session.Close calls it once.
func (s *Server) release(c *session) {
	s.mu.Lock()
	delete(s.mu.sessions, c)
	s.mu.Unlock()
	s.limits.give(auth.Network(c.remote))
	s.metrics.connections.WithLabelValues(c.protocol).Dec()
	s.open.Done()
}

func (s *Server) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.mu.sessions {
		c.Interrupt(errStopping)
	}
}

// connected is go-rtmp's question how to serve a connection. The logger stays nil: go-rtmp logs stream keys.
func (s *Server) connected(conn net.Conn) (io.ReadWriteCloser, *gortmp.ConnConfig) {
	c := conn.(*session) // the inbox holds nothing else
	return c, &gortmp.ConnConfig{
		Handler: c.handler(),
		// Some encoders answer the handshake with another echo; nothing depends on it.
		SkipHandshakeVerification:               true,
		IgnoreMessagesOnNotExistStream:          true,
		IgnoreMessagesOnNotExistStreamThreshold: 64,
		ControlState: gortmp.StreamControlStateConfig{
			MaxChunkStreams:            16,
			MaxMessageStreams:          8,
			DefaultAckWindowSize:       windowSize,
			DefaultBandwidthWindowSize: windowSize,
			DefaultBandwidthLimitType:  limitDynamic,
		},
	}
}
