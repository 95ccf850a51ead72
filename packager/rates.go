package packager

import "time"

// rates measures a rendition's bit rates (RFC 8216bis §4.4.6.2): the average over all segments and the peak,
// which is the largest rate of any run of segments that is half to one and a half target durations long.
type rates struct {
	target time.Duration

	peak  int
	bits  int
	total time.Duration
	// run is the newest segments, at least half a target long together where there are enough.
	run []rated
}

type rated struct {
	bits     int
	duration time.Duration
}

// add counts a segment.
func (r *rates) add(bits int, duration time.Duration) {
	r.bits += bits
	r.total += duration
	r.run = append(r.run, rated{bits, duration})
	sum, length, from := 0, time.Duration(0), len(r.run)
	for from > 0 && length < r.target/2 {
		from--
		sum += r.run[from].bits
		length += r.run[from].duration
	}
	r.run = append(r.run[:0], r.run[from:]...)
	if length >= r.target/2 || r.peak == 0 {
		r.peak = max(r.peak, rate(sum, length))
	}
}

func (r *rates) average() int { return rate(r.bits, r.total) }

func rate(bits int, d time.Duration) int {
	if d <= 0 {
		return 0
	}
	return int(float64(bits) / d.Seconds())
}
