package av

// #include "shim.h"
import "C"

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"

	"nova/internal/obs"
)

// logger is where libav's lines go; nil drops them. One a process, as libav has one callback a process.
var logger atomic.Pointer[slog.Logger]

// Until SetLog is called libav is silent: a library does not write on the process's standard error.
func init() { C.nova_log_install(C.AV_LOG_ERROR) }

// SetLog forwards libav's log lines to log: its errors, and its warnings and information too where log is
// enabled for debug. At most 20 lines pass in a second; the next one tells how many did not. nil silences libav.
func SetLog(log *slog.Logger) {
	logger.Store(log)
	level := C.int(C.AV_LOG_ERROR)
	if log != nil && log.Enabled(context.Background(), slog.LevelDebug) {
		level = C.AV_LOG_INFO
	}
	C.nova_log_install(level)
}

//export novaLogLine
func novaLogLine(level C.int, name, line *C.char, suppressed C.int) {
	log := logger.Load()
	if log == nil {
		return
	}
	text := strings.ToValidUTF8(strings.TrimSpace(C.GoString(line)), "?")
	log.LogAttrs(context.Background(), slogLevel(int(level)), "libav reports", slog.String(obs.KeyComp, "libav"),
		slog.String("text", text), slog.String("object", C.GoString(name)), slog.Int("suppressed", int(suppressed)))
}

func slogLevel(level int) slog.Level {
	switch {
	case level <= C.AV_LOG_ERROR:
		return slog.LevelError
	case level <= C.AV_LOG_WARNING:
		return slog.LevelWarn
	default:
		return slog.LevelDebug
	}
}
