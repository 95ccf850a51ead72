package av

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"nova/internal/obs"
)

const (
	levelError = 16
	levelInfo  = 32
)

// lines is what libav says during say.
func lines(t *testing.T, level slog.Level, say func()) []string {
	t.Helper()
	var out bytes.Buffer
	SetLog(obs.NewLogger(&out, level))
	t.Cleanup(func() { SetLog(nil) })
	resetLogWindow()
	say()
	return strings.Split(strings.TrimSpace(out.String()), "\n")
}

// Text of any length, with anything in it, becomes one bounded line.
func TestLogLinesAreBounded(t *testing.T) {
	for name, text := range map[string]string{
		"long":   strings.Repeat("x", 100_000),
		"format": "%s%n%s%n %d",
		"binary": "\xff\xfe\x01 \"quoted\"",
	} {
		got := lines(t, slog.LevelInfo, func() { logLine(levelError, text) })
		if len(got) != 1 || len(got[0]) > 800 || !strings.Contains(got[0], `"comp":"libav"`) {
			t.Errorf("%s: %d lines: %.900s", name, len(got), got[0])
		}
	}
}

func TestLogStormsAreThinnedOut(t *testing.T) {
	got := lines(t, slog.LevelInfo, func() {
		for range 1000 {
			logLine(levelError, "bad block")
		}
		resetLogWindow()
		logLine(levelError, "bad block")
	})
	if len(got) < 2 || len(got) > 2*20+1 {
		t.Fatalf("%d lines of 1001", len(got))
	}
	if last := got[len(got)-1]; strings.Contains(last, `"suppressed":0`) {
		t.Errorf("the last line does not count the others: %s", last)
	}
}

func TestLogLevel(t *testing.T) {
	if got := lines(t, slog.LevelInfo, func() { logLine(levelInfo, "chatter") }); got[0] != "" {
		t.Errorf("%v", got)
	}
	if got := lines(t, slog.LevelDebug, func() { logLine(levelInfo, "chatter") }); !strings.Contains(got[0], "chatter") {
		t.Errorf("%v", got)
	}
	SetLog(nil)
	logLine(levelError, "nobody listens")
}
