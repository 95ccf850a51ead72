// Command nova is the whole of Nova in one binary: every service, the development stack, the worker that a
// transcode runs in, and the tools of an operator.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/alecthomas/kong"
)

// version is set by the linker.
var version = "dev"

type cli struct {
	Dev             devCommand     `cmd:"" help:"Run everything in one process, with embedded servers for what the configuration does not name."`
	Demo            demoCommand    `cmd:"" help:"Publish a clip in a loop, as a broadcaster would."`
	Bench           benchCommand   `cmd:"" help:"Measure beside a peer; prints ratios with percentiles."`
	Keys            keysCommand    `cmd:"" help:"Make a stream key and the entry that allows it."`
	Config          configCommand  `cmd:"" help:"Show or check the configuration."`
	TranscodeWorker workerCommand  `cmd:"" hidden:"" help:"One transcode, on standard input and output; started by the transcode service."`
	Version         versionCommand `cmd:"" help:"Print the version."`
}

type versionCommand struct{}

func (versionCommand) Run() error {
	fmt.Println("nova", version)
	return nil
}

func main() {
	var c cli
	k := kong.Parse(&c,
		kong.Name("nova"),
		kong.Description("Live video: RTMP in, an aligned ladder out, playing in a browser. `nova dev` needs nothing but itself."),
		kong.UsageOnError(),
		kong.Vars{"clip": filepath.Join(cacheDir(), "clip", "video.mp4")},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err := k.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "nova: %v\n", err)
		os.Exit(1)
	}
}
