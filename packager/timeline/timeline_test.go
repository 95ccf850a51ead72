package timeline

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

func seconds(s float64) int64 { return int64(math.Round(s * Clock)) }

func testConfig() Config {
	return Config{
		Target: seconds(2), Max: seconds(4), MaxGOP: seconds(4), KeyframeInterval: seconds(2),
		Wait: seconds(1.5), RungWait: seconds(4), StartWait: seconds(8),
	}
}

// event is a unit and when it arrives.
type event struct {
	track  string
	unit   Unit
	arrive int64
}

// run is a line of input: a track's units from one time to another.
//
//	source 0..10 step=0.04 keys=2 [at=1.5,3] [lag=0.5] [config=4] [break=4] [reorder=2]
type run struct {
	track          string
	from, to, step float64
	keys           float64
	at             []float64
	lag            float64
	config, breaks float64
	reorder        int64
}

func parseRun(t testing.TB, line string) run {
	f := strings.Fields(line)
	from, to, _ := strings.Cut(f[1], "..")
	r := run{track: f[0], from: number(t, from), to: number(t, to), step: 0.04, config: -1, breaks: -1}
	for _, arg := range f[2:] {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "step":
			r.step = number(t, value)
		case "keys":
			r.keys = number(t, value)
		case "at":
			for _, v := range strings.Split(value, ",") {
				r.at = append(r.at, number(t, v))
			}
		case "lag":
			r.lag = number(t, value)
		case "config":
			r.config = number(t, value)
		case "break":
			r.breaks = number(t, value)
		case "reorder":
			r.reorder = int64(number(t, value))
		default:
			t.Fatalf("unknown argument %q", arg)
		}
	}
	return r
}

func number(t testing.TB, s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatalf("not a number: %q", s)
	}
	return v
}

// events are the run's units. Times are counted in steps, so that they do not drift.
func (r run) events() []event {
	var list []event
	step := seconds(r.step)
	for n := int64(0); seconds(r.from)+n*step < seconds(r.to); n++ {
		dts := seconds(r.from) + n*step
		near := func(at float64) bool { return at >= 0 && dts >= seconds(at) && dts < seconds(at)+step }
		u := Unit{DTS: dts, PTS: dts + r.reorder*step}
		u.Key = r.keys > 0 && (dts-seconds(r.from))%seconds(r.keys) < step || slices.ContainsFunc(r.at, near)
		u.NewConfig, u.Discontinuity = near(r.config), near(r.breaks)
		list = append(list, event{r.track, u, dts + seconds(r.lag)})
	}
	return list
}

func parseFeed(t testing.TB, input string) []event {
	var all []event
	for _, line := range strings.Split(strings.TrimSpace(input), "\n") {
		all = append(all, parseRun(t, line).events()...)
	}
	return arrive(all)
}

func arrive(events []event) []event {
	slices.SortStableFunc(events, func(a, b event) int {
		return cmp.Or(cmp.Compare(a.arrive, b.arrive), cmp.Compare(a.track, b.track))
	})
	return events
}

// at shows a time in seconds, "-" where it is not set.
func at(v int64) string {
	if v <= math.MinInt64/2 || v == math.MaxInt64 {
		return "-"
	}
	return strconv.FormatFloat(float64(v)/Clock, 'f', 3, 64)
}

func (c Cut) String() string {
	by := map[Role]string{0: "nobody", Source: "source", Rung: "rung", Audio: "audio"}[c.By]
	if c.Discontinuity {
		by += " discontinuity"
	}
	return at(c.PTS) + " " + by
}

func TestTimeline(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var tl *Timeline
		told := 0
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "new":
				tl, told = New(testConfig()), 0
				tl.ExpectVideo(d.HasArg("video"))
				setTracks(tl, d.Input)
			case "track":
				setTracks(tl, d.Input)
			case "remove":
				tl.RemoveTrack(d.CmdArgs[0].Key)
			case "feed":
				for _, e := range parseFeed(t, d.Input) {
					tl.Observe(e.track, e.unit)
				}
			case "finish":
				tl.Finish(seconds(number(t, d.CmdArgs[0].Key)))
			default:
				d.Fatalf(t, "unknown command %q", d.Cmd)
			}
			var b strings.Builder
			for ; told < len(tl.Cuts()); told++ {
				fmt.Fprintf(&b, "cut %d %v\n", told, tl.Cuts()[told])
			}
			fmt.Fprintf(&b, "horizon %s rungs %s passed %v\n",
				at(tl.Horizon(Audio)), at(tl.Horizon(Rung)), tl.Passed())
			return b.String()
		})
	})
}

