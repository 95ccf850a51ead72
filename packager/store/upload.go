package store

import (
	"context"
	"time"

	"nova/internal/blob"
)

// runWorker stores media objects, one at a time.
func (s *Store) runWorker(ctx context.Context) error {
	for {
		job, wait := s.queue.take(time.Now())
		if job != nil {
			s.upload(ctx, job)
			continue
		}
		if !s.queue.await(ctx, wait) {
			return nil
		}
	}
}

// upload tries a job once.
func (s *Store) upload(ctx context.Context, j *job) {
	err := s.put(ctx, j.kind, j.key, j.body, j.opts)
	if err == nil {
		s.queue.done(j)
		j.stored()
		return
	}
	s.queue.retry(j, time.Now(), s.backoff)
}

// put stores one object and counts it. The error has been reported.
func (s *Store) put(ctx context.Context, kind, key string, body []byte, opts blob.PutOptions) error {
	return s.try(ctx, kind, func() error {
		err := s.bucket.Put(ctx, key, body, opts)
		if err == nil {
			s.metrics.bytes.Add(float64(len(body)))
		}
		return err
	})
}

// try runs one operation on S3, counts it, and reports a failure in place of the caller, who only tries again.
func (s *Store) try(ctx context.Context, kind string, do func() error) error {
	start := time.Now()
	err := do()
	switch {
	case err == nil:
		s.metrics.uploads.WithLabelValues(kind, "ok").Inc()
		s.metrics.seconds.WithLabelValues(kind).Observe(time.Since(start).Seconds())
	case ctx.Err() != nil:
		s.metrics.uploads.WithLabelValues(kind, "canceled").Inc()
	default:
		s.metrics.uploads.WithLabelValues(kind, "failed").Inc()
		s.metrics.retries.WithLabelValues(kind).Inc()
		s.failures.Add(err)
	}
	return err
}
