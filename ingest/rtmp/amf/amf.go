// Package amf reads and writes AMF0, the value format of RTMP's commands and metadata, within limits that hold
// for any bytes: no allocation follows a length that the bytes present do not back, and nesting and the number
// of values are bounded.
//
//	[]byte ──Decode──▶ []any ──Append──▶ []byte
//
// The values are float64, bool, string, nil (null), [Undefined], [Date], [Object] and [Array]. Standard: Action
// Message Format, AMF 0 (2007).
package amf

import (
	"errors"
	"time"
)

// The limits of one message. Real commands and metadata use a depth of 3 and some 40 values.
const (
	MaxDepth  = 16
	MaxValues = 4096
)

// The ways in which bytes are not an acceptable AMF0 message.
var (
	ErrTruncated = errors.New("AMF0 value runs past the end of the message")
	ErrTooDeep   = errors.New("AMF0 values nest too deeply")
	ErrTooMany   = errors.New("AMF0 message holds too many values")
	ErrMarker    = errors.New("AMF0 type marker is not known")
	// ErrAMF3 tells that the sender switched to AMF3 (AMF0 §3.1), which Nova does not read.
	ErrAMF3 = errors.New("AMF3 value inside an AMF0 message")
)

// Undefined is the value of the markers undefined, unsupported and reference.
type Undefined struct{}

// Date is a time with the zone field left out, which the standard reserves (AMF0 §2.13).
type Date time.Time

// Property is one named value of an [Object].
type Property struct {
	Key   string
	Value any
}

// Object is an anonymous object, a typed object or an ECMA array: properties in their order.
type Object []Property

// Get is the value of the last property called key; nil where there is none.
func (o Object) Get(key string) any {
	for i := len(o) - 1; i >= 0; i-- {
		if o[i].Key == key {
			return o[i].Value
		}
	}
	return nil
}

// Array is a strict array.
type Array []any

// The type markers (AMF0 §2.1).
const (
	markerNumber      = 0x00
	markerBoolean     = 0x01
	markerString      = 0x02
	markerObject      = 0x03
	markerNull        = 0x05
	markerUndefined   = 0x06
	markerReference   = 0x07
	markerECMAArray   = 0x08
	markerObjectEnd   = 0x09
	markerStrictArray = 0x0a
	markerDate        = 0x0b
	markerLongString  = 0x0c
	markerUnsupported = 0x0d
	markerXML         = 0x0f
	markerTypedObject = 0x10
	markerAMF3        = 0x11
)
