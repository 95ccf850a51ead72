package relay

import "nova/internal/media"

// entry is one queued item.
type entry struct {
	unit   *media.AccessUnit
	lane   *lane // of unit
	tracks []media.Track
	lost   int
}

// ring is a queue of entries that grows to what is needed and then stays, so that a steady stream allocates
// nothing. Its owner bounds it.
type ring struct {
	entries []entry // len is a power of two
	head, n int
	bytes   int
}

func (q *ring) at(i int) *entry { return &q.entries[(q.head+i)&(len(q.entries)-1)] }

func (q *ring) push(e entry) {
	if q.n == len(q.entries) {
		q.grow()
	}
	q.n++
	*q.at(q.n - 1) = e
	if e.unit != nil {
		q.bytes += e.unit.Size()
	}
}

func (q *ring) grow() {
	bigger := make([]entry, max(16, 2*len(q.entries)))
	for i := range q.n {
		bigger[i] = *q.at(i)
	}
	q.entries, q.head = bigger, 0
}

func (q *ring) pop() entry {
	e := *q.at(0)
	*q.at(0) = entry{} // the unit is the reader's alone from here on
	q.head = (q.head + 1) & (len(q.entries) - 1)
	q.n--
	if e.unit != nil {
		q.bytes -= e.unit.Size()
	}
	return e
}

// keep drops the entries that f refuses and counts each lost unit on the entry that follows it, whichever that is.
// It returns the number of units dropped, and how many were lost behind the last entry that is kept.
func (q *ring) keep(f func(i int, e *entry) bool) (dropped, lost int) {
	kept := ring{entries: q.entries, head: q.head}
	n := q.n
	for i := range n {
		e := *q.at(i)
		if f(i, &e) {
			e.lost += lost
			lost = 0
			kept.push(e)
			continue
		}
		lost += e.lost
		if e.unit != nil {
			dropped++
			lost++
		}
	}
	for i := kept.n; i < n; i++ {
		*q.at(i) = entry{}
	}
	*q = kept
	return dropped, lost
}