func setTracks(tl *Timeline, input string) {
	roles := map[string]Role{"source": Source, "rung": Rung, "audio": Audio}
	for _, line := range strings.Split(strings.TrimSpace(input), "\n") {
		if f := strings.Fields(line); len(f) == 2 {
			tl.SetTrack(f[0], roles[f[1]])
		}
	}
}

// The order in which tracks arrive within a second does not change the cuts.
func TestArrivalOrderChangesNothing(t *testing.T) {
	for name, feed := range map[string]string{
		"source rules":          "source 0..30 keys=2\n720p 0..30 keys=2\naudio 0..30 step=0.0213",
		"long GOP rules":        "source 0..30 keys=4\n720p 0..30 keys=2\naudio 0..30 step=0.0213",
		"three second GOP":      "source 0..30 keys=3\n720p 0..30 at=0,2,3,5,6,8,9,11,12,14,15,17,18,20,21,23,24,26,27,29\naudio 0..30 step=0.0213",
		"irregular GOP":         "source 0..30 at=0,0.7,1.9,3.2,6.1,7.2,11,12.6,16,17,18,19.5,23,25,27\n720p 0..30 at=0,0.7,1.9,3.2,5.2,6.1,7.2,9.2,11,12.6,14.6,16,17,18,19.5,21.5,23,25,27,29\naudio 0..30 step=0.0213",
		"GOP too long":          "source 0..30 keys=10\n720p 0..30 keys=2\n360p 0..30 keys=2\naudio 0..30 step=0.0213",
		"discontinuity":         "source 0..30 keys=2 at=9.2 break=9.2\n720p 0..30 keys=2 at=9.2\naudio 0..30 step=0.0213 break=9.1",
		"B-frames":              "source 0..30 keys=2 reorder=2\n720p 0..30 at=0.08,2.08,4.08,6.08,8.08,10.08,12.08,14.08,16.08,18.08,20.08\naudio 0..30 step=0.0213",
		"GOP becomes too long":  "source 0..30 at=0,2,4,6,8,20,22,24,26,28\n720p 0..30 keys=2\naudio 0..30 step=0.0213",
		"audio alone":           "audio 0..30 step=0.0213",
		"rungs alone":           "720p 0..30 keys=2 step=0.03337\n480p 0..30 keys=2 step=0.03337\naudio 0..30 step=0.0213",
		"source alone":          "source 0..30 keys=1.9\naudio 0..30 step=0.0213",
		"source alone, uneven":  "source 0..30 at=0,0.7,1.9,3.2,6.1,7.2,11,12.6,16,17,18,19.5,23,25,27\naudio 0..30 step=0.0213",
		"source later, no rung": "source 0.5..30 keys=2\naudio 0..30 step=0.0213",
	} {
		t.Run(name, func(t *testing.T) {
			events := parseFeed(t, feed)
			want := cutsOf(events)
			if len(want) < 8 {
				t.Fatalf("only %d cuts: %v", len(want), want)
			}
			for seed := range uint64(10) {
				rnd := rand.New(rand.NewPCG(seed, 1))
				if got := cutsOf(delayed(events, rnd)); !slices.EqualFunc(got, want, sameCut) {
					t.Fatalf("seed %d: cuts\n%v, in order of time\n%v", seed, got, want)
				}
			}
		})
	}
}

// delayed lets each track arrive up to a second late, in bursts, each in its own order.
func delayed(events []event, rnd *rand.Rand) []event {
	late := map[string]int64{}
	out := make([]event, len(events))
	for i, e := range events {
		at := e.unit.DTS + rnd.Int64N(Clock)
		late[e.track] = max(late[e.track], min(at, e.unit.DTS+Clock))
		e.arrive = late[e.track]
		out[i] = e
	}
	return arrive(out)
}

func cutsOf(events []event) []Cut {
	tl := New(testConfig())
	roles := map[string]Role{"source": Source, "audio": Audio}
	end := int64(0)
	for _, e := range events {
		role := roles[e.track]
		if role == 0 {
			role = Rung
		}
		tl.ExpectVideo(tl.expectVideo || role != Audio)
		tl.SetTrack(e.track, role)
		end = max(end, e.unit.PTS+1)
	}
	for _, e := range events {
		tl.Observe(e.track, e.unit)
	}
	tl.Finish(end)
	return slices.Clone(tl.Cuts())
}

