package transcode

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"nova/internal/media"
	"nova/internal/relay"
	"nova/transcode/job"
	"nova/transcode/ladder"
)

// What the observer waits for before the first plan.
const (
	// ratePictures is how many pictures tell the frame rate of a source that does not state it.
	ratePictures = 8
	// observeLimit ends the wait for a frame rate, or for a picture at all.
	observeLimit = 700 * time.Millisecond
)

// demand is what decides whether a worker is needed, and which ladder it makes: another demand, another worker.
type demand struct {
	video    bool
	passable bool
	audio    bool // must be encoded
}

// outdated tells that a worker for d does not do for now. With a picture the sound is the worker's own matter.
func (d demand) outdated(now demand) bool {
	if d.video && now.video {
		return d.passable != now.passable
	}
	return d != now
}

// observer learns of a source what the plan needs. Safe for concurrent use.
type observer struct {
	// passthrough tells that sources are passed where they can be.
	passthrough bool

	mu struct {
		sync.Mutex
		tracks []media.Track
		// stamps are the first pictures' times, until there are ratePictures of them.
		stamps []int64
		rate   media.Rational
		key    int64
		keyed  bool
		gop    time.Duration
		began  time.Time
		// planned is the demand that the worker at hand was started for; changed is closed when it differs.
		planned  demand
		watching bool
		changed  chan struct{}
	}
}

func newObserver(passthrough bool) *observer {
	o := &observer{passthrough: passthrough}
	o.mu.changed = make(chan struct{})
	return o
}

// see takes the source's next item.
func (o *observer) see(item relay.Item) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.mu.began.IsZero() {
		o.mu.began = time.Now()
	}
	if item.Lost > 0 {
		o.mu.keyed = false // keyframes are among what is missing
	}
	if item.Unit == nil {
		o.mu.tracks = item.Tracks
	} else if t, ok := trackByID(o.mu.tracks, item.Unit.Track); ok && t.Kind == media.Video {
		o.picture(t, item.Unit)
	}
	if o.mu.watching && o.mu.planned.outdated(o.demand()) {
		o.mu.watching = false
		close(o.mu.changed)
	}
}

// picture, demand and source need mu.
func (o *observer) picture(t media.Track, u *media.AccessUnit) {
	if u.Config != nil && u.Config != t.Config {
		o.mu.tracks = slices.Clone(o.mu.tracks)
		for i := range o.mu.tracks {
			if o.mu.tracks[i].ID == t.ID {
				o.mu.tracks[i].Config = u.Config
			}
		}
	}
	if len(o.mu.stamps) < ratePictures {
		o.mu.stamps = append(o.mu.stamps, u.PTS)
		o.mu.rate = frameRate(o.mu.stamps, t.Timescale)
	}
	o.mu.keyed = o.mu.keyed && !u.Discontinuity // the clock jumped: no distance tells anything
	if o.mu.keyed {
		o.mu.gop = max(o.mu.gop, media.Duration(u.PTS-o.mu.key, t.Timescale))
	}
	if u.Key {
		o.mu.keyed, o.mu.key = true, u.PTS
	}
}

// commonRates are what cameras and encoders make.
var commonRates = []media.Rational{
	{Num: 24, Den: 1},
	{Num: 25, Den: 1},
	{Num: 30, Den: 1},
	{Num: 50, Den: 1},
	{Num: 60, Den: 1},
	{Num: 24000, Den: 1001},
	{Num: 30000, Den: 1001},
	{Num: 60000, Den: 1001},
	{Num: 15, Den: 1},
	{Num: 20, Den: 1},
	{Num: 48, Den: 1},
	{Num: 120, Den: 1},
}

// frameRate is the rate of pictures at these times, in any order, of which some may be missing. It is the common
// rate next to it where that is within 1 %.
func frameRate(stamps []int64, timescale int) media.Rational {
	if len(stamps) < ratePictures {
		return media.Rational{}
	}
	step, steady := meanStep(slices.Sorted(slices.Values(stamps)))
	if step <= 0 {
		return media.Rational{}
	}
	rate := float64(timescale) / step
	best, off := media.Rational{Num: timescale, Den: int(step)}, 0.01
	if whole := math.Round(rate); math.Abs(whole/rate-1) < off {
		best = media.Rational{Num: int(whole), Den: 1}
	}
	for _, common := range commonRates {
		d := math.Abs(common.Float()/rate - 1)
		if !steady && common.Den != 1 {
			d += blur
		}
		if d < off-1e-6 {
			best, off = common, d
		}
	}
	return best
}

// blur is how far a clock in milliseconds is off over ratePictures: 24 and 24000/1001 look the same.
const blur = 0.005

// meanStep is the mean of the distances that are near the median; steady tells that they are all alike.
func meanStep(sorted []int64) (mean float64, steady bool) {
	steps := make([]int64, 0, len(sorted))
	for i := 1; i < len(sorted); i++ {
		steps = append(steps, sorted[i]-sorted[i-1])
	}
	slices.Sort(steps)
	median := steps[len(steps)/2]
	var sum, n int64
	for _, step := range steps {
		if step*2 > median && step*2 < median*3 {
			sum, n = sum+step, n+1
		}
	}
	return float64(sum) / float64(max(n, 1)), steps[len(steps)-1]-steps[0] <= 2
}

// video is the track to make renditions of.
func (o *observer) video() (media.Track, bool) {
	for _, t := range o.mu.tracks {
		if t.Kind == media.Video && t.Config != nil {
			return t, true
		}
	}
	return media.Track{}, false
}

func (o *observer) source() (ladder.Source, bool) {
	t, ok := o.video()
	if !ok {
		return ladder.Source{}, false
	}
	src := ladder.NewSource(t.Config, t.Bitrate)
	src.GOP = o.mu.gop
	if stated := src.FrameRate.Float(); stated < 1 || stated > 240 {
		src.FrameRate = o.mu.rate
	}
	return src, true
}

func (o *observer) demand() demand {
	var d demand
	var src ladder.Source
	if src, d.video = o.source(); d.video {
		d.passable = o.passthrough && src.Passable()
	}
	for _, t := range o.mu.tracks {
		d.audio = d.audio || t.Kind == media.Audio && t.Config != nil && !job.PassAudio(t.Config)
	}
	return d
}

// ready tells that a plan can be made: the picture's size and rate are known, or will not be for a while.
func (o *observer) ready(now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	src, ok := o.source()
	if ok && src.FrameRate.Float() > 0 {
		return true
	}
	return !o.mu.began.IsZero() && now.Sub(o.mu.began) >= observeLimit
}

// plan is what is known now; from here on stale tells when the demand is another one.
func (o *observer) plan() (ladder.Source, demand) {
	o.mu.Lock()
	defer o.mu.Unlock()
	src, _ := o.source()
	o.mu.planned, o.mu.watching, o.mu.changed = o.demand(), true, make(chan struct{})
	return src, o.mu.planned
}

// stale is closed when what was planned last does not fit any more.
func (o *observer) stale() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.mu.changed
}

// await waits until a plan can be made, and tells whether one can: not where ctx has ended, and not where the
// source has, without a word.
func (o *observer) await(ctx context.Context, ended <-chan struct{}) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !o.ready(time.Now()) {
		select {
		case <-tick.C:
		case <-ended:
			return o.began()
		case <-ctx.Done():
			return false
		}
	}
	return ctx.Err() == nil
}

func (o *observer) began() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.mu.began.IsZero()
}
