package packager

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nova/internal/media"
	"nova/internal/relay"
	"nova/internal/testkit"
	"nova/packager/playlist/playlisttest"
	"nova/packager/present"
)

// start is the wall clock at PTS 0 of every test stream.
var start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // where a synctest bubble begins

// lane is a track of a test's stream.
type lane struct {
	name  string
	clip  *testkit.Clip
	delay time.Duration // between a unit's DTS and its arrival
	// shift moves PTS and DTS: a source with B-frames does not begin at 0, and its rungs do not either.
	shift time.Duration
	// change alters a unit; nil drops it.
	change func(*media.AccessUnit) *media.AccessUnit
	// from and to are when the track is announced and when it goes; 0 is from the start and to the end.
	from, to time.Duration
}

// world is a packager between two hubs, in a synctest bubble.
type world struct {
	t         *testing.T
	ingest    *relay.Hub
	transcode *relay.Hub
	p         *Packager
	rec       *recorder
	logs      bytes.Buffer
	metrics   *prometheus.Registry
	viewer    *viewer
}

// play runs a session of the lanes in real time of the bubble and returns what came out. Lanes named source…
// are ingest's, all others the transcoder's.
func play(t *testing.T, cfg Config, lanes []lane, during func(*world)) *world {
	t.Helper()
	w := &world{t: t, rec: &recorder{t: t}, metrics: prometheus.NewRegistry()}
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		log := slog.New(slog.NewTextHandler(&w.logs, nil))
		var err error
		if w.ingest, err = relay.NewHub(relay.DefaultHubConfig("ingest"), log, nil); err != nil {
			t.Fatal(err)
		}
		if w.transcode, err = relay.NewHub(relay.DefaultHubConfig("transcode"), log, nil); err != nil {
			t.Fatal(err)
		}
		if w.p, err = New(cfg, w.ingest, w.transcode, w.rec, log, w.metrics); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = w.p.Run(ctx) })
		w.viewer = newViewer(t, w.p)
		stop := make(chan struct{})
		running.Go(func() { w.viewer.watch(stop) })
		if during != nil {
			running.Go(func() { during(w) })
		}
		w.publish(lanes)
		time.Sleep(cfg.DrainTimeout + time.Second) // the bubble's clock
		close(stop)
		synctest.Wait()
		w.viewer.look()
		w.viewer.final()
		cancel()
		running.Wait()
	})
	return w
}

