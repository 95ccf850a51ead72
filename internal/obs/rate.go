package obs

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Repeated turns a storm of like events into at most one log line a second: the count and the last error.
// Safe for concurrent use.
type Repeated struct {
	log   *slog.Logger
	level slog.Level
	msg   string

	mu struct {
		sync.Mutex
		count   int
		written time.Time
	}
}

// NewRepeated reports on log under msg.
func NewRepeated(log *slog.Logger, level slog.Level, msg string) *Repeated {
	return &Repeated{log: log, level: level, msg: msg}
}

// Add counts one event. The first is logged at once, later ones with their number once a second has passed.
func (r *Repeated) Add(err error) {
	r.mu.Lock()
	r.mu.count++
	if time.Since(r.mu.written) < time.Second {
		r.mu.Unlock()
		return
	}
	n := r.mu.count
	r.mu.count = 0
	r.mu.written = time.Now()
	r.mu.Unlock()
	//nolint:sloglint // the message is the constant that NewRepeated was given
	r.log.LogAttrs(context.Background(), r.level, r.msg, slog.Int(KeyCount, n), Err(err))
}
