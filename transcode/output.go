package transcode

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"nova/internal/media"
	"nova/internal/obs"
)

// publisher is where renditions go: a *relay.Stream.
type publisher interface {
	SetTracks(tracks []media.Track)
	Write(u *media.AccessUnit)
}

// output publishes what one worker after another makes of a stream, as if one had made it all: units that are
// out already are dropped, an unchanged configuration stays the same pointer, and a changed one is flagged.
//
// Owned by the goroutine that reads the worker's output; between two workers by the stream.
type output struct {
	// set by newOutput
	to      publisher
	metrics *metrics
	log     *slog.Logger

	align  aligner
	tracks []media.Track
	lanes  map[string]*outLane
}

// outLane is what is known of a track by name, over all workers.
type outLane struct {
	timescale int
	cfg       *media.CodecConfig
	began     bool
	pts, dts  int64
	// step is the last distance between two units in ticks.
	step int64
	// resumed tells that no unit of the worker at hand is out yet.
	resumed bool
}

func newOutput(to publisher, m *metrics, log *slog.Logger) *output {
	return &output{to: to, metrics: m, log: log, lanes: map[string]*outLane{}}
}

// setTracks announces a worker's track list. The sound and the poster of workers before it stay on the list: this one
// has only not come to them yet.
func (o *output) setTracks(tracks []media.Track) {
	tracks = slices.Clone(tracks)
	for _, old := range o.tracks {
		if _, there := trackByID(tracks, old.ID); !there && old.Kind != media.Video {
			tracks = append(tracks, old)
		}
	}
	var rungs []int
	for i, t := range tracks {
		lane := o.lanes[t.Name]
		if lane == nil || lane.timescale != t.Timescale {
			lane = &outLane{timescale: t.Timescale}
			o.lanes[t.Name] = lane
		}
		if _, there := trackByID(o.tracks, t.ID); !there {
			lane.resumed = false // it comes back after it was given up, which is no gap of a restart
		}
		switch {
		case lane.cfg == nil:
			lane.cfg = t.Config
		case lane.cfg.Equal(t.Config):
			tracks[i].Config = lane.cfg
		}
		if t.Kind == media.Video {
			rungs = append(rungs, t.ID)
		}
	}
	o.align.setTracks(rungs)
	if o.tracks != nil && slices.Equal(o.tracks, tracks) {
		return
	}
	o.tracks = tracks
	o.to.SetTracks(tracks)
	o.log.Info("renditions", slog.Any("tracks", names(tracks)))
}

// unit takes a unit from the worker, and fails where the worker talks nonsense.
func (o *output) unit(u *media.AccessUnit) error {
	if _, ok := trackByID(o.tracks, u.Track); !ok {
		return fmt.Errorf("a unit of track %d, which was not announced", u.Track)
	}
	for _, ready := range o.align.push(u) {
		o.publish(ready)
	}
	return nil
}

func (o *output) publish(u *media.AccessUnit) {
	t, ok := trackByID(o.tracks, u.Track)
	if !ok {
		return
	}
	lane := o.lanes[t.Name]
	if lane.began && u.DTS <= lane.dts {
		o.metrics.dropped.WithLabelValues("repeated").Inc()
		return
	}
	if lane.resumed {
		o.measureGap(t, lane, u)
		lane.resumed = false
	}
	switch {
	case lane.cfg.Equal(u.Config):
		u.Config = lane.cfg
	default:
		lane.cfg = u.Config
		u.Discontinuity = u.Discontinuity || lane.began
	}
	if lane.began {
		lane.step = u.DTS - lane.dts
	}
	lane.began, lane.pts, lane.dts = true, max(lane.pts, u.PTS), u.DTS
	o.to.Write(u)
}

// measureGap records what is missing between two workers. Units come at a steady pace, so that one step from the
// last one to the first is no gap.
func (o *output) measureGap(t media.Track, lane *outLane, u *media.AccessUnit) {
	if t.Kind != media.Video || !lane.began {
		return
	}
	gap := max(media.Duration(u.DTS-lane.dts-lane.step, t.Timescale), 0)
	if gap < 2*time.Millisecond { // rounding of time stamps
		gap = 0
	}
	o.metrics.gap.Observe(gap.Seconds())
	o.log.Info("rendition goes on after a restart", slog.String(obs.KeyRendition, t.Name), slog.Duration("missing", gap))
}

// finish publishes what the aligner holds where the worker has finished, and forgets it where it died: its
// successor makes it anew.
func (o *output) finish(clean bool) {
	if clean {
		for _, u := range o.align.flush() {
			o.publish(u)
		}
	}
	o.align.reset()
	for _, lane := range o.lanes {
		lane.resumed = true
	}
}

// resume is, by track name, the time up to which all is out.
func (o *output) resume() map[string]int64 {
	at := make(map[string]int64, len(o.lanes))
	for name, lane := range o.lanes {
		if lane.began {
			at[name] = lane.pts
		}
	}
	return at
}

// published is the time up to which every track that needs its past is out; false where nothing is yet.
func (o *output) published() (at time.Duration, ok bool) {
	for _, t := range o.tracks {
		lane := o.lanes[t.Name]
		if t.Kind == media.Image {
			continue
		}
		if !lane.began {
			return 0, false
		}
		reached := media.Duration(lane.pts, lane.timescale)
		if t.Kind == media.Audio {
			reached -= soundAhead
		}
		if !ok || reached < at {
			at, ok = reached, true
		}
	}
	return at, ok
}

// soundAhead is how far sound may be ahead of the picture in the order of arrival: so much of it is kept from
// before the keyframe that a worker is restarted at.
const soundAhead = time.Second

// lastPictures is what may be missing at the end of a stream that is all out: pictures that a rung's frame rate has
// no room for.
const lastPictures = 200 * time.Millisecond

// behind tells that a rung, or the sound where there are no rungs, has not come to the source's last unit at end.
func (o *output) behind(end time.Duration) bool {
	video := hasVideo(o.tracks)
	for _, t := range o.tracks {
		if t.Kind == media.Image || video && t.Kind != media.Video {
			continue
		}
		lane := o.lanes[t.Name]
		if !lane.began || media.Duration(lane.pts, lane.timescale) < end-lastPictures {
			return true
		}
	}
	return len(o.tracks) == 0
}

func names(tracks []media.Track) []string {
	list := make([]string, len(tracks))
	for i, t := range tracks {
		list[i] = t.Name
	}
	return list
}
