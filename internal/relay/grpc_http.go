package relay

import (
	"net"
	"net/http"
	"time"
)

// Times after which a silent peer is asked for a sign of life, and given up without one.
const (
	pingAfter   = 5 * time.Second
	pingTimeout = 5 * time.Second
	dialTimeout = 5 * time.Second
)

// ConfigureServer makes srv speak HTTP/2 without TLS beside HTTP/1 and with TLS, and notice clients that are gone.
func ConfigureServer(srv *http.Server) {
	srv.Protocols = new(http.Protocols)
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetHTTP2(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	srv.HTTP2 = &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout}
}

// NewHTTPClient speaks HTTP/2 with and without TLS, and notices servers that are gone. It has no time limit for a
// whole call: subscriptions last. Close its idle connections at the end.
func NewHTTPClient() *http.Client {
	t := &http.Transport{
		Protocols:           new(http.Protocols),
		ForceAttemptHTTP2:   true,
		DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout: dialTimeout,
		HTTP2:               &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
	t.Protocols.SetHTTP2(true)
	t.Protocols.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: t}
}
