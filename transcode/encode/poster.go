package encode

import (
	"fmt"
	"strconv"

	"nova/internal/media"
	"nova/transcode/av"
)

// PosterConfig of a still picture.
type PosterConfig struct {
	// MaxWidth of the picture in pixels; 0 means 640. Smaller sources keep their size.
	MaxWidth int
	// Quantizer from 2, the best, to 31; 0 means 4, about 50 kB at 640×360.
	Quantizer int
}

// Poster makes JPEG files of frames. Not safe for concurrent use.
type Poster struct {
	cfg    PosterConfig
	scaler *av.Scaler
	enc    *av.Encoder
	config *media.CodecConfig
}

// NewPoster checks the configuration.
func NewPoster(cfg PosterConfig) (*Poster, error) {
	if cfg.MaxWidth == 0 {
		cfg.MaxWidth = 640
	}
	if cfg.Quantizer == 0 {
		cfg.Quantizer = 4
	}
	if cfg.MaxWidth < 16 || cfg.Quantizer < 2 || cfg.Quantizer > 31 {
		return nil, fmt.Errorf("cannot make posters %d wide with quantizer %d", cfg.MaxWidth, cfg.Quantizer)
	}
	return &Poster{cfg: cfg}, nil
}

// Encode takes ownership of f, an upright picture in main memory, and returns it as a JPEG file at f's PTS.
func (p *Poster) Encode(f *av.Frame) (*media.AccessUnit, error) {
	defer f.Release()
	if err := p.follow(f); err != nil {
		return nil, err
	}
	small, err := p.scaler.Scale(f)
	if err != nil {
		return nil, err
	}
	defer small.Release()
	if err := p.enc.Send(small, true); err != nil {
		return nil, err
	}
	packet, err := p.enc.Receive()
	if err != nil {
		return nil, fmt.Errorf("cannot encode poster: %w", err)
	}
	pts := media.Rescale(f.PTS(), f.Timescale, media.VideoTimescale)
	return &media.AccessUnit{
		PTS: pts, DTS: pts, Key: true, Config: p.config, Arrived: f.Arrived, Data: append([]byte(nil), packet.Data...),
	}, nil
}

// follow makes the scaler and the encoder for pictures like f.
func (p *Poster) follow(f *av.Frame) (err error) {
	if p.scaler != nil && p.scaler.Fits(f) {
		return nil
	}
	p.Close()
	width, height := p.size(f)
	// JFIF decoders take every file for full-range BT.601.
	color := f.Color()
	color.Matrix, color.Full = av.JPEGMatrix, true
	if p.scaler, err = av.NewScaler(f, av.Picture{Width: width, Height: height, Color: color}, av.Bicubic); err != nil {
		p.scaler = nil
		return err
	}
	quantizer := strconv.Itoa(p.cfg.Quantizer)
	p.enc, err = av.OpenEncoder(av.EncoderConfig{
		Name: "mjpeg", Timescale: media.VideoTimescale, Width: width, Height: height, Color: color,
		Options: av.Options{"qmin": quantizer, "qmax": quantizer},
	})
	if err != nil {
		p.enc = nil
		p.Close()
		return err
	}
	p.config = &media.CodecConfig{Codec: media.JPEG, Width: width, Height: height}
	return nil
}

// size is f's shape in square pixels, not wider than allowed, even.
func (p *Poster) size(f *av.Frame) (width, height int) {
	sar := f.SampleAspectRatio()
	shown := f.Width() * sar.Num / sar.Den
	width = min(shown, p.cfg.MaxWidth)
	height = f.Height() * width / max(shown, 1)
	return max(width&^1, 2), max(height&^1, 2)
}

// Close frees the encoder. Idempotent.
func (p *Poster) Close() {
	if p.scaler != nil {
		p.scaler.Close()
		p.scaler = nil
	}
	if p.enc != nil {
		p.enc.Close()
		p.enc = nil
	}
}
