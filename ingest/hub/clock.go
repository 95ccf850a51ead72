package hub

// clock turns the publisher's timestamps, which wrap, into ones that do not. The next timestamp is taken to lie
// within half a turn of the last one, before or behind it. The result may run over the ends of an int64 on its own:
// only differences count.
type clock struct {
	bits  uint // 1 to 64
	began bool
	raw   uint64
	now   int64
}

func newClock(bits int) clock {
	if bits == 0 {
		bits = 64
	}
	return clock{bits: uint(bits)}
}

func (c *clock) unwrap(raw uint64) int64 {
	unused := 64 - c.bits
	step := int64((raw-c.raw)<<unused) >> unused // the difference, sign-extended from the clock's width
	c.raw = raw
	if !c.began {
		c.began = true
		step = int64(raw << unused >> unused)
	}
	c.now += step
	return c.now
}
