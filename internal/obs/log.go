// Package obs is how every service is observed: one logger, one metrics registry, health and readiness.
package obs

import (
	"io"
	"log/slog"
)

// Keys of log attributes. A stream key never appears in a log; a stream's public id does.
const (
	KeyComp      = "comp"
	KeyStream    = "stream"
	KeySession   = "session"
	KeyTrack     = "track"
	KeyRendition = "rendition"
	KeyRemote    = "remote"
	KeyErr       = "err"
	KeyCount     = "count"
	KeyReason    = "reason"
	KeyPath      = "path"
)

// NewLogger writes JSON lines to w.
func NewLogger(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
}

// Err is the attribute of an error.
func Err(err error) slog.Attr { return slog.Any(KeyErr, err) }
