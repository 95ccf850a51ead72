package hub

import (
	"errors"
	"fmt"
	"time"

	"nova/internal/media"
)

// Publication describes who publishes what.
type Publication struct {
	// Stream is the stream's public playback id.
	Stream string
	// Title is what pages show; may be empty.
	Title string
	// Protocol is a short constant: "rtmp". It labels metrics.
	Protocol string
	// Remote is the publisher's address, for logs and statistics.
	Remote string
	// ClockRate is the number of ticks a second of Sample.Time: 1000 for RTMP.
	ClockRate int
	// ClockBits is the width of Sample.Time, which wraps at 2^ClockBits: 32 for RTMP. 0 means 64.
	ClockBits int
}

func (p Publication) validate() error {
	switch {
	case p.Stream == "":
		return errors.New("stream: must not be empty")
	case p.ClockRate < 1 || p.ClockRate > 1e9:
		return fmt.Errorf("clock rate: %d, must be from 1 to 1000000000", p.ClockRate)
	case p.ClockBits < 0 || p.ClockBits > 64:
		return fmt.Errorf("clock bits: %d, must be from 1 to 64, or 0 for 64", p.ClockBits)
	}
	return nil
}

// Sample is one access unit as the publisher sent it.
type Sample struct {
	// Track is the ID of one of the tracks of Publisher.SetTracks.
	Track int
	// Time is the decoding time in ticks of the publisher's clock, modulo 2^ClockBits. All tracks share the clock.
	Time uint64
	// CompositionOffset is the presentation time less the decoding time, in ticks of the same clock.
	CompositionOffset int64
	// Key tells that decoding can start here. Sound and stills need not say so.
	Key bool
	// Config is the configuration in force; nil where it is the same as before.
	Config *media.CodecConfig
	// Data is the payload as media.AccessUnit describes it. The hub owns it from here on.
	Data []byte
	// Arrived is when the sample was complete; the zero time means now.
	Arrived time.Time
}
