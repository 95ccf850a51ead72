package timeline

// PartTarget is the EXT-X-PART-INF target of a rendition whose units are frame ticks long: the wanted one where
// whole units fill at least 85 % of it, else the next multiple of the unit's length. It is chosen once: the
// part target never changes within a rendition (RFC 8216bis §4.4.3.7).
func PartTarget(want, frame int64) int64 {
	if frame <= 0 {
		return want
	}
	if n := want / frame; n*frame*100 >= want*85 {
		return want
	}
	return (want/frame + 1) * frame
}

// Parts cuts a segment into parts: as long as the target allows and no longer, so that each but the last of a
// segment is at least 85 % of it (RFC 8216bis §4.4.4.9) wherever the units are not longer than the rest. The
// zero value with a Target is ready.
type Parts struct {
	// Target is the largest length, in any clock.
	Target int64

	start int64
	open  bool
}

// Closes tells whether the open part must end before a unit with the given decoding time and duration: with
// it the part would be too long. The first unit after that, or after End, begins a part.
func (p *Parts) Closes(dts, duration int64) bool {
	if !p.open {
		p.open, p.start = true, dts
		return false
	}
	if dts+duration-p.start <= p.Target {
		return false
	}
	p.start = dts
	return true
}

// End closes the open part with its segment.
func (p *Parts) End() { p.open = false }
