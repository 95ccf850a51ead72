package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"
)

// listen opens a TCP port and says what to do where somebody else has it.
func listen(ctx context.Context, key, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s: port of %s is in use by another program; stop it or choose another with --set %s=:PORT", key, address, key)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: cannot listen on %s: %w", key, address, err)
	}
	return l, nil
}

// httpService serves one handler on one listener: HTTP/1.1 and HTTP/2, in clear text too.
type httpService struct {
	server   *http.Server
	listener net.Listener
}

func newHTTPService(l net.Listener, h http.Handler, log *slog.Logger) *httpService {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &httpService{
		listener: l,
		server: &http.Server{
			Handler: h, Protocols: &protocols,
			ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
			ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		},
	}
}

// Run serves until ctx ends, then lets running requests finish for a few seconds.
func (s *httpService) Run(ctx context.Context) error {
	served := make(chan error, 1)
	// Owns: the listener. Ends when: Shutdown or Close is called. Waited for by: Run.
	go func() { served <- s.server.Serve(s.listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := s.server.Shutdown(shutdown); err != nil {
		s.server.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
