package amf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestRoundTrip(t *testing.T) {
	want := []any{
		"connect", 1.0, nil, true, false,
		Undefined{},
		strings.Repeat("long", 20000),
		Object{{"app", "live"}, {"inner", Object{{"n", -2.5}}}, {"", "an empty key"}},
		Array{1.0, "two", Array{}},
		Date(time.UnixMilli(1700000000123).UTC()),
	}
	got, err := Decode(Append(nil, want...))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %#v\nwant %#v", got, want)
	}
}

func TestDecodeOddForms(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want any
	}{
		"ECMA array with a wrong count": {"\x08\xff\xff\xff\xff\x00\x01a\x05\x00\x00\x09", Object{{"a", nil}}},
		"typed object":                  {"\x10\x00\x01C\x00\x01a\x01\x01\x00\x00\x09", Object{{"a", true}}},
		"reference":                     {"\x07\x00\x01", Undefined{}},
		"unsupported":                   {"\x0d", Undefined{}},
		"XML document":                  {"\x0f\x00\x00\x00\x03<x>", "<x>"},
		"date out of range":             {"\x0b\x7f\xf0\x00\x00\x00\x00\x00\x00\x00\x00", Date(time.UnixMilli(0).UTC())},
	} {
		got, err := Decode([]byte(c.in))
		if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], c.want) {
			t.Errorf("%s: got %#v, %v, want %#v", name, got, err, c.want)
		}
	}
}

func nested(depth int) []byte {
	return bytes.Repeat([]byte("\x03\x00\x01a"), depth)
}

// hostile holds the messages that ended or filled processes which trusted the lengths in them.
var hostile = map[string]struct {
	in   []byte
	want error
}{
	"array of 0x7fffffff values":   {[]byte("\x0a\x7f\xff\xff\xff\x05"), ErrTruncated},
	"array of 0xffffffff values":   {[]byte("\x0a\xff\xff\xff\xff"), ErrTruncated},
	"objects 2 M deep":             {nested(2 << 20), ErrTooDeep},
	"arrays 2 M deep":              {bytes.Repeat([]byte("\x0a\x00\x00\x00\x01"), 2<<20), ErrTooDeep},
	"8 M nulls":                    {append(binary.BigEndian.AppendUint32([]byte{markerStrictArray}, 8<<20), bytes.Repeat([]byte{markerNull}, 8<<20)...), ErrTooMany},
	"long string of 4 GiB":         {[]byte("\x0c\xff\xff\xff\xffabc"), ErrTruncated},
	"string past the end":          {[]byte("\x02\x00\x05abc"), ErrTruncated},
	"object without end":           {[]byte("\x03\x00\x01a\x05"), ErrTruncated},
	"object end alone":             {[]byte("\x09"), ErrMarker},
	"movie clip":                   {[]byte("\x04"), ErrMarker},
	"AMF3":                         {[]byte("\x11\x0a"), ErrAMF3},
	"number cut short":             {[]byte("\x00\x00"), ErrTruncated},
	"boolean without its value":    {[]byte("\x01"), ErrTruncated},
	"reference without its number": {[]byte("\x07\x00"), ErrTruncated},
}

func TestDecodeRefusesHostileMessages(t *testing.T) {
	for name, c := range hostile {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Decode(c.in)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
			t.Errorf("%s: decoding allocated %d bytes", name, used)
		}
	}
}

func TestDecodeKeepsWhatCameBeforeTheError(t *testing.T) {
	got, err := Decode(append(Append(nil, "connect", 1.0), 0x0a, 0x7f, 0xff, 0xff, 0xff))
	if err == nil || len(got) != 2 || got[0] != "connect" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestGet(t *testing.T) {
	o := Object{{"a", 1.0}, {"b", 2.0}, {"a", 3.0}}
	if o.Get("a") != 3.0 || o.Get("b") != 2.0 || o.Get("c") != nil {
		t.Errorf("a = %v, b = %v, c = %v", o.Get("a"), o.Get("b"), o.Get("c"))
	}
}

// What Decode accepts, Append writes so that it decodes to the same values.
func FuzzDecode(f *testing.F) {
	for _, c := range hostile {
		if len(c.in) < 1<<10 {
			f.Add(c.in)
		}
	}
	f.Add(Append(nil, "onMetaData", Object{{"width", 1280.0}, {"videocodecid", "avc1"}}, Array{nil, true}))
	f.Add([]byte("\x08\x00\x00\x00\x00\x00\x00\x09"))
	f.Fuzz(func(t *testing.T, in []byte) {
		values, err := Decode(in)
		if err != nil {
			return
		}
		once := Append(nil, values...)
		again, err := Decode(once)
		if err != nil {
			t.Fatalf("own encoding does not decode: %v", err)
		}
		if twice := Append(nil, again...); !bytes.Equal(once, twice) {
			t.Fatalf("encoding is not stable:\n%x\n%x", once, twice)
		}
	})
}
