// Package testkit is what tests and benchmarks of several packages share: real media as access units.
package testkit

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"os"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/pmp4"

	"nova/internal/media"
)

// Clip is a progressive MP4 file as ingest would give it: one video and one audio track, units in DTS order.
type Clip struct {
	Tracks []media.Track
	Units  []*media.AccessUnit
}

// The IDs of a clip's tracks.
const (
	VideoTrack = 1
	AudioTrack = 2
)

// ReadClip reads the H.264 and AAC tracks of a file whole into memory.
func ReadClip(path string) (*Clip, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot open clip: %w", err)
	}
	defer f.Close()
	var p pmp4.Presentation
	if err := p.Unmarshal(f); err != nil {
		return nil, fmt.Errorf("cannot read clip %s: %w", path, err)
	}
	clip := &Clip{}
	for _, t := range p.Tracks {
		if err := clip.add(t); err != nil {
			return nil, fmt.Errorf("cannot read clip %s: %w", path, err)
		}
	}
	slices.SortStableFunc(clip.Units, func(a, b *media.AccessUnit) int { return cmp.Compare(clip.seconds(a), clip.seconds(b)) })
	return clip, nil
}

// Seconds is the clip's length by its video track.
func (c *Clip) Seconds() float64 {
	var last float64
	for _, u := range c.Units {
		last = max(last, c.seconds(u)+float64(u.Duration)/float64(c.track(u.Track).Timescale))
	}
	return last
}

// Config is the configuration of a track, nil where the clip has no such track.
func (c *Clip) Config(id int) *media.CodecConfig {
	if t := c.track(id); t != nil {
		return t.Config
	}
	return nil
}

func (c *Clip) track(id int) *media.Track {
	i := slices.IndexFunc(c.Tracks, func(t media.Track) bool { return t.ID == id })
	if i < 0 {
		return nil
	}
	return &c.Tracks[i]
}

func (c *Clip) seconds(u *media.AccessUnit) float64 {
	return float64(u.DTS) / float64(c.track(u.Track).Timescale)
}

func (c *Clip) add(t *pmp4.Track) error {
	switch codec := t.Codec.(type) {
	case *codecs.H264:
		config, err := videoConfig(codec)
		if err != nil {
			return err
		}
		return c.addSamples(t, media.Track{
			ID: VideoTrack, Kind: media.Video, Name: media.SourceVideo, Timescale: media.VideoTimescale, Config: config,
		})
	case *codecs.MPEG4Audio:
		config, err := audioConfig(codec)
		if err != nil {
			return err
		}
		return c.addSamples(t, media.Track{
			ID: AudioTrack, Kind: media.Audio, Name: media.SourceAudio, Timescale: config.SampleRate, Config: config,
		})
	default:
		return nil // other tracks are not part of what ingest gives
	}
}

func videoConfig(codec *codecs.H264) (*media.CodecConfig, error) {
	var sps h264.SPS
	if err := sps.Unmarshal(codec.SPS); err != nil {
		return nil, err
	}
	return &media.CodecConfig{
		Codec: media.H264, Width: sps.Width(), Height: sps.Height(),
		SPS: [][]byte{codec.SPS}, PPS: [][]byte{codec.PPS}, Reordered: true,
	}, nil
}

func audioConfig(codec *codecs.MPEG4Audio) (*media.CodecConfig, error) {
	asc, err := codec.Config.Marshal()
	if err != nil {
		return nil, err
	}
	return &media.CodecConfig{
		Codec: media.AAC, SampleRate: codec.Config.SampleRate, Channels: channels(codec),
		FrameSamples: 1024, AudioSpecificConfig: asc,
	}, nil
}

// channels counts the channels of a channel configuration (ISO/IEC 14496-3 Table 1.19), whose 7 means 7.1.
func channels(codec *codecs.MPEG4Audio) int {
	if codec.Config.ChannelConfig == 7 {
		return 8
	}
	return int(codec.Config.ChannelConfig)
}

func (c *Clip) addSamples(t *pmp4.Track, track media.Track) error {
	c.Tracks = append(c.Tracks, track)
	dts := int64(t.TimeOffset)
	for _, s := range t.Samples {
		data, err := s.GetPayload()
		if err != nil {
			return err
		}
		if track.Kind == media.Video {
			data = slicesOnly(data)
		}
		ticks := func(v int64) int64 { return media.Rescale(v, int(t.TimeScale), track.Timescale) }
		c.Units = append(c.Units, &media.AccessUnit{
			Track: track.ID, DTS: ticks(dts), PTS: ticks(dts + int64(s.PTSOffset)), Duration: ticks(int64(s.Duration)),
			Key: !s.IsNonSyncSample, Config: track.Config, Data: data,
		})
		dts += int64(s.Duration)
	}
	return nil
}

// slicesOnly leaves out parameter sets, delimiters and SEI, as ingest does.
func slicesOnly(data []byte) []byte {
	var out []byte
	for len(data) >= 4 {
		n := int(binary.BigEndian.Uint32(data)) + 4
		if n > len(data) || n == 4 {
			break
		}
		if kind := data[4] & 0x1f; kind >= 1 && kind <= 5 {
			out = append(out, data[:n]...)
		}
		data = data[n:]
	}
	return out
}
