package amf

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// Decode reads all values of a message. On an error it returns the whole values before it too, so that a
// caller can tell which command was broken.
func Decode(b []byte) ([]any, error) {
	d := decoder{left: b}
	var values []any
	for len(d.left) > 0 {
		v, err := d.value(0)
		if err != nil {
			return values, fmt.Errorf("value %d: %w", len(values), err)
		}
		values = append(values, v)
	}
	return values, nil
}

type decoder struct {
	left   []byte
	values int
}

func (d *decoder) value(depth int) (any, error) {
	if depth > MaxDepth {
		return nil, ErrTooDeep
	}
	if d.values++; d.values > MaxValues {
		return nil, ErrTooMany
	}
	marker, err := d.take(1)
	if err != nil {
		return nil, err
	}
	switch marker[0] {
	case markerObject:
		return d.object(depth)
	case markerECMAArray:
		// The count is a hint that senders get wrong: the end marker rules (AMF0 §2.10).
		if _, err := d.take(4); err != nil {
			return nil, err
		}
		return d.object(depth)
	case markerTypedObject:
		if _, err := d.text(2); err != nil {
			return nil, err
		}
		return d.object(depth)
	case markerStrictArray:
		return d.array(depth)
	default:
		return d.scalar(marker[0])
	}
}

func (d *decoder) scalar(marker byte) (any, error) {
	switch marker {
	case markerNumber:
		return d.number()
	case markerBoolean:
		b, err := d.take(1)
		if err != nil {
			return nil, err
		}
		return b[0] != 0, nil
	case markerString:
		return d.text(2)
	case markerLongString, markerXML:
		return d.text(4)
	case markerNull:
		return nil, nil
	case markerUndefined, markerUnsupported:
		return Undefined{}, nil
	case markerReference:
		_, err := d.take(2)
		return Undefined{}, err
	case markerDate:
		return d.date()
	case markerAMF3:
		return nil, ErrAMF3
	default:
		return nil, fmt.Errorf("%w: 0x%02x", ErrMarker, marker)
	}
}

func (d *decoder) take(n int) ([]byte, error) {
	if n > len(d.left) {
		return nil, ErrTruncated
	}
	b := d.left[:n]
	d.left = d.left[n:]
	return b, nil
}

func (d *decoder) number() (float64, error) {
	b, err := d.take(8)
	if err != nil {
		return 0, err
	}
	return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
}

// text reads a string behind a length of size bytes.
func (d *decoder) text(size int) (string, error) {
	b, err := d.take(size)
	if err != nil {
		return "", err
	}
	n := uint64(0)
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	if n > uint64(len(d.left)) {
		return "", ErrTruncated
	}
	b, err = d.take(int(n))
	return string(b), err
}

func (d *decoder) date() (Date, error) {
	ms, err := d.number()
	if err != nil {
		return Date{}, err
	}
	if _, err := d.take(2); err != nil {
		return Date{}, err
	}
	if math.IsNaN(ms) || math.Abs(ms) > 1e15 {
		ms = 0
	}
	return Date(time.UnixMilli(int64(ms)).UTC()), nil
}

func (d *decoder) object(depth int) (Object, error) {
	o := Object{}
	for {
		key, err := d.text(2)
		if err != nil {
			return nil, err
		}
		if key == "" && len(d.left) > 0 && d.left[0] == markerObjectEnd {
			d.left = d.left[1:]
			return o, nil
		}
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		o = append(o, Property{Key: key, Value: v})
	}
}

func (d *decoder) array(depth int) (Array, error) {
	b, err := d.take(4)
	if err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(b)
	if uint64(n) > uint64(len(d.left)) { // a value takes at least its marker's byte
		return nil, fmt.Errorf("%w: array of %d values in %d bytes", ErrTruncated, n, len(d.left))
	}
	a := Array{}
	for range n {
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		a = append(a, v)
	}
	return a, nil
}
