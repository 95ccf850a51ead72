package amf

import (
	"encoding/binary"
	"math"
	"time"
)

// Append writes values behind dst. Strings longer than 65,535 bytes become long strings; keys are cut there.
// A value of another type than the package's own is written as undefined.
func Append(dst []byte, values ...any) []byte {
	for _, v := range values {
		dst = appendValue(dst, v)
	}
	return dst
}

func appendValue(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, markerNull)
	case float64:
		return appendNumber(append(dst, markerNumber), v)
	case bool:
		if v {
			return append(dst, markerBoolean, 1)
		}
		return append(dst, markerBoolean, 0)
	case string:
		if len(v) > math.MaxUint16 {
			dst = binary.BigEndian.AppendUint32(append(dst, markerLongString), uint32(len(v)))
			return append(dst, v...)
		}
		return appendKey(append(dst, markerString), v)
	case Date:
		dst = appendNumber(append(dst, markerDate), float64(time.Time(v).UnixMilli()))
		return append(dst, 0, 0)
	case Object:
		return appendObject(append(dst, markerObject), v)
	case Array:
		dst = binary.BigEndian.AppendUint32(append(dst, markerStrictArray), uint32(len(v)))
		return Append(dst, v...)
	default:
		return append(dst, markerUndefined)
	}
}

func appendNumber(dst []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(dst, math.Float64bits(v))
}

func appendKey(dst []byte, s string) []byte {
	s = s[:min(len(s), math.MaxUint16)]
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)))
	return append(dst, s...)
}

func appendObject(dst []byte, o Object) []byte {
	for _, p := range o {
		dst = appendValue(appendKey(dst, p.Key), p.Value)
	}
	return append(dst, 0, 0, markerObjectEnd)
}
