package decode

import (
	"bytes"
	"testing"

	"nova/internal/media"
	"nova/transcode/av"
)

func TestAVCConfigurationRecord(t *testing.T) {
	got, err := record(&media.CodecConfig{
		Codec: media.H264, SPS: [][]byte{{0x67, 0x64, 0, 0x28, 9}}, PPS: [][]byte{{0x68, 1}, {0x68, 2}},
	})
	want := []byte{1, 0x64, 0, 0x28, 0xff, 0xe1, 0, 5, 0x67, 0x64, 0, 0x28, 9, 2, 0, 2, 0x68, 1, 0, 2, 0x68, 2}
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("% x, %v\nwant\n% x", got, err, want)
	}
}

func TestHEVCConfigurationRecord(t *testing.T) {
	got, err := record(&media.CodecConfig{
		Codec: media.H265, VPS: [][]byte{{0x40, 1}}, SPS: [][]byte{{0x42, 1}}, PPS: [][]byte{{0x44, 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []byte{0xff, 3, 0xa0, 0, 1, 0, 2, 0x40, 1, 0xa1, 0, 1, 0, 2, 0x42, 1, 0xa2, 0, 1, 0, 2, 0x44, 1}
	if got[0] != 1 || !bytes.Equal(got[21:], want) {
		t.Errorf("% x\nwant … % x", got, want)
	}
}

// Whatever parameter sets a publisher sent: an error or a decoder, not a crash.
func FuzzOpen(f *testing.F) {
	f.Add([]byte{0x67, 0x64, 0, 0x28}, []byte{0x68, 0xee}, []byte{0, 0, 0, 2, 0x65, 0x88})
	f.Add([]byte{0x67}, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, sps, pps, data []byte) {
		cfg := &media.CodecConfig{Codec: media.H264, SPS: [][]byte{sps}, PPS: [][]byte{pps}}
		d, err := NewVideo(cfg, Options{})
		if err != nil {
			return
		}
		defer d.Close()
		for i := range int64(4) {
			_ = d.Decode(&media.AccessUnit{PTS: i, DTS: i, Key: true, Data: data}, drop)
		}
		_ = d.Flush(drop)
	})
}

func drop(f *av.Frame) error {
	f.Release()
	return nil
}
