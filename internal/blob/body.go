package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// body is the stream of an object. Each read has its own deadline, so that a large object may take its time
// while a dead connection does not hold its reader.
type body struct {
	// set by Get
	ctx     context.Context
	from    io.ReadCloser
	timer   *time.Timer
	timeout time.Duration
	cancel  context.CancelCauseFunc
	metrics *metrics
}

func (b *body) Read(p []byte) (int, error) {
	b.timer.Reset(b.timeout)
	n, err := b.from.Read(p)
	b.timer.Stop()
	b.metrics.bytes.WithLabelValues("get").Add(float64(n))
	if err != nil && !errors.Is(err, io.EOF) && errors.Is(context.Cause(b.ctx), context.DeadlineExceeded) {
		err = fmt.Errorf("%w: nothing came for %v", context.DeadlineExceeded, b.timeout)
	}
	return n, err
}

func (b *body) Close() error {
	b.timer.Stop()
	err := b.from.Close()
	b.cancel(nil)
	return err
}
