package ladder

// levels are the rows of ISO/IEC 14496-10 Table A-1 that live pictures need: macroblocks a second, macroblocks
// a frame, and the bit rate in kb/s of the Main profile; High has 5/4 of it.
var levels = []struct{ level, perSecond, perFrame, kbps int }{
	{10, 1485, 99, 64},
	{11, 3000, 396, 192},
	{12, 6000, 396, 384},
	{13, 11880, 396, 768},
	{20, 11880, 396, 2000},
	{21, 19800, 792, 4000},
	{22, 20250, 1620, 4000},
	{30, 40500, 1620, 10000},
	{31, 108000, 3600, 14000},
	{32, 216000, 5120, 20000},
	{40, 245760, 8192, 20000},
	{42, 522240, 8704, 50000},
	{50, 589824, 22080, 135000},
	{51, 983040, 36864, 240000},
	{52, 2073600, 36864, 240000},
	{60, 4177920, 139264, 240000},
	{61, 8355840, 139264, 480000},
	{62, 16711680, 139264, 800000},
}

// level is the lowest that allows the picture in the High profile.
func level(width, height int, rate float64, maxBitrate int) int {
	blocks := ((width + 15) / 16) * ((height + 15) / 16)
	for _, l := range levels {
		if blocks <= l.perFrame && float64(blocks)*rate <= float64(l.perSecond) && maxBitrate <= l.kbps*1250 {
			return l.level
		}
	}
	return levels[len(levels)-1].level
}
