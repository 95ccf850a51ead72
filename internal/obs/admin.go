package obs

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// NewRegistry is a metrics registry with the Go runtime's and the process's own figures.
func NewRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// Readiness is the answer of /ready: every dependency with its own state. Safe for concurrent use.
type Readiness struct {
	mu struct {
		sync.Mutex
		checks   map[string]func(context.Context) error
		stopping bool
	}
}

// Add registers the check of one dependency. It has two seconds to answer.
func (r *Readiness) Add(name string, check func(context.Context) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.checks == nil {
		r.mu.checks = map[string]func(context.Context) error{}
	}
	r.mu.checks[name] = check
}

// Stopping makes the process not ready for good, so that load balancers send nothing new.
func (r *Readiness) Stopping() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.stopping = true
}

type readyAnswer struct {
	Ready  bool              `json:"ready"`
	Checks map[string]string `json:"checks"`
}

// ServeHTTP answers 200 where every check passes, else 503, with the state of each.
func (r *Readiness) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	answer := r.Check(req.Context())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !answer.Ready {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(answer) // the client has gone where this fails
}

// Check asks every dependency at once.
func (r *Readiness) Check(ctx context.Context) readyAnswer {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	r.mu.Lock()
	answer := readyAnswer{Ready: !r.mu.stopping, Checks: map[string]string{}}
	results := make(chan [2]string, len(r.mu.checks))
	for name, check := range r.mu.checks {
		// Owns: nothing. Ends when: the check returns, two seconds at most. Waited for by: the loop below.
		go runCheck(ctx, name, check, results)
	}
	n := len(r.mu.checks)
	r.mu.Unlock()
	for range n {
		result := <-results
		answer.Checks[result[0]] = result[1]
		answer.Ready = answer.Ready && result[1] == "ok"
	}
	return answer
}

func runCheck(ctx context.Context, name string, check func(context.Context) error, results chan<- [2]string) {
	state := "ok"
	if err := check(ctx); err != nil {
		state = err.Error()
	}
	results <- [2]string{name, state}
}

// HandleHealth adds /health, /ready and /metrics to a mux.
func HandleHealth(mux *http.ServeMux, ready *Readiness, gatherer prometheus.Gatherer) {
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write([]byte(`{"alive":true}` + "\n"))
	})
	mux.Handle("GET /ready", ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{}))
}

// HandleProfiles adds /debug/pprof to a mux: for the admin listener only.
func HandleProfiles(mux *http.ServeMux) {
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
}
