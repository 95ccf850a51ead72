package rtmp

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// failing is a listener whose Accept fails a number of times and then tells that it is closed.
type failing struct {
	net.Listener
	left int
	at   []time.Time
}

func (f *failing) Accept() (net.Conn, error) {
	f.at = append(f.at, time.Now())
	if f.left--; f.left < 0 {
		return nil, net.ErrClosed
	}
	return nil, errors.New("too many open files")
}

// A listener without file descriptors is asked less and less often, not in a loop.
func TestAcceptBacksOff(t *testing.T) {
	s := serve(t, nil).server
	synctest.Test(t, func(t *testing.T) {
		l := &failing{left: 12}
		must(t, s.runAccept(t.Context(), listener{l, "rtmp"}))
		for i, want := range []int64{5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000, 1000} {
			if got := l.at[i+1].Sub(l.at[i]); got.Milliseconds() != want {
				t.Errorf("pause %d: %v, want %v ms", i, got, want)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(30*time.Millisecond, cancel)
		start := time.Now()
		must(t, s.runAccept(ctx, listener{&failing{left: 1 << 20}, "rtmp"}))
		if d := time.Since(start); d != 30*time.Millisecond {
			t.Errorf("went on for %v after the end", d)
		}
	})
}
