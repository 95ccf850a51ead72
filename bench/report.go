// Package bench holds Nova's macro benchmarks: each drives real programs, puts a peer or a physical limit beside
// Nova in the same run, and prints ratios with percentiles.
package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Report is one scenario's outcome with the machine that it was measured on.
type Report struct {
	Scenario string    `json:"scenario"`
	Version  string    `json:"version"`
	When     time.Time `json:"when"`
	Machine  Machine   `json:"machine"`
	Method   string    `json:"method"`
	Rows     []Row     `json:"rows"`
}

// Row is one figure.
type Row struct {
	Name string `json:"name"`
	Unit string `json:"unit"`
	// Target is what the project asks for, empty where nothing is asked.
	Target string `json:"target,omitempty"`
	Summary
}

// Summary describes a set of samples.
type Summary struct {
	N      int     `json:"n"`
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	P95    float64 `json:"p95"`
	Max    float64 `json:"max"`
}

// Summarize sorts a copy of the samples.
func Summarize(samples []float64) Summary {
	if len(samples) == 0 {
		return Summary{}
	}
	s := slices.Sorted(slices.Values(samples))
	return Summary{N: len(s), Min: s[0], Median: quantile(s, 0.5), P95: quantile(s, 0.95), Max: s[len(s)-1]}
}

// quantile interpolates between the nearest ranks of sorted samples.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	low := int(at)
	if low+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

// Machine is what a figure depends on.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
}

// ThisMachine reads /proc.
func ThisMachine() Machine {
	return Machine{
		CPU: procField("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(),
		Kernel: firstLine("/proc/sys/kernel/osrelease"), Go: runtime.Version(),
	}
}

func procField(path, name string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(raw)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func firstLine(path string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	return line
}

// Print writes the report as a Markdown table.
func (r *Report) Print(w io.Writer) {
	fmt.Fprintf(w, "\n## %s\n\n%s\n\n%s · %d cores · Linux %s · %s · %s · %s\n\n", r.Scenario, r.Method,
		r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel, r.Machine.Go, r.Version, r.When.UTC().Format(time.DateOnly))
	fmt.Fprintf(w, "| figure | unit | n | median | p95 | min | max | target |\n|---|---|---|---|---|---|---|---|\n")
	for _, row := range r.Rows {
		fmt.Fprintf(w, "| %s | %s | %d | **%.3g** | %.3g | %.3g | %.3g | %s |\n",
			row.Name, row.Unit, row.N, row.Median, row.P95, row.Min, row.Max, row.Target)
	}
}

// Save writes the report under dir as <scenario>.json and <scenario>.md.
func (r *Report) Save(dir string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // reports are for everybody
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, r.Scenario+".json"), append(raw, '\n'), 0o644); err != nil { //nolint:gosec // the same
		return err
	}
	var text strings.Builder
	r.Print(&text)
	return os.WriteFile(filepath.Join(dir, r.Scenario+".md"), []byte(strings.TrimLeft(text.String(), "\n")), 0o644) //nolint:gosec // the same
}
