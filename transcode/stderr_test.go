package transcode

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"nova/internal/obs"
)

func relogged(t *testing.T, in string) (lines *logBuffer, dropped float64) {
	t.Helper()
	lines = &logBuffer{}
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "dropped"})
	l := relog{log: obs.NewLogger(lines, slog.LevelInfo).With(obs.KeyStream, "demo"), dropped: c}
	l.run(strings.NewReader(in))
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return lines, m.GetCounter().GetValue()
}

func TestRelog(t *testing.T) {
	lines, _ := relogged(t, `{"time":"x","level":"ERROR","msg":"broken","stream":"forged","object":"h264"}`+"\n"+
		`{"level":"DEBUG","msg":"quiet"}`+"\n"+"plain text\n"+"\n"+`{"no":"message"}`+"\n"+"no newline at the end")
	broken := lines.lines("broken")
	if len(broken) != 1 || broken[0]["level"] != "ERROR" || broken[0]["stream"] != "demo" || broken[0]["object"] != "h264" {
		t.Errorf("the JSON line came as %v", broken)
	}
	if len(lines.lines("quiet")) != 0 {
		t.Error("a line below the level was logged")
	}
	plain := lines.lines("worker wrote")
	if len(plain) != 3 || plain[0]["text"] != "plain text" || plain[2]["text"] != "no newline at the end" {
		t.Errorf("the other lines came as %v", plain)
	}
}

func TestRelogIsBounded(t *testing.T) {
	lines, dropped := relogged(t, strings.Repeat("x", 1<<20)+"\n"+strings.Repeat("stack\n", 1000))
	plain := lines.lines("worker wrote")
	if len(plain) != maxPlainLines || dropped != 1001-maxPlainLines {
		t.Errorf("%d lines are kept and %v dropped", len(plain), dropped)
	}
	if n := len(plain[0]["text"].(string)); n > maxLogLine {
		t.Errorf("a line of %d bytes is kept", n)
	}
}

func FuzzRelog(f *testing.F) {
	f.Add(`{"level":"INFO","msg":"x","a":{"b":[1,2]}}` + "\n")
	f.Add("\x00\xff\n{\"msg\":1}\n{\"msg\":null,\"level\":3}\n")
	f.Fuzz(func(t *testing.T, in string) {
		lines, _ := relogged(t, in)
		for line := range strings.Lines(lines.String()) {
			if !strings.HasPrefix(line, `{"time":`) {
				t.Fatalf("the log was broken by %q: %q", in, line)
			}
		}
	})
}
