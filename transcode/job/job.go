// Package job is what the supervisor of transcodes and its child processes say to each other, besides the media
// itself.
//
//	supervisor ──stdin: Spec (one JSON line), then relay items──▶ worker
//	supervisor ◀──stdout: relay items, fd 3: Report (JSON lines), stderr: log (JSON lines)── worker
package job

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"nova/internal/media"
	"nova/transcode/ladder"
)

// IDs of the worker's tracks besides the rungs', which have the short side of their picture: the same after a
// restart.
const (
	PosterID = 1
	AudioID  = 2
)

// maxSpec bounds the line that carries a Spec.
const maxSpec = 1 << 20

// Spec is all that a worker is told.
type Spec struct {
	// Stream is the stream's public id, for the log.
	Stream   string     `json:"stream"`
	LogLevel slog.Level `json:"log_level"`
	// Encoder is libx264, h264_nvenc or hevc_nvenc; Preset is in the encoder's own words.
	Encoder string `json:"encoder"`
	Preset  string `json:"preset"`
	// GPU is the index of the card that NVENC encodes on.
	GPU int `json:"gpu"`
	// Threads is per encoder, DecodeThreads for the video decoder.
	Threads       int `json:"threads"`
	DecodeThreads int `json:"decode_threads"`
	// KeyframeInterval bounds the distance between keyframes, PosterInterval is the time between posters.
	KeyframeInterval time.Duration `json:"keyframe_interval"`
	PosterInterval   time.Duration `json:"poster_interval"`
	// AudioBitrate is the shared audio's, in bits a second.
	AudioBitrate int `json:"audio_bitrate"`
	// Rungs is the ladder to make of Source. Ladder and Cores (0: no limit) rule a new plan when the source
	// changes its shape.
	Rungs  []ladder.Rung `json:"rungs"`
	Source ladder.Source `json:"source"`
	Ladder ladder.Config `json:"ladder"`
	Cores  float64       `json:"cores"`
	// Resume holds, by track name, the PTS up to which a worker before this one has published.
	Resume map[string]int64 `json:"resume"`
}

// Write sends s as one line.
func (s Spec) Write(w io.Writer) error {
	line, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("cannot write the job: %w", err)
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// ReadSpec reads the line that Write sent; what follows it stays in r.
func ReadSpec(r *bufio.Reader) (Spec, error) {
	var line []byte
	for !bytes.HasSuffix(line, []byte{'\n'}) {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return Spec{}, fmt.Errorf("cannot read the job: %w", noEOF(err))
		}
		if len(line) > maxSpec {
			return Spec{}, fmt.Errorf("cannot read the job: longer than %d bytes", maxSpec)
		}
	}
	var s Spec
	if err := json.Unmarshal(line, &s); err != nil {
		return Spec{}, fmt.Errorf("cannot read the job: %w", err)
	}
	return s, nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Report is what a worker tells about itself once a second.
type Report struct {
	// Speed is how many times faster than real time the busiest stage could go: media seconds done divided by
	// the seconds that it was at work. 0 while nothing was done.
	Speed float64 `json:"speed"`
	// Lag is how long ago the newest picture given out had arrived at ingest, in seconds; 0 when there is
	// nothing left to do.
	Lag float64 `json:"lag"`
	// Skipped counts the pictures that were decoded and left out, since a worker before this one has published
	// them: while it grows, the worker is on its way.
	Skipped int64 `json:"skipped"`
	// FramesInUse counts decoded frames that are held anywhere.
	FramesInUse int64 `json:"frames_in_use"`
	// Queues is the depth of each of the worker's queues, by the stage that reads it.
	Queues map[string]int `json:"queues"`
	// Errors counts errors since the worker's start by kind.
	Errors map[string]uint64 `json:"errors"`
	// Rungs are being made, Shed were given up because the machine is too slow.
	Rungs []string `json:"rungs"`
	Shed  []string `json:"shed"`
	// Refused is set where the job can never be done, whoever tries again: why.
	Refused string `json:"refused,omitempty"`
}

// ErrorKinds are the keys of Report.Errors.
var ErrorKinds = []string{"video_decode", "video_concealed", "audio_decode", "scale", "poster", "input"}

// PassAudio tells whether players can be given this sound as it is: AAC-LC with one or two channels.
func PassAudio(cfg *media.CodecConfig) bool {
	const objectAACLC = 2 // ISO/IEC 14496-3 Table 1.17
	if cfg == nil || cfg.Codec != media.AAC || cfg.Channels < 1 || cfg.Channels > 2 || cfg.FrameSamples > 1024 {
		return false
	}
	asc := cfg.AudioSpecificConfig
	return len(asc) >= 2 && asc[0]>>3 == objectAACLC
}