// Whatever keyframes come, no segment is longer than the target duration allows, and cuts rise.
func TestSegmentsAreNeverTooLong(t *testing.T) {
	for seed := range uint64(150) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		cuts := cutsOf(randomSession(rnd))
		cfg := testConfig()
		for i := 1; i < len(cuts); i++ {
			if d := cuts[i].PTS - cuts[i-1].PTS; d <= 0 || d > cfg.hard() {
				t.Fatalf("seed %d: segment %d is %s s long: %v", seed, i-1, at(d), cuts)
			}
		}
	}
}

// randomSession is a source with keyframes at any distance, rungs that follow the rule, holes and sound.
func randomSession(rnd *rand.Rand) []event {
	var events []event
	const step = Clock / 25
	length := rnd.Int64N(40*Clock) + 1
	lag := rnd.Int64N(3 * Clock)
	hole := rnd.Int64N(2 * length)
	gop := rnd.Int64N(6*Clock) + step
	nextKey, lastKey := int64(0), int64(-10*Clock)
	for dts := int64(0); dts < length; dts += step {
		inHole := dts > hole && dts < hole+3*Clock
		key := dts >= nextKey
		if key {
			nextKey = dts + rnd.Int64N(gop) + step
		}
		rungKey := key || dts-lastKey >= 2*Clock
		if rungKey {
			lastKey = dts
		}
		if !inHole {
			events = append(events, event{"source", Unit{PTS: dts, DTS: dts, Key: key}, dts})
		}
		if seed := rnd.IntN(100); seed > 0 {
			events = append(events, event{"720p", Unit{PTS: dts, DTS: dts, Key: rungKey}, dts + lag})
		}
		events = append(events, event{"audio", Unit{PTS: dts, DTS: dts, Key: true}, dts})
	}
	return arrive(events)
}

// A horizon is a promise: no cut is made before it afterwards.
func TestHorizonIsKept(t *testing.T) {
	for seed := range uint64(100) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		tl := New(testConfig())
		tl.ExpectVideo(true)
		tl.SetTrack("source", Source)
		tl.SetTrack("720p", Rung)
		tl.SetTrack("audio", Audio)
		promised := int64(math.MinInt64)
		for _, e := range randomSession(rnd) {
			before := len(tl.Cuts())
			tl.Observe(e.track, e.unit)
			for _, c := range tl.Cuts()[before:] {
				if c.PTS < promised && c.By != Rung {
					t.Fatalf("seed %d: cut at %v after horizon %s", seed, c, at(promised))
				}
			}
			if h := tl.Horizon(Source); h < promised {
				t.Fatalf("seed %d: horizon went from %s to %s", seed, at(promised), at(h))
			} else {
				promised = h
			}
		}
	}
}

func TestParts(t *testing.T) {
	for _, c := range []struct {
		name      string
		timescale int64
		frame     []int64
	}{
		{"24 fps", 90000, []int64{3750}},
		{"25 fps", 90000, []int64{3600}},
		{"29.97 fps", 90000, []int64{3003}},
		{"59.94 fps", 90000, []int64{1501, 1502}},
		{"10 fps", 90000, []int64{9000}},
		{"5 fps", 90000, []int64{18000}},
		{"1 fps", 90000, []int64{90000}},
		{"variable", 90000, []int64{3000, 6000, 3000, 3000, 6000}},
		{"AAC 48 kHz", 48000, []int64{1024}},
		{"AAC 44.1 kHz", 44100, []int64{1024}},
		{"HE-AAC 44.1 kHz", 44100, []int64{2048}},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := PartTarget(c.timescale/2, c.frame[0])
			p := Parts{Target: target}
			start, dts := int64(0), int64(0)
			parts := 0
			for i := range 500 {
				d := c.frame[i%len(c.frame)]
				if p.Closes(dts, d) {
					if n := dts - start; n > target || n*100 < target*85 {
						t.Fatalf("part of %d ticks, target %d", n, target)
					}
					start = dts
					parts++
				}
				dts += d
			}
			if parts < 10 {
				t.Fatalf("%d parts", parts)
			}
		})
	}
}

// A segment's end ends its part: the next part begins with the next unit.
func TestPartsEnd(t *testing.T) {
	p := Parts{Target: 100}
	if p.Closes(0, 60) {
		t.Error("the first unit closes nothing")
	}
	p.End()
	if p.Closes(60, 60) {
		t.Error("the first unit after the end closes nothing")
	}
	if !p.Closes(120, 60) {
		t.Error("a part of 120 ticks is longer than its target of 100")
	}
}

// sameCut compares what viewers see: which of two tracks with the same keyframe came first is not.
func sameCut(a, b Cut) bool { return a.PTS == b.PTS && a.Discontinuity == b.Discontinuity }
