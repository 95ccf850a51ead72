package devstack

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports below the range that the kernel gives to outgoing connections (32768 and up): a server that is stopped
// for a while finds its port free again.
const firstPort, lastPort = 20000, 32000

var errNoPort = errors.New("no free port on 127.0.0.1")

// freePort finds a port that nobody listens on. Another program may take it before ours does: who starts a
// program on it tries again with another one when the program does not come up.
func freePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort) //nolint:gosec // a port, no secret
		listener, err := config.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			return 0, fmt.Errorf("cannot probe port %d: %w", port, err)
		}
		return port, nil
	}
	return 0, errNoPort
}
