package fmp4

import (
	"errors"
	"fmt"

	"nova/internal/media"
)

// Init writes the initialization section (ftyp and moov, ISO/IEC 23000-19 §7.3.1) of a track with H.264 or AAC
// in it. It fails where the codec is another one or its configuration cannot be read.
func Init(t Track, cfg *media.CodecConfig) ([]byte, error) {
	if t.Timescale <= 0 {
		return nil, fmt.Errorf("timescale %d is not positive", t.Timescale)
	}
	entry, err := sampleEntry(t, cfg)
	if err != nil {
		return nil, err
	}
	w := &writer{b: make([]byte, 0, 1024)}
	w.box("ftyp", func() { // §4.3
		w.str("iso6")
		w.u32(0)
		w.str("iso6cmfccmf2mp41")
	})
	w.box("moov", func() {
		w.mvhd(t)
		w.box("trak", func() {
			w.tkhd(t, cfg)
			w.mdia(t, entry)
		})
		w.box("mvex", func() { // §8.8.1
			w.full("trex", 0, 0, func() { // §8.8.3
				w.u32(TrackID)
				w.u32(1) // sample description
				w.zero(12)
			})
		})
	})
	return w.b, nil
}

// sampleEntry is the one entry of stsd.
func sampleEntry(t Track, cfg *media.CodecConfig) ([]byte, error) {
	switch {
	case cfg == nil:
		return nil, errors.New("no codec configuration")
	case cfg.Codec == media.H264 && t.Kind == media.Video:
		return avc1(cfg)
	case cfg.Codec == media.AAC && t.Kind == media.Audio:
		return mp4a(t, cfg)
	default:
		return nil, fmt.Errorf("codec %q as %v cannot be packaged", cfg.Codec, t.Kind)
	}
}

func (w *writer) mvhd(t Track) { // §8.2.2
	w.full("mvhd", 0, 0, func() {
		w.zero(8) // creation and modification time
		w.u32(uint32(t.Timescale))
		w.u32(0)          // duration: in the fragments
		w.u32(0x00010000) // rate 1
		w.u16(0x0100)     // volume 1
		w.zero(10)
		w.matrix()
		w.zero(24)
		w.u32(TrackID + 1) // next track
	})
}

func (w *writer) tkhd(t Track, cfg *media.CodecConfig) { // §8.3.2
	w.full("tkhd", 0, 3, func() { // enabled, in movie
		w.zero(8)
		w.u32(TrackID)
		w.zero(4 + 4 + 8)
		w.u16(0) // layer
		w.u16(0) // alternate group
		if t.Kind == media.Audio {
			w.u16(0x0100)
		} else {
			w.u16(0)
		}
		w.u16(0)
		w.matrix()
		width, height := DisplaySize(cfg)
		w.u32(uint32(width) << 16)
		w.u32(uint32(height) << 16)
	})
}

func (w *writer) mdia(t Track, entry []byte) { // §8.4
	w.box("mdia", func() {
		w.full("mdhd", 0, 0, func() { // §8.4.2
			w.zero(8)
			w.u32(uint32(t.Timescale))
			w.u32(0)
			w.u16(0x55c4) // language "und"
			w.u16(0)
		})
		handler, name := "vide", "VideoHandler\x00"
		if t.Kind == media.Audio {
			handler, name = "soun", "SoundHandler\x00"
		}
		w.full("hdlr", 0, 0, func() { // §8.4.3
			w.u32(0)
			w.str(handler)
			w.zero(12)
			w.str(name)
		})
		w.box("minf", func() { w.minf(t, entry) })
	})
}

func (w *writer) minf(t Track, entry []byte) { // §8.4.4
	if t.Kind == media.Audio {
		w.full("smhd", 0, 0, func() { w.zero(4) }) // §12.2.2
	} else {
		w.full("vmhd", 0, 1, func() { w.zero(8) }) // §12.1.2
	}
	w.box("dinf", func() { // §8.7.1
		w.full("dref", 0, 0, func() {
			w.u32(1)
			w.full("url ", 0, 1, func() {}) // the media is in this file
		})
	})
	w.box("stbl", func() { // §8.5.1, its tables are empty: the samples are in fragments
		w.full("stsd", 0, 0, func() {
			w.u32(1)
			w.bytes(entry)
		})
		w.full("stts", 0, 0, func() { w.u32(0) })
		w.full("stsc", 0, 0, func() { w.u32(0) })
		w.full("stsz", 0, 0, func() { w.zero(8) })
		w.full("stco", 0, 0, func() { w.u32(0) })
	})
}
