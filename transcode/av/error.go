package av

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"

	"github.com/asticode/go-astiav"
)

// Code is a libav error code. Compare with errors.Is.
type Code int

// The codes that callers branch on.
const (
	// ErrAgain tells that the object wants more input, or that its output must be taken first.
	ErrAgain = Code(-C.EAGAIN)
	// ErrEOF tells that an object was flushed and has nothing left.
	ErrEOF = Code(C.AVERROR_EOF)
	// ErrInvalidData tells that coded data is damaged. The object goes on with the next packet.
	ErrInvalidData = Code(C.AVERROR_INVALIDDATA)
	// ErrNoMemory tells that an allocation failed.
	ErrNoMemory = Code(-C.ENOMEM)
	// ErrInvalid tells that a parameter is out of range.
	ErrInvalid = Code(-C.EINVAL)
	// ErrNotSupported tells that this build or this device cannot do it.
	ErrNotSupported = Code(-C.ENOSYS)
	// ErrExternal tells that a library behind libav (x264, CUDA) failed.
	ErrExternal = Code(C.AVERROR_EXTERNAL)
	// ErrNoDecoder and ErrNoEncoder tell that libav was built without it.
	ErrNoDecoder = Code(C.AVERROR_DECODER_NOT_FOUND)
	ErrNoEncoder = Code(C.AVERROR_ENCODER_NOT_FOUND)
)

func (c Code) Error() string {
	var buf [128]C.char
	C.av_strerror(C.int(c), &buf[0], C.size_t(len(buf)))
	return C.GoString(&buf[0])
}

// Error is a failed call of libav.
type Error struct {
	// Op says what could not be done: "open encoder libx264".
	Op   string
	Code Code
}

func (e *Error) Error() string { return fmt.Sprintf("cannot %s: %v", e.Op, e.Code) }

// Unwrap makes errors.Is(err, ErrInvalidData) and the like work.
func (e *Error) Unwrap() error { return e.Code }

// check turns a return value into an error. ErrAgain and ErrEOF steer loops and come bare, without allocation.
func check(op string, ret C.int) error {
	switch code := Code(ret); {
	case ret >= 0:
		return nil
	case code == ErrAgain, code == ErrEOF:
		return code
	default:
		return &Error{Op: op, Code: code}
	}
}

// wrap is check for the calls that go through go-astiav.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	var code astiav.Error
	if errors.As(err, &code) {
		return check(op, C.int(code))
	}
	return fmt.Errorf("cannot %s: %w", op, err)
}
