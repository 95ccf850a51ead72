package av

// #include "shim.h"
import "C"

import (
	"strconv"

	"github.com/asticode/go-astiav"

	"nova/internal/media"
)

// DecoderConfig says what a decoder decodes.
type DecoderConfig struct {
	Codec media.Codec
	// Extra is the codec's configuration record: avcC, hvcC, AudioSpecificConfig, OpusHead.
	Extra []byte
	// Timescale is the number of ticks a second of the packets' times.
	Timescale int
	// Threads is the number of frames decoded at once, each beyond the first delaying the output by a frame.
	Threads int
	// Reorder is the number of pictures that may have to be held back; a stream's own statement can raise it.
	Reorder int
	// SampleRate and Channels are for codecs that do not say them in Extra.
	SampleRate, Channels int
	// GPU decodes into CUDA memory; nil decodes on the CPU.
	GPU *GPU
}

// Decoder turns packets into frames.
type Decoder struct {
	ctx       *astiav.CodecContext
	c         *C.AVCodecContext
	pkt       *packet
	timescale int
}

// maxPixels bounds what a stream's headers can make a decoder allocate: the largest picture of H.264's and H.265's
// level 6.2 (ISO/IEC 14496-10 Table A-1).
const maxPixels = 139_264 * 256

var codecIDs = map[media.Codec]astiav.CodecID{
	media.H264: astiav.CodecIDH264,
	media.H265: astiav.CodecIDHevc,
	media.AV1:  astiav.CodecIDAv1,
	media.VP9:  astiav.CodecIDVp9,
	media.AAC:  astiav.CodecIDAac,
	media.Opus: astiav.CodecIDOpus,
	media.JPEG: astiav.CodecIDMjpeg,
}

// OpenDecoder fails with ErrNoDecoder where this build cannot decode the codec: AV1 needs a GPU.
func OpenDecoder(cfg DecoderConfig) (*Decoder, error) {
	id, known := codecIDs[cfg.Codec]
	codec := astiav.FindDecoder(id)
	if !known || codec == nil || (cfg.Codec == media.AV1 && cfg.GPU == nil) {
		return nil, &Error{Op: "decode " + string(cfg.Codec), Code: ErrNoDecoder}
	}
	ctx := astiav.AllocCodecContext(codec)
	if ctx == nil {
		return nil, &Error{Op: "allocate decoder", Code: ErrNoMemory}
	}
	d := &Decoder{ctx: ctx, c: (*C.AVCodecContext)(ctx.UnsafePointer()), timescale: cfg.Timescale}
	if err := d.open(codec, cfg); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *Decoder) open(codec *astiav.Codec, cfg DecoderConfig) (err error) {
	if d.pkt, err = newPacket(); err != nil {
		return err
	}
	if err := d.ctx.SetExtraData(cfg.Extra); err != nil {
		return wrap("set codec configuration", err)
	}
	if cfg.SampleRate > 0 {
		d.ctx.SetSampleRate(cfg.SampleRate)
	}
	C.nova_decoder_setup(d.c, C.int(cfg.Timescale), C.int(cfg.Reorder), C.int(cfg.Channels))
	options := Options{"threads": strconv.Itoa(max(cfg.Threads, 1)), "max_pixels": strconv.Itoa(maxPixels)}
	if cfg.Codec == media.H264 || cfg.Codec == media.H265 {
		options["thread_type"] = "frame"
	}
	if cfg.GPU != nil {
		C.nova_decoder_use_cuda(d.c, cfg.GPU.device)
	}
	return options.with("decoder "+codec.Name(), func(dict *astiav.Dictionary) error { return d.ctx.Open(codec, dict) })
}

// Send gives the decoder one packet; p.Data is copied. It fails with ErrAgain where frames must be received
// first, and with ErrInvalidData where the packet is damaged: later packets may be good.
func (d *Decoder) Send(p Packet) error {
	if err := d.pkt.fill(p); err != nil {
		return err
	}
	ret := C.avcodec_send_packet(d.c, d.pkt.c)
	C.av_packet_unref(d.pkt.c)
	return check("decode packet", ret)
}

// Drain tells the decoder that no packet follows. Receive gives what it holds and then ErrEOF.
func (d *Decoder) Drain() error { return check("drain decoder", C.avcodec_send_packet(d.c, nil)) }

// Receive gives the next frame, which the caller owns, or ErrAgain, or ErrEOF.
func (d *Decoder) Receive() (*Frame, error) {
	f, err := newFrame()
	if err != nil {
		return nil, err
	}
	if ret := C.avcodec_receive_frame(d.c, f.c); ret < 0 {
		f.Release()
		return nil, check("receive frame", ret)
	}
	f.Timescale = d.timescale
	f.Duration = int64(f.c.duration)
	f.Turn = f.turn()
	return f, nil
}

// Close frees the decoder. Frames that it gave live on.
func (d *Decoder) Close() {
	if d.pkt != nil {
		d.pkt.close()
	}
	d.ctx.Free()
}
