package av

// #include "shim.h"
import "C"

import (
	"github.com/asticode/go-astiav"

	"nova/internal/media"
)

// EncoderConfig says what an encoder encodes. Video has a Width, sound a SampleRate.
type EncoderConfig struct {
	// Name is libav's name: libx264, h264_nvenc, hevc_nvenc, aac, mjpeg.
	Name string
	// Timescale is the number of ticks a second of frames and packets.
	Timescale int
	Threads   int
	// Bitrate is in bits a second.
	Bitrate int

	Width, Height int
	FrameRate     media.Rational
	Color         Color
	// Frames is a frame of the GPU pool that all frames come from; nil for frames in main memory.
	Frames *Frame

	// SampleRate is that of stereo planar float sound.
	SampleRate int

	// Options are everything else by libav's names.
	Options Options
}

// Encoder turns frames into packets.
type Encoder struct {
	ctx       *astiav.CodecContext
	c         *C.AVCodecContext
	scratch   *C.AVFrame
	pkt       *packet
	timescale int
}

// OpenEncoder opens an encoder whose parameter sets are in Extradata, not in the packets.
func OpenEncoder(cfg EncoderConfig) (*Encoder, error) {
	codec := astiav.FindEncoderByName(cfg.Name)
	if codec == nil {
		return nil, &Error{Op: "find encoder " + cfg.Name, Code: ErrNoEncoder}
	}
	ctx := astiav.AllocCodecContext(codec)
	if ctx == nil {
		return nil, &Error{Op: "allocate encoder", Code: ErrNoMemory}
	}
	e := &Encoder{ctx: ctx, c: (*C.AVCodecContext)(ctx.UnsafePointer()), timescale: cfg.Timescale}
	if err := e.open(codec, cfg); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

func (e *Encoder) open(codec *astiav.Codec, cfg EncoderConfig) (err error) {
	if e.pkt, err = newPacket(); err != nil {
		return err
	}
	if e.scratch = C.av_frame_alloc(); e.scratch == nil {
		return &Error{Op: "allocate frame", Code: ErrNoMemory}
	}
	e.ctx.SetTimeBase(astiav.NewRational(1, cfg.Timescale))
	e.ctx.SetBitRate(int64(cfg.Bitrate))
	e.ctx.SetThreadCount(max(cfg.Threads, 1))
	e.c.flags |= C.AV_CODEC_FLAG_GLOBAL_HEADER
	if cfg.Width > 0 {
		e.setVideo(cfg)
	} else {
		e.ctx.SetSampleRate(cfg.SampleRate)
		e.ctx.SetSampleFormat(astiav.SampleFormatFltp)
		e.ctx.SetChannelLayout(astiav.ChannelLayoutStereo)
	}
	return cfg.Options.with("encoder "+cfg.Name, func(dict *astiav.Dictionary) error { return e.ctx.Open(codec, dict) })
}

func (e *Encoder) setVideo(cfg EncoderConfig) {
	e.c.width, e.c.height = C.int(cfg.Width), C.int(cfg.Height)
	e.ctx.SetSampleAspectRatio(astiav.NewRational(1, 1))
	if cfg.FrameRate.Den > 0 {
		e.ctx.SetFramerate(astiav.NewRational(cfg.FrameRate.Num, cfg.FrameRate.Den))
	}
	e.c.color_primaries = C.enum_AVColorPrimaries(cfg.Color.Primaries)
	e.c.color_trc = C.enum_AVColorTransferCharacteristic(cfg.Color.Transfer)
	e.c.colorspace = C.enum_AVColorSpace(cfg.Color.Matrix)
	e.c.color_range = colorRange(cfg.Color.Full)
	e.c.pix_fmt = C.AV_PIX_FMT_YUV420P
	if cfg.Frames != nil {
		e.c.pix_fmt = C.AV_PIX_FMT_CUDA
		e.c.hw_frames_ctx = C.av_buffer_ref(cfg.Frames.c.hw_frames_ctx)
	}
}

// Send gives the encoder a frame, which stays the caller's. Its time is rescaled to the encoder's timescale;
// key makes it an IDR picture.
func (e *Encoder) Send(f *Frame, key bool) error {
	pts := media.Rescale(f.PTS(), f.Timescale, e.timescale)
	return check("encode frame", C.nova_encoder_send(e.c, e.scratch, f.c, C.int64_t(pts), cbool(key)))
}

// Drain tells the encoder that no frame follows. Receive gives what it holds and then ErrEOF.
func (e *Encoder) Drain() error {
	return check("drain encoder", C.nova_encoder_send(e.c, nil, nil, 0, 0))
}

// Receive gives the next packet, or ErrAgain, or ErrEOF. The packet's data ends with the next call.
func (e *Encoder) Receive() (Packet, error) {
	if ret := C.avcodec_receive_packet(e.c, e.pkt.c); ret < 0 {
		return Packet{}, check("receive packet", ret)
	}
	return e.pkt.view(), nil
}

// Extradata is the encoder's configuration: parameter sets in Annex B form, or an AudioSpecificConfig.
func (e *Encoder) Extradata() []byte { return e.ctx.ExtraData() }

// Close frees the encoder.
func (e *Encoder) Close() {
	if e.pkt != nil {
		e.pkt.close()
	}
	C.av_frame_free(&e.scratch) //nolint:gocritic // cgo writes the comparison
	e.ctx.Free()
}
