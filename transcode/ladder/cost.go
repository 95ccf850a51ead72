package ladder

import "strings"

// veryfastPixelsPerCore is what one core scales to and encodes with x264's veryfast preset in a second. Measured by
// worker's BenchmarkLadder on one core of a busy two-core EPYC: 720p+480p+360p of the 1080p24 sample clip take 1.04
// CPU seconds a second, decoding and sound included.
const veryfastPixelsPerCore = 45e6

// presetSpeed is the speed of x264's presets relative to veryfast.
var presetSpeed = map[string]float64{
	"ultrafast": 2.4, "superfast": 1.5, "veryfast": 1, "faster": 0.66, "fast": 0.47,
	"medium": 0.38, "slow": 0.21, "slower": 0.12, "veryslow": 0.07,
}

// nvencPixelsPerCore is the CPU's share when a GPU encodes: handing over surfaces and packets.
const nvencPixelsPerCore = 2e9

// PixelsPerCore is what one core encodes in a second with the encoder at the preset; unknown presets count as
// medium.
func PixelsPerCore(encoder, preset string) float64 {
	if strings.HasSuffix(encoder, "_nvenc") {
		return nvencPixelsPerCore
	}
	speed, known := presetSpeed[preset]
	if !known {
		speed = presetSpeed["medium"]
	}
	return veryfastPixelsPerCore * speed
}
