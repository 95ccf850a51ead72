package ladder

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
)

// Step is one size class of the table that ladders are made from.
type Step struct {
	Name         string  `yaml:"name" json:"name" doc:"the rendition's name in playlists; empty: the height and a p"`
	Height       int     `yaml:"height" json:"height" doc:"short side of the picture in pixels, even"`
	Bitrate      int     `yaml:"bitrate" json:"bitrate" doc:"mean bit rate of a 16:9 picture at up to 30 frames a second, in bits a second"`
	MaxFrameRate float64 `yaml:"max_frame_rate" json:"max_frame_rate" doc:"frames a second beyond which frames are dropped"`
}

// Config shapes ladders.
type Config struct {
	Rungs       []Step `yaml:"rungs" json:"rungs" doc:"the table of renditions, largest first; empty: 1080p, 720p, 480p and 360p"`
	MaxRungs    int    `yaml:"max_rungs" json:"max_rungs" doc:"most renditions to encode of one stream, the largest are kept; 0: as many as the table has"`
	MaxHeight   int    `yaml:"max_height" json:"max_height" doc:"largest short side of an encoded picture; 0: the table's largest, which is 1080"`
	Passthrough bool   `yaml:"passthrough" json:"passthrough" doc:"leave out the source's own size where players can be given the source itself"`

	// PixelsPerCore is what one core encodes in a second at the preset in use: see PixelsPerCore.
	PixelsPerCore float64 `yaml:"-" json:"pixels_per_core"`
}

// DefaultConfig is the ladder of 720p, 480p and 360p at x264's veryfast preset. 1080p is in the table, but
// encoding it costs as much as the other three together: max_height: 1080 asks for it.
func DefaultConfig() Config {
	return Config{Passthrough: true, MaxHeight: 720, PixelsPerCore: PixelsPerCore("libx264", "veryfast")}
}

// defaultTable holds bit rates at which x264's veryfast preset gives an even picture of common live material.
var defaultTable = []Step{
	{Height: 1080, Bitrate: 4_500_000, MaxFrameRate: 60},
	{Height: 720, Bitrate: 2_800_000, MaxFrameRate: 60},
	{Height: 480, Bitrate: 1_200_000, MaxFrameRate: 30},
	{Height: 360, Bitrate: 700_000, MaxFrameRate: 30},
}

func (c Config) table() []Step {
	if len(c.Rungs) == 0 {
		return defaultTable
	}
	return c.Rungs
}

func (c Config) maxRungs() int {
	if c.MaxRungs == 0 {
		return len(c.table()) + 1
	}
	return c.MaxRungs
}

var stepName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)

// Validate names the field that cannot work and why.
func (c Config) Validate() error {
	if c.MaxRungs < 0 {
		return errors.New("max_rungs: must not be negative")
	}
	if c.MaxHeight != 0 && c.MaxHeight < MinSize {
		return fmt.Errorf("max_height: %d is below the smallest picture of %d pixels", c.MaxHeight, MinSize)
	}
	if c.PixelsPerCore <= 0 {
		return errors.New("pixels_per_core: must be positive")
	}
	for i, step := range c.Rungs {
		if err := step.validate(); err != nil {
			return fmt.Errorf("rungs[%d].%w", i, err)
		}
		if i > 0 && step.Height >= c.Rungs[i-1].Height {
			return fmt.Errorf("rungs[%d].height: %d must be below the %d before it", i, step.Height, c.Rungs[i-1].Height)
		}
		if slices.ContainsFunc(c.Rungs[:i], func(o Step) bool { return o.Name != "" && o.Name == step.Name }) {
			return fmt.Errorf("rungs[%d].name: %q is there already", i, step.Name)
		}
	}
	return nil
}

// reserved are the names of tracks that are no rungs.
var reserved = []string{"source", "source-audio", "audio", "poster"}

func (s Step) validate() error {
	switch {
	case s.Height < MinSize || s.Height > MaxSize || s.Height%2 != 0:
		return fmt.Errorf("height: %d must be an even number of %d to %d", s.Height, MinSize, MaxSize)
	case s.Bitrate < 10_000 || s.Bitrate > 200_000_000:
		return fmt.Errorf("bitrate: %d must be 10000 to 200000000 bits a second", s.Bitrate)
	case s.MaxFrameRate < 1 || s.MaxFrameRate > 240:
		return fmt.Errorf("max_frame_rate: %v must be 1 to 240", s.MaxFrameRate)
	case s.Name != "" && !stepName.MatchString(s.Name):
		return fmt.Errorf("name: %q must be lower-case letters, digits, - and _", s.Name)
	case slices.Contains(reserved, s.Name):
		return fmt.Errorf("name: %q is the name of another track", s.Name)
	}
	return nil
}
