package relay

import (
	"errors"
	"fmt"
	"time"

	"nova/internal/media"
	mediav1 "nova/internal/pb/nova/media/v1"
)

// toProto turns the items of one connection into messages. The messages are used again: they are good until the
// next call.
type toProto struct {
	configs [configWindow]*media.CodecConfig // by id modulo configWindow
	lastID  uint64

	messages []*mediav1.SubscribeResponse
	unit     *mediav1.SubscribeResponse_Unit
	response *mediav1.SubscribeResponse // of unit
}

func newToProto() *toProto {
	e := &toProto{unit: &mediav1.SubscribeResponse_Unit{Unit: &mediav1.Unit{}}}
	e.response = &mediav1.SubscribeResponse{Item: e.unit}
	return e
}

func (e *toProto) info(info Info) []*mediav1.SubscribeResponse {
	return []*mediav1.SubscribeResponse{{Item: &mediav1.SubscribeResponse_Info{Info: infoToProto(info)}}}
}

// item is the item's message, behind those of configurations that the receiver does not know yet.
func (e *toProto) item(item Item) ([]*mediav1.SubscribeResponse, error) {
	e.messages = e.messages[:0]
	switch {
	case item.Unit != nil && item.Tracks == nil:
		e.addUnit(item.Unit)
	case item.Tracks != nil && item.Unit == nil:
		e.addTracks(item.Tracks)
	default:
		return nil, errors.New("an item must hold either a track list or a unit")
	}
	e.messages[len(e.messages)-1].Lost = uint64(max(item.Lost, 0))
	return e.messages, nil
}

func (e *toProto) addUnit(u *media.AccessUnit) {
	config := e.configID(u.Config)
	m := e.unit.Unit
	m.Track, m.Pts, m.Dts, m.Duration = int64(u.Track), u.PTS, u.DTS, u.Duration
	m.Key, m.Discontinuity, m.ConfigId = u.Key, u.Discontinuity, config
	m.Data, m.ArrivedUnixNanos = u.Data, timeToProto(u.Arrived)
	e.messages = append(e.messages, e.response)
}

func (e *toProto) addTracks(tracks []media.Track) {
	list := &mediav1.TrackList{Tracks: make([]*mediav1.Track, 0, len(tracks))}
	for _, t := range tracks {
		list.Tracks = append(list.Tracks, &mediav1.Track{
			Id:        int64(t.ID),
			Kind:      kindToProto(t.Kind),
			Name:      t.Name,
			Timescale: int32(t.Timescale),
			ConfigId:  e.configID(t.Config),
			Bitrate:   int64(t.Bitrate),
		})
	}
	e.messages = append(e.messages, &mediav1.SubscribeResponse{Item: &mediav1.SubscribeResponse_Tracks{Tracks: list}})
}

// configID is the id of a configuration, which is sent first where the receiver does not have it; 0 for none.
func (e *toProto) configID(c *media.CodecConfig) uint64 {
	if c == nil {
		return 0
	}
	for back := range uint64(configWindow) {
		if id := e.lastID - back; id > 0 && id <= e.lastID && e.configs[id%configWindow] == c {
			return id
		}
	}
	e.lastID++
	e.configs[e.lastID%configWindow] = c
	e.messages = append(e.messages, &mediav1.SubscribeResponse{
		Item: &mediav1.SubscribeResponse_Config{Config: configToProto(c, e.lastID)},
	})
	return e.lastID
}

func configToProto(c *media.CodecConfig, id uint64) *mediav1.Config {
	return &mediav1.Config{
		Id:                  id,
		Codec:               string(c.Codec),
		Width:               int32(c.Width),
		Height:              int32(c.Height),
		SampleAspectRatio:   rationalToProto(c.SampleAspectRatio),
		FrameRate:           rationalToProto(c.FrameRate),
		Reordered:           c.Reordered,
		Vps:                 c.VPS,
		Sps:                 c.SPS,
		Pps:                 c.PPS,
		Hdr:                 c.HDR,
		Extra:               c.Extra,
		SampleRate:          int32(c.SampleRate),
		Channels:            int32(c.Channels),
		FrameSamples:        int32(c.FrameSamples),
		AudioSpecificConfig: c.AudioSpecificConfig,
	}
}

func rationalToProto(r media.Rational) *mediav1.Rational {
	if r == (media.Rational{}) {
		return nil
	}
	return &mediav1.Rational{Num: int64(r.Num), Den: int64(r.Den)}
}

func kindToProto(k media.Kind) mediav1.Kind {
	switch k {
	case media.Video:
		return mediav1.Kind_KIND_VIDEO
	case media.Audio:
		return mediav1.Kind_KIND_AUDIO
	case media.Image:
		return mediav1.Kind_KIND_IMAGE
	default:
		panic(fmt.Sprintf("a track of %v", k))
	}
}

func infoToProto(info Info) *mediav1.Info {
	return &mediav1.Info{
		Stream:         info.Stream,
		Session:        info.Session,
		Title:          info.Title,
		StartUnixNanos: timeToProto(info.Start),
	}
}

func infosToProto(list []Info) []*mediav1.Info {
	out := make([]*mediav1.Info, 0, len(list))
	for _, info := range list {
		out = append(out, infoToProto(info))
	}
	return out
}

// timeToProto keeps the nanoseconds; the zero time is 0.
func timeToProto(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
