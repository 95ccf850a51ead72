package store

import (
	"context"
	"encoding/json"
	"slices"
	"time"
)

// finish turns what is stored into a recording, step by step; a step that fails is tried again in a later
// round. It tells whether the last one is done.
func (x *session) finish(ctx context.Context, v *view) bool {
	if !hasMedia(v.order) {
		return x.finishEmpty(ctx, v)
	}
	all := true
	for _, r := range v.order {
		all = x.writePlaylist(ctx, r, true) && all
	}
	if !all || !x.writeMultivariant(ctx, v, true) || !x.writePoster(ctx, v, 0) {
		return false
	}
	recording := newRecording(&x.info, longest(v.order), x.desk.poster.version != 0)
	if !x.deleteStrays(ctx, v.strays) || !x.writeRecording(ctx, recording) || !x.removeMarker(ctx) {
		return false
	}
	x.store.list.invalidate()
	x.ended("recorded", recording.DurationSeconds)
	return true
}

func (x *session) ended(result string, seconds float64) {
	x.store.metrics.finished.WithLabelValues(result).Inc()
	x.log.Info("recording ended", "result", result, "seconds", seconds)
}

// finishEmpty leaves nothing of a session that has no media in S3.
func (x *session) finishEmpty(ctx context.Context, v *view) bool {
	if x.desk.poster.version != 0 {
		v.strays = append(v.strays, x.desk.poster.key)
	}
	if !x.deleteStrays(ctx, v.strays) || !x.removeMarker(ctx) {
		return false
	}
	x.ended("empty", 0)
	return true
}

func hasMedia(order []*rendition) bool {
	return slices.ContainsFunc(order, func(r *rendition) bool { return r.grown.media > 0 })
}

func longest(order []*rendition) time.Duration {
	var length time.Duration
	for _, r := range order {
		length = max(length, r.grown.length)
	}
	return length
}

func (x *session) writeRecording(ctx context.Context, recording Recording) bool {
	d := &x.desk.recording
	d.key = recordingKey(x.info.Start, x.info.VideoID)
	return x.write(ctx, d, 1, 0, func() []byte {
		body, _ := json.Marshal(recording) // strings and numbers: it cannot fail
		return body
	}, jsonOptions())
}

func (x *session) deleteStrays(ctx context.Context, strays []string) bool {
	return x.attempt(ctx, &x.desk.strays, 1, 0, func() error {
		return x.store.bucket.Delete(ctx, strays...)
	})
}

func (x *session) removeMarker(ctx context.Context) bool {
	return x.attempt(ctx, &x.desk.unmark, 1, 0, func() error {
		return x.store.bucket.Delete(ctx, x.desk.marker.key)
	})
}

// giveUp ends a closed session that could not be stored in time. Its marker stays where it is in S3, so that
// the recording is made of what arrived there once S3 is back.
func (x *session) giveUp(v *view) bool {
	if v.closedAt.IsZero() {
		return false
	}
	end := v.closedAt.Add(x.store.cfg.FinishTimeout)
	if time.Now().Before(end) {
		x.desk.plan(end)
		return false
	}
	for _, j := range x.store.queue.abandon(x) {
		if j.kind == "segment" {
			x.drop(j, "abandoned")
		}
	}
	x.store.metrics.finished.WithLabelValues("abandoned").Inc()
	x.log.Error("recording given up: S3 did not take it in time", "timeout", x.store.cfg.FinishTimeout)
	return true
}
