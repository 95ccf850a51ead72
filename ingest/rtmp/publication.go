package rtmp

import (
	"errors"
	"log/slog"
	"time"

	"nova/ingest/hub"
	"nova/ingest/rtmp/amf"
	"nova/ingest/rtmp/flv"
	"nova/internal/media"
	"nova/internal/obs"
)

// The IDs of the two tracks of an RTMP stream.
const (
	videoTrack = 1
	audioTrack = 2
)

// publication turns a publisher's tags into samples. Nothing in it waits, and a damaged tag costs that tag.
//
//	tag ──▶ flv ──▶ held until the tracks are known ──▶ Publisher
type publication struct {
	// set by newPublication
	out     Publisher
	wait    uint32 // milliseconds
	log     *slog.Logger
	dropped *obs.Repeated
	metrics *metrics

	// owned by the connection's goroutine
	video track[*flv.H264]
	audio track[*flv.AAC]
	// announced is what the publisher knows of the tracks.
	announced []media.Track
	held      []hub.Sample
	heldBytes int
	first     uint32 // timestamp of the first sample held
}

// track is one of the two elementary streams.
type track[C any] struct {
	codec  C
	config *media.CodecConfig
	// denied tells that the metadata lists the stream's tracks, and this is none of them.
	denied bool
	// foreign counts tags in a row of a codec that is not taken.
	foreign int
}

// While tracks are not known, samples wait: until this many, or this many bytes.
const (
	maxHeld      = 512
	maxHeldBytes = 16 << 20
)

func newPublication(out Publisher, cfg Config, log *slog.Logger, m *metrics) *publication {
	return &publication{
		out: out, wait: uint32(cfg.TrackWait / time.Millisecond), log: log, metrics: m,
		dropped: obs.NewRepeated(log, slog.LevelWarn, "tag dropped"),
		video:   track[*flv.H264]{codec: &flv.H264{}},
		audio:   track[*flv.AAC]{codec: &flv.AAC{}},
	}
}

// videoTag takes a video message's payload. An error ends the connection.
func (p *publication) videoTag(timestamp uint32, payload []byte, arrived time.Time) error {
	tag, err := flv.ParseVideo(payload)
	if err == nil && tag.Packet != flv.PacketOther && tag.Codec != flv.FourCCAVC {
		err = flv.Unsupported(media.Video, tag.Codec)
	}
	if err != nil {
		return p.foreignOrDamaged(err, &p.video.foreign, p.video.config != nil)
	}
	p.video.foreign = 0
	switch tag.Packet {
	case flv.PacketConfig:
		config, err := p.video.codec.Configure(tag.Data)
		if err != nil {
			return p.drop(err)
		}
		p.configured(&p.video.config, config)
		return nil
	case flv.PacketFrame:
		unit, err := p.video.codec.Unit(tag.Data)
		if err != nil {
			return p.drop(err)
		}
		return p.deliver(&p.video.config, unit, hub.Sample{
			Track: videoTrack, Time: uint64(timestamp), CompositionOffset: int64(tag.CompositionOffset), Arrived: arrived,
		})
	default:
		return nil
	}
}

// audioTag takes an audio message's payload. An error ends the connection.
func (p *publication) audioTag(timestamp uint32, payload []byte, arrived time.Time) error {
	tag, err := flv.ParseAudio(payload)
	if err == nil && tag.Packet != flv.PacketOther && tag.Codec != flv.FourCCAAC {
		err = flv.Unsupported(media.Audio, tag.Codec)
	}
	if err != nil {
		return p.foreignOrDamaged(err, &p.audio.foreign, p.audio.config != nil)
	}
	p.audio.foreign = 0
	switch tag.Packet {
	case flv.PacketConfig:
		config, err := p.audio.codec.Configure(tag.Data)
		if err != nil {
			return p.foreignOrDamaged(err, &p.audio.foreign, p.audio.config != nil)
		}
		p.configured(&p.audio.config, config)
		return nil
	case flv.PacketFrame:
		unit, err := p.audio.codec.Unit(tag.Data)
		if err != nil {
			return p.drop(err)
		}
		return p.deliver(&p.audio.config, unit, hub.Sample{Track: audioTrack, Time: uint64(timestamp), Arrived: arrived})
	default:
		return nil
	}
}

// How many tags in a row of a codec that is not taken end the connection: one may be a flipped bit, and a track
// that played before gets more patience.
const (
	foreignFirst = 2
	foreignLater = 100
)

// foreignOrDamaged drops a tag, and returns the error of a codec that is not taken once it is sure.
func (p *publication) foreignOrDamaged(err error, foreign *int, playing bool) error {
	var unsupported *flv.UnsupportedError
	if !errors.As(err, &unsupported) {
		return p.drop(err)
	}
	limit := foreignFirst
	if playing {
		limit = foreignLater
	}
	if *foreign++; *foreign >= limit {
		return unsupported
	}
	return p.drop(err)
}

