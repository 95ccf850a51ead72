package main

import (
	"context"
	"os"

	"nova/transcode/worker"
)

type workerCommand struct{}

// Run is the body of a transcode child: units in on standard input, out on standard output, reports on
// descriptor 3. The parent ends it by closing its input.
func (workerCommand) Run() error {
	return worker.Main(context.Background(), os.Stdin, os.Stdout, os.NewFile(3, "reports"))
}
