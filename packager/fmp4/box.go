package fmp4

import "encoding/binary"

// writer appends boxes (ISO/IEC 14496-12 §4.2) to a slice.
type writer struct{ b []byte }

// box writes a box whose payload body writes, and fills in its size.
func (w *writer) box(kind string, body func()) {
	at := len(w.b)
	w.u32(0)
	w.str(kind)
	body()
	binary.BigEndian.PutUint32(w.b[at:], uint32(len(w.b)-at))
}

// full writes a FullBox: a box that begins with a version and 24 bits of flags.
func (w *writer) full(kind string, version uint8, flags uint32, body func()) {
	w.box(kind, func() {
		w.u32(uint32(version)<<24 | flags)
		body()
	})
}

func (w *writer) u8(v ...uint8)  { w.b = append(w.b, v...) }
func (w *writer) u16(v uint16)   { w.b = binary.BigEndian.AppendUint16(w.b, v) }
func (w *writer) u32(v uint32)   { w.b = binary.BigEndian.AppendUint32(w.b, v) }
func (w *writer) u64(v uint64)   { w.b = binary.BigEndian.AppendUint64(w.b, v) }
func (w *writer) str(s string)   { w.b = append(w.b, s...) }
func (w *writer) bytes(p []byte) { w.b = append(w.b, p...) }
func (w *writer) zero(n int)     { w.b = append(w.b, make([]byte, n)...) }

// matrix is the unity matrix of mvhd and tkhd (§8.2.2.2).
func (w *writer) matrix() {
	for _, v := range [9]uint32{0x00010000, 0, 0, 0, 0x00010000, 0, 0, 0, 0x40000000} {
		w.u32(v)
	}
}
