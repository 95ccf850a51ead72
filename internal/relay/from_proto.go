package relay

import (
	"errors"
	"fmt"
	"math"
	"time"

	"nova/internal/media"
	mediav1 "nova/internal/pb/nova/media/v1"
)

// fromProto turns the messages of one connection into items. It trusts nothing that they say.
type fromProto struct {
	began   bool
	info    Info
	configs [configWindow]receivedConfig // by id modulo configWindow
}

type receivedConfig struct {
	id     uint64
	config *media.CodecConfig
}

// message takes the next message in. Only track lists and units make an item: ok tells.
func (d *fromProto) message(m *mediav1.SubscribeResponse) (item Item, ok bool, err error) {
	if info := m.GetInfo(); (info != nil) == d.began {
		return Item{}, false, errors.New("the first message, and only that, must be an info")
	}
	switch v := m.GetItem().(type) {
	case *mediav1.SubscribeResponse_Info:
		if v.Info.GetStream() == "" {
			return Item{}, false, errors.New("info: stream: must not be empty")
		}
		d.began = true
		d.info = infoFromProto(v.Info)
		return Item{}, false, nil
	case *mediav1.SubscribeResponse_Config:
		return Item{}, false, d.remember(v.Config)
	case *mediav1.SubscribeResponse_Tracks:
		item.Tracks, err = d.tracks(v.Tracks)
	case *mediav1.SubscribeResponse_Unit:
		item.Unit, err = d.unit(v.Unit)
	default:
		err = errors.New("a message without an item")
	}
	if m.GetLost() > math.MaxInt32 {
		err = errors.Join(err, fmt.Errorf("lost: %d", m.GetLost()))
	}
	if err != nil {
		return Item{}, false, err
	}
	item.Lost = int(m.GetLost())
	return item, true, nil
}

func (d *fromProto) remember(m *mediav1.Config) error {
	if m.GetId() == 0 {
		return errors.New("config: id: must not be 0")
	}
	d.configs[m.GetId()%configWindow] = receivedConfig{m.GetId(), configFromProto(m)}
	return nil
}

func (d *fromProto) config(id uint64) (*media.CodecConfig, error) {
	if id == 0 {
		return nil, nil
	}
	if c := d.configs[id%configWindow]; c.id == id {
		return c.config, nil
	}
	return nil, fmt.Errorf("config_id: %d was never sent", id)
}

func (d *fromProto) tracks(m *mediav1.TrackList) ([]media.Track, error) {
	tracks := make([]media.Track, 0, len(m.GetTracks()))
	for _, t := range m.GetTracks() {
		kind, err := kindFromProto(t.GetKind())
		if err != nil {
			return nil, fmt.Errorf("track %q: %w", t.GetName(), err)
		}
		if t.GetTimescale() <= 0 {
			return nil, fmt.Errorf("track %q: timescale: %d, must be positive", t.GetName(), t.GetTimescale())
		}
		config, err := d.config(t.GetConfigId())
		if err != nil {
			return nil, fmt.Errorf("track %q: %w", t.GetName(), err)
		}
		tracks = append(tracks, media.Track{
			ID:        int(t.GetId()),
			Kind:      kind,
			Name:      t.GetName(),
			Timescale: int(t.GetTimescale()),
			Config:    config,
			Bitrate:   int(t.GetBitrate()),
		})
	}
	return tracks, nil
}

// unit takes over the message's payload: nobody else holds it.
func (d *fromProto) unit(m *mediav1.Unit) (*media.AccessUnit, error) {
	config, err := d.config(m.GetConfigId())
	if err != nil {
		return nil, fmt.Errorf("unit of track %d: %w", m.GetTrack(), err)
	}
	return &media.AccessUnit{
		Track:         int(m.GetTrack()),
		PTS:           m.GetPts(),
		DTS:           m.GetDts(),
		Duration:      m.GetDuration(),
		Key:           m.GetKey(),
		Discontinuity: m.GetDiscontinuity(),
		Config:        config,
		Data:          m.GetData(),
		Arrived:       timeFromProto(m.GetArrivedUnixNanos()),
	}, nil
}

func configFromProto(m *mediav1.Config) *media.CodecConfig {
	return &media.CodecConfig{
		Codec:               media.Codec(m.GetCodec()),
		Width:               int(m.GetWidth()),
		Height:              int(m.GetHeight()),
		SampleAspectRatio:   rationalFromProto(m.GetSampleAspectRatio()),
		FrameRate:           rationalFromProto(m.GetFrameRate()),
		Reordered:           m.GetReordered(),
		VPS:                 m.GetVps(),
		SPS:                 m.GetSps(),
		PPS:                 m.GetPps(),
		HDR:                 m.GetHdr(),
		Extra:               m.GetExtra(),
		SampleRate:          int(m.GetSampleRate()),
		Channels:            int(m.GetChannels()),
		FrameSamples:        int(m.GetFrameSamples()),
		AudioSpecificConfig: m.GetAudioSpecificConfig(),
	}
}

func rationalFromProto(m *mediav1.Rational) media.Rational {
	return media.Rational{Num: int(m.GetNum()), Den: int(m.GetDen())}
}

func kindFromProto(k mediav1.Kind) (media.Kind, error) {
	switch k {
	case mediav1.Kind_KIND_VIDEO:
		return media.Video, nil
	case mediav1.Kind_KIND_AUDIO:
		return media.Audio, nil
	case mediav1.Kind_KIND_IMAGE:
		return media.Image, nil
	case mediav1.Kind_KIND_UNSPECIFIED:
	}
	return 0, fmt.Errorf("kind: %d is none that is known", k)
}

func infoFromProto(m *mediav1.Info) Info {
	return Info{
		Stream:  m.GetStream(),
		Session: m.GetSession(),
		Title:   m.GetTitle(),
		Start:   timeFromProto(m.GetStartUnixNanos()),
	}
}

func timeFromProto(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos)
}