// metric is the sum of a metric's values, or of a histogram's counts, over the labels that hold the value.
func (w *world) metric(name, label string) (sum float64) {
	families, err := w.metrics.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() != name || label != "" && (len(m.GetLabel()) == 0 || m.GetLabel()[0].GetValue() != label) {
				continue
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

// publish sends the lanes through the hubs, each unit at its time, and ends the streams.
func (w *world) publish(lanes []lane) {
	info := relay.Info{Stream: "demo", Session: "s1", Title: "A test", Start: start}
	in, err := w.ingest.Open(info)
	if err != nil {
		w.t.Fatal(err)
	}
	var out *relay.Stream
	steps := w.steps(lanes)
	for _, st := range steps {
		time.Sleep(time.Until(start.Add(st.at))) // the bubble's clock
		stream := in
		if !strings.HasPrefix(lanes[st.lane].name, "source") {
			if out == nil {
				if out, err = w.transcode.Open(info); err != nil {
					w.t.Fatal(err)
				}
			}
			stream = out
		}
		if st.unit != nil {
			u := *st.unit
			u.Arrived = start.Add(media.Duration(u.DTS, lanes[st.lane].clip.Tracks[0].Timescale))
			stream.Write(&u)
		} else {
			stream.SetTracks(announced(lanes, st.at, stream == in))
		}
	}
	in.Close()
	if out != nil {
		out.Close()
	}
}

// step is a unit of a lane at its time, or a new track list.
type step struct {
	at   time.Duration
	lane int
	unit *media.AccessUnit
}

func (w *world) steps(lanes []lane) []step {
	var steps []step
	for i, l := range lanes {
		steps = append(steps, step{at: l.from, lane: i})
		if l.to > 0 {
			steps = append(steps, step{at: l.to, lane: i})
		}
		track, list := units(w.t, l.clip)
		for _, u := range list {
			c := *u
			c.Track = i
			c.PTS += media.Ticks(l.shift, track.Timescale)
			c.DTS += media.Ticks(l.shift, track.Timescale)
			at := max(media.Duration(c.DTS, track.Timescale), 0) + l.delay
			v := &c
			if l.change != nil {
				v = l.change(v)
			}
			if v != nil && at >= l.from && (l.to == 0 || at < l.to) {
				steps = append(steps, step{at, i, v})
			}
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	return steps
}

// announced are the tracks of a hub at a time.
func announced(lanes []lane, at time.Duration, source bool) []media.Track {
	var tracks []media.Track
	for i, l := range lanes {
		if strings.HasPrefix(l.name, "source") != source || at < l.from || l.to > 0 && at >= l.to {
			continue
		}
		t := l.clip.Tracks[0]
		t.ID, t.Name = i, l.name
		tracks = append(tracks, t)
	}
	return tracks
}

// viewer reads the playlists over and over and checks each against the rules.
type viewer struct {
	t    *testing.T
	p    *Packager
	last map[string]*playlisttest.Media
	// shown is when the multivariant playlist was first there.
	shown time.Duration
	// variants are the renditions of the multivariant playlist over time, one line per change.
	variants []string
	live     []present.LiveStream
}

func newViewer(t *testing.T, p *Packager) *viewer {
	return &viewer{t: t, p: p, last: map[string]*playlisttest.Media{}}
}

func (v *viewer) watch(stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(190 * time.Millisecond):
			v.look()
		}
	}
}

func (v *viewer) get(path string) (present.Object, bool) {
	o, err := v.p.Get(v.t.Context(), "demo", path)
	if err != nil && !errors.Is(err, present.ErrNotFound) {
		v.t.Errorf("%s: %v", path, err)
	}
	return o, err == nil
}

// look reads everything that there is to read now.
func (v *viewer) look() {
	o, ok := v.get("index.m3u8")
	if !ok {
		return
	}
	m, err := playlisttest.ParseMultivariant(o.Body)
	if err != nil {
		v.t.Errorf("multivariant: %v\n%s", err, o.Body)
		return
	}
	if v.shown == 0 {
		v.shown = time.Since(start)
	}
	var names []string
	for _, variant := range m.Variants {
		names = append(names, strings.TrimSuffix(variant.URI, "/index.m3u8"))
		v.lookAt(variant.URI)
	}
	for _, a := range m.Audio {
		v.lookAt(a.URI)
	}
	if line := strings.Join(names, " "); len(v.variants) == 0 || v.variants[len(v.variants)-1] != line {
		v.variants = append(v.variants, line)
	}
	for path := range v.last { // also those that have left the multivariant playlist
		if !slices.Contains(names, strings.TrimSuffix(path, "/index.m3u8")) {
			v.lookAt(path)
		}
	}
	v.aligned()
	if live := v.p.Live(); len(live) > 0 {
		v.live = live
	}
}

func (v *viewer) lookAt(path string) {
	o, ok := v.get(path)
	if !ok {
		v.t.Errorf("%s is named but not there", path)
		return
	}
	m, err := playlisttest.ParseMedia(o.Body)
	if err != nil {
		v.t.Errorf("%s: %v\n%s", path, err, o.Body)
		return
	}
	if old := v.last[path]; old != nil {
		if err := playlisttest.CheckUpdate(old, m); err != nil {
			v.t.Errorf("%s: %v\n%s", path, err, o.Body)
		}
		old.Segments = nil
	}
	v.last[path] = m
	dir := strings.TrimSuffix(path, "index.m3u8")
	for _, s := range m.Segments {
		if _, ok := v.get(dir + s.URI); ok == s.Gap {
			v.t.Errorf("%s%s: there %v, gap %v", dir, s.URI, ok, s.Gap)
		}
		if _, ok := v.get(dir + s.Map); !ok && !s.Gap {
			v.t.Errorf("%s%s is not there", dir, s.Map)
		}
	}
}

// aligned compares all media playlists with each other.
func (v *viewer) aligned() {
	for a, x := range v.last {
		for b, y := range v.last {
			if a < b {
				if err := playlisttest.CheckAligned(x, y, false); err != nil {
					v.t.Errorf("%s and %s: %v", a, b, err)
				}
			}
		}
	}
}

// final checks that every playlist ended.
func (v *viewer) final() {
	for path, m := range v.last {
		if !m.Ended {
			v.t.Errorf("%s has no EXT-X-ENDLIST", path)
		}
	}
	if live := v.p.Live(); len(live) > 0 {
		v.t.Errorf("an ended stream is in the live list: %+v", live)
	}
}

// recorder is a sink that checks the contract of present.SessionSink.
type recorder struct {
	t *testing.T

	mu      sync.Mutex
	session present.Session
	tracks  map[string]*recorded
	list    []present.Rendition
	posters int
	closed  bool
}

// recorded is one rendition of a recording.
type recorded struct {
	rendition present.Rendition
	inits     map[string][]byte
	order     []string
	segments  []present.Segment
}

func (r *recorder) OpenSession(s present.Session) present.SessionSink {
	if r.session.VideoID != "" {
		r.t.Error("a second session")
	}
	r.session, r.tracks = s, map[string]*recorded{}
	return r
}

func (r *recorder) track(name string) *recorded {
	if r.closed {
		r.t.Error("a call after Close")
	}
	if r.tracks[name] == nil {
		r.tracks[name] = &recorded{inits: map[string][]byte{}}
	}
	return r.tracks[name]
}

func (r *recorder) SetRenditions(list []present.Rendition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = slices.Clone(list)
	for _, rendition := range list {
		if !slices.ContainsFunc(r.track(rendition.Name).segments, func(s present.Segment) bool { return !s.Gap }) {
			r.t.Errorf("rendition %q has no media yet", rendition.Name)
		}
	}
}

func (r *recorder) PutInit(name string, init present.Init) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.track(name)
	if t.inits[init.Name] != nil {
		r.t.Errorf("init %q twice", init.Name)
	}
	t.inits[init.Name] = init.Body
	t.order = append(t.order, init.Name)
}

func (r *recorder) PutSegment(rendition present.Rendition, seg present.Segment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.track(rendition.Name)
	t.rendition = rendition
	if int(seg.Seq) != len(t.segments) {
		r.t.Errorf("%s: segment %d after %d", rendition.Name, seg.Seq, len(t.segments)-1)
	}
	if !seg.Gap && t.inits[seg.InitName] == nil {
		r.t.Errorf("%s: segment %d names %q, which was not put", rendition.Name, seg.Seq, seg.InitName)
	}
	if rendition.Codecs == "" {
		r.t.Errorf("%s: segment %d of a rendition without codecs", rendition.Name, seg.Seq)
	}
	if seg.Gap != (len(seg.Body) == 0) {
		r.t.Errorf("%s: segment %d: gap %v with %d bytes", rendition.Name, seg.Seq, seg.Gap, len(seg.Body))
	}
	t.segments = append(t.segments, seg)
}

func (r *recorder) PutPoster([]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.posters++
}

func (r *recorder) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		r.t.Error("closed twice")
	}
	r.closed = true
}

// sum is a line per rendition: what each segment is.
func (r *recorder) sum() string {
	var b strings.Builder
	for _, name := range slices.Sorted(mapsKeys(r.tracks)) {
		fmt.Fprintf(&b, "%s:", name)
		for _, s := range r.tracks[name].segments {
			mark := ""
			if s.Discontinuity {
				mark = "!"
			}
			if s.Gap {
				mark += "gap"
			}
			fmt.Fprintf(&b, " %s%.2f", mark, s.Duration.Seconds())
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func mapsKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// file is the rendition as one file: the initialization section and all segments that use it.
func (t *recorded) file(init string) []byte {
	var b bytes.Buffer
	_, _ = io.Copy(&b, bytes.NewReader(t.inits[init]))
	for _, s := range t.segments {
		if s.InitName == init {
			b.Write(s.Body)
		}
	}
	return b.Bytes()
}
