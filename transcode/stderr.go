package transcode

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"nova/internal/obs"
)

// Bounds of what a worker may have logged.
const (
	maxLogLine = 4 << 10
	// maxPlainLines is how many lines that are no log lines (a crash's stack) are kept of one worker.
	maxPlainLines = 30
)

// relog hands a worker's standard error on to the log of this process.
type relog struct {
	log     *slog.Logger
	dropped prometheus.Counter
	plain   int
}

// run reads lines until r ends. Longer ones than maxLogLine are cut.
func (l *relog) run(r io.Reader) {
	lines := bufio.NewReaderSize(r, maxLogLine)
	for {
		line, err := lines.ReadSlice('\n')
		if text := strings.TrimSpace(strings.ToValidUTF8(string(line), "?")); text != "" {
			l.line(text)
		}
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = lines.ReadSlice('\n')
		}
		if err != nil {
			return
		}
	}
}

func (l *relog) line(text string) {
	var fields map[string]any
	if json.Unmarshal([]byte(text), &fields) == nil && fields[slog.MessageKey] != nil {
		l.structured(fields)
		return
	}
	if l.plain++; l.plain > maxPlainLines {
		l.dropped.Inc()
		return
	}
	l.log.Warn("worker wrote", slog.String("text", text))
}

// structured logs a JSON line of the worker at its own level, without the fields that this logger adds itself.
func (l *relog) structured(fields map[string]any) {
	var level slog.Level
	text, _ := fields[slog.LevelKey].(string)
	if level.UnmarshalText([]byte(text)) != nil {
		level = slog.LevelWarn
	}
	msg, _ := fields[slog.MessageKey].(string)
	var attrs []slog.Attr
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		switch key {
		case slog.TimeKey, slog.LevelKey, slog.MessageKey, obs.KeyComp, obs.KeyStream, obs.KeySession:
		default:
			attrs = append(attrs, slog.Any(key, fields[key]))
		}
	}
	l.log.LogAttrs(context.Background(), level, msg, attrs...) //nolint:sloglint // the worker's own message
}
