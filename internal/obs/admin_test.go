package obs

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func TestReadiness(t *testing.T) {
	var ready Readiness
	mux := http.NewServeMux()
	HandleHealth(mux, &ready, NewRegistry())
	var broken error
	ready.Add("s3", func(context.Context) error { return broken })

	if w := get(t, mux, "/ready"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"s3":"ok"`) {
		t.Errorf("healthy: %d %s", w.Code, w.Body)
	}
	broken = errors.New("connection refused")
	if w := get(t, mux, "/ready"); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "refused") {
		t.Errorf("broken: %d %s", w.Code, w.Body)
	}
	if w := get(t, mux, "/health"); w.Code != http.StatusOK {
		t.Errorf("a process with a broken dependency is alive all the same, got %d", w.Code)
	}
	broken = nil
	ready.Stopping()
	if w := get(t, mux, "/ready"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("a stopping process must not be ready, got %d", w.Code)
	}
	if w := get(t, mux, "/metrics"); !strings.Contains(w.Body.String(), "go_goroutines") {
		t.Error("no runtime metrics")
	}
	if w := get(t, mux, "/debug/pprof/"); w.Code != http.StatusNotFound {
		t.Errorf("profiles must not be beside the metrics, got %d", w.Code)
	}
}
