package decode

import (
	"time"

	"nova/internal/media"
	"nova/transcode/av"
)

// depth is more units than a decoder holds: 16 pictures of reordering and 64 threads.
const depth = 128

// marks remembers what units said until their frames come out. libavcodec carries a mark from packet to frame.
type marks struct {
	next  int
	slots [depth]struct {
		arrived            time.Time
		duration           int64
		key, discontinuity bool
	}
}

// put returns the mark for u's packet: 1 … depth, since 0 means "none".
func (m *marks) put(u *media.AccessUnit) int {
	slot := &m.slots[m.next]
	slot.arrived, slot.duration, slot.key, slot.discontinuity = u.Arrived, u.Duration, u.Key, u.Discontinuity
	m.next = (m.next + 1) % depth
	if m.next == 0 {
		return depth
	}
	return m.next
}

// apply gives f what its unit said. A discontinuity belongs to the first frame of its unit only.
func (m *marks) apply(f *av.Frame) {
	mark := f.Mark()
	if mark < 1 || mark > depth {
		return
	}
	slot := &m.slots[mark-1]
	f.Arrived, f.SourceKey, f.Discontinuity = slot.arrived, slot.key, slot.discontinuity
	if slot.duration > 0 {
		f.Duration = slot.duration
	}
	slot.discontinuity = false
}
