package bench

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSummarize(t *testing.T) {
	s := Summarize([]float64{4, 1, 3, 2, 5})
	if s.N != 5 || s.Min != 1 || s.Median != 3 || s.Max != 5 || s.P95 != 4.8 {
		t.Errorf("%+v", s)
	}
	if s := Summarize([]float64{7}); s.Median != 7 || s.P95 != 7 {
		t.Errorf("one sample: %+v", s)
	}
	if s := Summarize(nil); s.N != 0 {
		t.Errorf("no sample: %+v", s)
	}
}

func TestSaveKeepsTheMachine(t *testing.T) {
	dir := t.TempDir()
	r := Report{Scenario: "x", Machine: ThisMachine(), Rows: []Row{{Name: "ratio", Summary: Summarize([]float64{1})}}}
	if err := r.Save(dir); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "x.json"))
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(raw, &back); err != nil || back.Machine.Cores == 0 || back.Rows[0].Median != 1 {
		t.Errorf("%v %+v", err, back)
	}
	text, err := os.ReadFile(filepath.Join(dir, "x.md"))
	if err != nil || !strings.Contains(string(text), "| ratio |") {
		t.Errorf("%v %s", err, text)
	}
}
