package transcode

import "time"

// backoff is the wait before a restart: it doubles with each restart, and starts anew after a time of health.
type backoff struct {
	cfg  Backoff
	next time.Duration
}

// after is the wait before the next start, given how long the last worker lived.
func (b *backoff) after(lived time.Duration) time.Duration {
	if lived >= b.cfg.Healthy || b.next == 0 {
		b.next = b.cfg.Min
	}
	wait := b.next
	b.next = min(b.next*2, b.cfg.Max)
	return wait
}
