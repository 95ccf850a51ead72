package av

// #include <stdlib.h>
// #include "shim.h"
import "C"

import "unsafe"

// What tests need of C, which test files cannot import.

// logLine speaks as libav.
func logLine(level int, text string) {
	c := C.CString(text)
	defer C.free(unsafe.Pointer(c))
	C.nova_log_test(C.int(level), c)
}

// resetLogWindow begins a new second.
func resetLogWindow() { C.nova_log_reset() }

func int32Code(c Code) C.int { return C.int(c) }

// allocPicture is a grey 4:2:0 picture.
func allocPicture(width, height int) *C.AVFrame {
	return C.nova_frame_grey(C.int(width), C.int(height))
}
