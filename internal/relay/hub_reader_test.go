package relay

import (
	"io"
	"strconv"
	"testing"

	"nova/internal/media"
)

// FuzzReader drives a hub and a reader by the input: each byte is an operation. Whatever happens, a reader's gaps
// are counted exactly, no picture comes without the one it builds on, and the ring keeps its bounds.
func FuzzReader(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{8, 0, 1, 2, 1, 2, 1, 2, 0, 1, 2, 4, 1, 2, 0, 1, 2, 5})
	f.Add([]byte{2, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 0, 4, 3, 1, 2, 0, 6, 4, 5})
	f.Add([]byte{5, 0, 0, 7, 7, 1, 2, 6, 1, 7, 2, 0, 1, 4, 4, 7, 0, 2, 1, 4, 5})
	f.Add([]byte{31, 0, 6, 2, 1, 7, 2, 1, 7, 2, 0, 1, 7, 2, 6, 7, 1, 2, 5, 0, 7, 6, 2, 1, 60, 0, 6, 1, 7, 2})
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) == 0 || len(ops) > 300 {
			return
		}
		m := newReaderModel(t, Options{MaxUnits: 2 + int(ops[0]%30), MaxBytes: 128 * (3 + int(ops[0]/8))})
		for _, op := range ops[1:] {
			m.step(op)
		}
		m.stream.Close()
		m.drain(1 << 20)
	})
}

// readerModel is a reader with what it has got so far.
type readerModel struct {
	t       *testing.T
	stream  *Stream
	reader  *hubReader
	written []*media.AccessUnit // by number, which is the DTS
	got     map[int64]bool
	// due is the number of the next unit that the reader gets.
	due int
}

var threeTracks = []media.Track{
	{ID: 1, Kind: media.Video, Name: "a", Timescale: 90000},
	{ID: 2, Kind: media.Video, Name: "b", Timescale: 90000},
	{ID: 3, Kind: media.Audio, Name: "c", Timescale: 48000},
}

func newReaderModel(t *testing.T, opts Options) *readerModel {
	m := &readerModel{t: t, stream: openStream(t, newTestHub(t), "demo"), got: map[int64]bool{}}
	m.reader = m.stream.join(opts)
	m.stream.SetTracks(threeTracks)
	return m
}

func (m *readerModel) step(op byte) {
	switch op % 8 {
	case 0, 1:
		m.write(1, op%8 == 0)
	case 2:
		m.write(3, true)
	case 3, 4:
		m.drain(1 + int(op/8)%8)
	case 5:
		m.stream.SetTracks(threeTracks)
	case 6, 7:
		m.write(2, op%8 == 6)
	}
	if n, bytes := m.reader.depth(); n > m.reader.maxUnits || bytes > m.reader.maxBytes {
		m.t.Fatalf("the ring holds %d items and %d bytes, beyond its bounds", n, bytes)
	}
}

// write sends the next unit. A picture begins with a keyframe, as ingest and transcode see to.
func (m *readerModel) write(track int, key bool) {
	if m.before(track, len(m.written)) == nil {
		key = true
	}
	n := int64(len(m.written))
	u := &media.AccessUnit{Track: track, PTS: n, DTS: n, Key: key}
	m.written = append(m.written, u)
	m.stream.Write(u)
}

// before is the track's last unit before number n.
func (m *readerModel) before(track, n int) *media.AccessUnit {
	for i := n - 1; i >= 0; i-- {
		if m.written[i].Track == track {
			return m.written[i]
		}
	}
	return nil
}

// drain reads up to n items and checks each.
func (m *readerModel) drain(n int) {
	for range n {
		item, ok, err := m.reader.take()
		if err == io.EOF || !ok { //nolint:errorlint // the end is the bare io.EOF
			return
		}
		m.due += item.Lost
		if item.Unit != nil {
			m.check(item.Unit)
		}
	}
}

func (m *readerModel) check(u *media.AccessUnit) {
	if m.due >= len(m.written) || m.written[m.due] != u {
		m.t.Fatalf("unit %d of track %d comes where %d is due: Lost is wrong", u.DTS, u.Track, m.due)
	}
	m.got[u.DTS] = true
	if before := m.before(u.Track, m.due); !u.Key && !m.got[before.DTS] {
		m.t.Fatalf("unit %d of track %d comes without %d that it builds on", u.DTS, u.Track, before.DTS)
	}
	m.due++
}

func TestRingKeepsOrderWhileItGrows(t *testing.T) {
	var q ring
	next := int64(0)
	for i := range int64(1000) {
		q.push(entry{unit: &media.AccessUnit{DTS: i}})
		if i%3 == 2 {
			if got := q.pop().unit.DTS; got != next {
				t.Fatalf("popped %d, want %d", got, next)
			}
			next++
		}
	}
	dropped, lost := q.keep(func(_ int, e *entry) bool { return e.unit.DTS%2 == 0 && e.unit.DTS < 998 })
	if want := int(1000-next) - q.n; dropped != want {
		t.Errorf("dropped %d, want %d", dropped, want)
	}
	if lost != 3 {
		t.Errorf("%d lost behind the last entry, want 997, 998 and 999", lost)
	}
	for q.n > 0 {
		e := q.pop()
		if e.lost > 1 || e.unit.DTS%2 != 0 {
			t.Fatalf("entry %d lost %d", e.unit.DTS, e.lost)
		}
	}
	if q.bytes != 0 {
		t.Errorf("%d bytes in an empty ring", q.bytes)
	}
}

// A steady stream costs no allocation, whatever the number of readers.
func TestWriteDoesNotAllocate(t *testing.T) {
	s := openStream(t, newTestHub(t), "demo")
	s.SetTracks(avTracks)
	var readers []*hubReader
	for range 10 {
		readers = append(readers, s.join(Options{}))
	}
	w := writer{stream: s, gop: 30}
	list := make([]*media.AccessUnit, 60)
	for i := range list {
		list[i] = w.unit(i)
	}
	turn := func() {
		for _, u := range list[:59] { // without a second keyframe: trimming the cache may allocate once a GOP
			s.Write(u)
		}
		for _, r := range readers {
			for ok := true; ok; {
				_, ok, _ = r.take()
			}
		}
	}
	turn()
	if n := testing.AllocsPerRun(10, turn); n > 2 {
		t.Errorf("%v allocations for 59 units and 10 readers", n)
	}
}

func BenchmarkHubWrite(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) { benchmarkHubWrite(b, n) })
	}
}

// benchmarkHubWrite fills the rings of n readers, which it empties outside of the measured time.
func benchmarkHubWrite(b *testing.B, n int) {
	s := openStream(b, newTestHub(b), "demo")
	s.SetTracks(avTracks)
	readers := make([]*hubReader, n)
	for i := range readers {
		readers[i] = s.join(Options{})
	}
	w := writer{stream: s, gop: 60, size: 10 << 10}
	list := make([]*media.AccessUnit, 120)
	for i := range list {
		list[i] = w.unit(i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		s.Write(list[i%len(list)])
		if i++; i%1024 == 0 {
			b.StopTimer()
			for _, r := range readers {
				for ok := true; ok; {
					_, ok, _ = r.take()
				}
			}
			b.StartTimer()
		}
	}
}
