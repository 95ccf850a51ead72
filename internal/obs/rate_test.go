package obs

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRepeatedWritesOneLineASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		r := NewRepeated(NewLogger(&out, slog.LevelInfo), slog.LevelWarn, "bad frame")
		for range 1000 {
			r.Add(errors.New("first"))
		}
		time.Sleep(time.Second) // the bubble's clock
		r.Add(errors.New("last"))
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 2 {
			t.Fatalf("%d lines for 1001 events in two seconds, want 2:\n%s", len(lines), out.String())
		}
		if !strings.Contains(lines[1], `"count":1000`) || !strings.Contains(lines[1], "last") {
			t.Errorf("second line %s", lines[1])
		}
	})
}