// drop counts a tag that is left out. It returns nil: the stream goes on.
func (p *publication) drop(err error) error {
	p.metrics.dropped.WithLabelValues(dropReason(err)).Inc()
	p.dropped.Add(err)
	return nil
}

func dropReason(err error) string {
	var unsupported *flv.UnsupportedError
	switch {
	case errors.As(err, &unsupported):
		return "codec"
	case errors.Is(err, flv.ErrNAL):
		return "nal_unit"
	case errors.Is(err, flv.ErrNoConfig):
		return "no_config"
	case errors.Is(err, flv.ErrTrack):
		return "track"
	case errors.Is(err, flv.ErrTruncated):
		return "truncated"
	default:
		return "format"
	}
}

// configured takes a track's configuration record.
func (p *publication) configured(known **media.CodecConfig, config *media.CodecConfig) {
	*known = config
	if p.announced != nil {
		p.announce()
	}
}

// deliver hands a sample on, or keeps it while the tracks are not known.
func (p *publication) deliver(known **media.CodecConfig, unit flv.Unit, s hub.Sample) error {
	*known = unit.Config
	if len(unit.Data) == 0 {
		return nil
	}
	s.Key, s.Config, s.Data = unit.Key, unit.Config, unit.Data
	if p.announced != nil {
		return p.out.Write(s)
	}
	if len(p.held) == 0 {
		p.first = uint32(s.Time)
	}
	p.held = append(p.held, s)
	p.heldBytes += len(s.Data)
	if !p.complete(uint32(s.Time)) {
		return nil
	}
	return p.flush()
}

// complete tells whether the tracks are known: both are there, or the other one is not to come.
func (p *publication) complete(now uint32) bool {
	video := p.video.config != nil || p.video.denied
	audio := p.audio.config != nil || p.audio.denied
	waited := int32(now-p.first) >= int32(p.wait) || int32(p.first-now) >= int32(p.wait)
	return video && audio || waited || len(p.held) >= maxHeld || p.heldBytes >= maxHeldBytes
}

// flush announces the tracks and hands on what was held.
func (p *publication) flush() error {
	p.announce()
	held := p.held
	p.held = nil
	for _, s := range held {
		if err := p.out.Write(s); err != nil {
			return err
		}
	}
	return nil
}

// announce tells the publisher of the tracks that are known, where they are not those it knows.
func (p *publication) announce() {
	var tracks []media.Track
	if c := p.video.config; c != nil {
		tracks = append(tracks, media.Track{
			ID: videoTrack, Kind: media.Video, Name: media.SourceVideo, Timescale: media.VideoTimescale, Config: c,
		})
	}
	if c := p.audio.config; c != nil {
		tracks = append(tracks, media.Track{
			ID: audioTrack, Kind: media.Audio, Name: media.SourceAudio, Timescale: c.SampleRate, Config: c,
		})
	}
	if sameTracks(tracks, p.announced) {
		return
	}
	p.announced = tracks
	for _, t := range tracks {
		c := t.Config
		p.log.Info("track", obs.KeyTrack, t.Name, "codec", string(c.Codec), "width", c.Width, "height", c.Height,
			"fps", c.FrameRate.Float(), "sample_rate", c.SampleRate, "channels", c.Channels)
	}
	p.out.SetTracks(tracks)
}

// sameTracks tells whether a list says the same of the tracks' clocks. A new picture size needs no new list: the
// units carry their configuration.
func sameTracks(a, b []media.Track) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].ID != b[i].ID || a[i].Timescale != b[i].Timescale {
			return false
		}
	}
	return true
}

// metadata learns from onMetaData whether one of the tracks will not come.
func (p *publication) metadata(payload []byte) {
	values, err := amf.Decode(payload)
	if err != nil || len(values) < 2 {
		return
	}
	properties, ok := values[1].(amf.Object)
	if !ok {
		return
	}
	video := given(properties, "videocodecid", "width")
	audio := given(properties, "audiocodecid", "audiosamplerate")
	p.video.denied, p.audio.denied = audio && !video, video && !audio
}

// given tells whether one of the properties says something.
func given(o amf.Object, keys ...string) bool {
	for _, key := range keys {
		switch v := o.Get(key).(type) {
		case float64:
			if v > 0 {
				return true
			}
		case string:
			if v != "" {
				return true
			}
		}
	}
	return false
}

// close ends the publication with what was held. reason is nil for a proper end.
func (p *publication) close(reason error) {
	if p.announced == nil && len(p.held) > 0 {
		if err := p.flush(); err != nil {
			p.log.Debug("publication ended before its begin was handed on", obs.Err(err))
		}
	}
	p.out.Close(reason)
}
