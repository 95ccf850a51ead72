package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"nova/bench"
	"nova/internal/lifecycle"
	"nova/internal/obs"
)

type benchCommand struct {
	Scenarios []string `arg:"" optional:"" help:"transcode, start; all where none is named." enum:"transcode,start"`
	Clip      string   `help:"The clip; H.264 and AAC in MP4." default:"${clip}" env:"NOVA_CLIP"`
	Runs      int      `help:"Pairs of each scenario." default:"5"`
	Out       string   `help:"Where the reports go." default:"bench/results"`
}

var scenarios = []struct {
	name string
	run  func(context.Context, bench.Options) (*bench.Report, error)
}{
	{"transcode", bench.Transcode},
	{"start", bench.Start},
}

// Run measures, prints and saves each scenario.
func (c benchCommand) Run() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, cancel := lifecycle.Signals(obs.NewLogger(os.Stderr, 0), os.Exit)
	defer cancel()
	o := bench.Options{
		Nova: self, FFmpeg: ffmpegPath(), Clip: c.Clip, Runs: c.Runs, Version: version, Progress: os.Stderr,
	}
	for _, s := range scenarios {
		if len(c.Scenarios) > 0 && !slices.Contains(c.Scenarios, s.name) {
			continue
		}
		fmt.Fprintln(os.Stderr, "scenario", s.name)
		report, err := s.run(ctx, o)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		report.Print(os.Stdout)
		if err := report.Save(c.Out); err != nil {
			return fmt.Errorf("cannot save the report: %w", err)
		}
	}
	return nil
}
