package rtmp

import (
	"context"
	"net"
	"net/netip"
	"sync"
)

// inbox is the listener that go-rtmp accepts from: the real ones are behind runAccept, because go-rtmp's own
// accept loop spins on errors and has no limits.
type inbox struct {
	sessions chan *session
	closed   chan struct{}
	once     sync.Once
}

func newInbox() *inbox {
	return &inbox{sessions: make(chan *session), closed: make(chan struct{})}
}

// put hands c over. It tells whether somebody took it before the end.
func (b *inbox) put(ctx context.Context, c *session) bool {
	select {
	case b.sessions <- c:
		return true
	case <-ctx.Done():
		return false
	case <-b.closed:
		return false
	}
}

// Accept implements net.Listener.
func (b *inbox) Accept() (net.Conn, error) {
	select {
	case c := <-b.sessions:
		return c, nil
	case <-b.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (b *inbox) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

// Addr implements net.Listener.
func (b *inbox) Addr() net.Addr { return &net.TCPAddr{} }

// addressOf is the IP address of the peer; the zero value where it has none.
func addressOf(conn net.Conn) netip.Addr {
	a, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}

// limiter counts connections.
type limiter struct {
	// set by newLimiter
	all, each int

	mu struct {
		sync.Mutex
		total int
		by    map[netip.Prefix]int
	}
}

func newLimiter(all, each int) *limiter {
	l := &limiter{all: all, each: each}
	l.mu.by = map[netip.Prefix]int{}
	return l
}

// take counts one more connection of a network, or returns the limit that forbids it.
func (l *limiter) take(network netip.Prefix) (reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.mu.total >= l.all:
		return refusedConnections
	case l.mu.by[network] >= l.each:
		return refusedAddress
	}
	l.mu.total++
	l.mu.by[network]++
	return ""
}

func (l *limiter) give(network netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.total--
	if l.mu.by[network]--; l.mu.by[network] == 0 {
		delete(l.mu.by, network)
	}
}
