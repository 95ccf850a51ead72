package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nova/internal/blob"
	"nova/internal/devstack/devstacktest"
	"nova/packager/present"
)

// watcher reads a session's playlists over and over, as a viewer of the S3 copy would, and checks that whatever
// they name is there.
type watcher struct {
	t       *testing.T
	bucket  Bucket
	videoID string
	stop    chan struct{}
	done    chan struct{}
	rounds  int // that saw a playlist
}

func watch(t *testing.T, bucket Bucket, videoID string) *watcher {
	w := &watcher{t: t, bucket: bucket, videoID: videoID, stop: make(chan struct{}), done: make(chan struct{})}
	go w.runRounds()
	return w
}

func (w *watcher) runRounds() {
	defer close(w.done)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		w.round()
		select {
		case <-tick.C:
		case <-w.stop:
			return
		}
	}
}

func (w *watcher) round() {
	ctx := w.t.Context()
	named, err := closure(reader(ctx, w.bucket), w.videoID)
	if isNotFound(err) && !strings.Contains(err.Error(), w.videoID+"/index.m3u8") {
		w.t.Errorf("the multivariant playlist names what is missing: %v", err)
	}
	if err != nil {
		return // nothing yet, or S3 is away
	}
	have, err := listKeys(ctx, w.bucket, sessionKey(w.videoID))
	if err != nil {
		return
	}
	w.rounds++
	for _, key := range named {
		if _, found := slices.BinarySearch(have, key); !found {
			w.t.Errorf("%s is named but missing", key)
		}
	}
}

// end tells how many rounds saw something.
func (w *watcher) end() int {
	close(w.stop)
	<-w.done
	return w.rounds
}

// S3 goes away while segments arrive, comes back, and nothing is lost.
func TestS3Away(t *testing.T) {
	t.Parallel()
	server := devstacktest.OwnS3(t)
	cfg := server.Config()
	cfg.Timeout = time.Second
	bucket := devstacktest.Open(t, cfg)
	fast := testConfig()
	fast.QueueDuration = 5 * time.Minute // media arrives at twenty times its own pace
	s := runStore(t, fast, bucket)
	w := watch(t, devstacktest.Open(t, cfg), "demo-away")
	b := newBroadcast(s.Store, "away")
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for n := range 60 {
		switch n {
		case 15:
			server.Stop()
		case 40: // 25 segments, 50 s of media, arrived meanwhile
			if longest, _, objects := s.queue.depth(); longest < 40*time.Second || objects < 60 {
				t.Errorf("the queue holds %v in %d objects", longest, objects)
			}
			if err := s.Check(t.Context()); err == nil {
				t.Error("ready without S3")
			}
			if err := server.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		b.segments(1)
		b.sink.PutPoster(fmt.Appendf(nil, "poster %d", n))
		<-tick.C
	}
	b.sink.Close()
	s.drain(t)
	if rounds := w.end(); rounds < 20 {
		t.Errorf("the watcher saw the session only %d times", rounds)
	}
	checkExact(t, bucket, "demo-away", "poster.jpg")
	for _, r := range all {
		text := read(t, bucket, "vod/demo-away/"+r.Name+"/index.m3u8")
		if strings.Contains(text, "GAP") || strings.Count(text, ".m4s") != 60 {
			t.Errorf("%s lost something:\n%s", r.Name, text)
		}
	}
	if poster := read(t, bucket, "vod/demo-away/poster.jpg"); poster != "poster 59" {
		t.Errorf("the poster is %q", poster)
	}
	if s.counter(t, "nova_packager_store_retries_total", "segment") == 0 {
		t.Error("no retry was counted")
	}
}

// What does not fit the queue becomes a gap, the oldest first.
func TestOverflow(t *testing.T) {
	t.Parallel()
	server := devstacktest.OwnS3(t)
	bucket := devstacktest.Open(t, server.Config())
	cfg := testConfig()
	cfg.QueueDuration = 10 * time.Second
	s := runStore(t, cfg, bucket)
	b := newBroadcast(s.Store, "full")
	b.segments(2)
	await(t, "the first segments", func() bool {
		_, _, waiting := s.queue.depth()
		return waiting == 0
	})
	server.Stop()
	b.segments(20)
	if longest, _, _ := s.queue.depth(); longest > cfg.QueueDuration {
		t.Errorf("%v wait, the bound is %v", longest, cfg.QueueDuration)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.sink.Close()
	s.drain(t)
	checkExact(t, bucket, "demo-full")
	gaps := 0
	for _, r := range all {
		segments, err := parsePlaylist([]byte(read(t, bucket, "vod/demo-full/"+r.Name+"/index.m3u8")))
		if err != nil || len(segments) != 22 {
			t.Fatalf("%s has %d segments, %v", r.Name, len(segments), err)
		}
		lost := 0
		for _, seg := range segments {
			if seg.Gap {
				lost++
			}
		}
		// Five fit. Which ones depends on what the workers had in hands; the newest is always among them.
		if lost != 15 || segments[0].Gap || segments[1].Gap || segments[21].Gap {
			t.Errorf("%s lost %d segments: %+v", r.Name, lost, segments)
		}
		gaps += lost
	}
	if dropped := s.counter(t, "nova_packager_store_dropped_segments_total", "overflow"); int(dropped) != gaps {
		t.Errorf("%v counted, %d gaps", dropped, gaps)
	}
}

// shaky fails some puts: before they reach S3, or after, when S3 has the object but the answer is lost.
type shaky struct {
	Bucket
	before, after float64
}

var errShaky = errors.New("connection reset by test")

func (s *shaky) Put(ctx context.Context, key string, body []byte, opts blob.PutOptions) error {
	if rand.Float64() < s.before {
		return errShaky
	}
	err := s.Bucket.Put(ctx, key, body, opts)
	if rand.Float64() < s.after {
		return errShaky
	}
	return err
}

func TestShakyS3(t *testing.T) {
	t.Parallel()
	bucket := devstacktest.Bucket(t)
	cfg := testConfig()
	cfg.RetryMin, cfg.RetryMax = time.Millisecond, 10*time.Millisecond
	s := runStore(t, cfg, &shaky{bucket, .3, .3})
	var group sync.WaitGroup
	for _, id := range []string{"a", "b", "c"} {
		w := watch(t, bucket, "demo-"+id)
		group.Go(func() {
			b := newBroadcast(s.Store, id)
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for range 20 {
				b.segments(1)
				<-tick.C
			}
			b.sink.Close()
		})
		defer func() {
			if w.end() == 0 {
				t.Error("the watcher saw nothing")
			}
		}()
	}
	group.Wait()
	s.drain(t)
	for _, id := range []string{"a", "b", "c"} {
		checkExact(t, bucket, "demo-"+id)
		if text := read(t, bucket, "vod/demo-"+id+"/720p/index.m3u8"); strings.Count(text, ".m4s") != 20 {
			t.Errorf("session %s:\n%s", id, text)
		}
	}
}

// The same with a queue so small that ambiguous uploads are dropped: what S3 took all the same is deleted.
func TestShakyOverflow(t *testing.T) {
	t.Parallel()
	bucket := devstacktest.Bucket(t)
	cfg := testConfig()
	cfg.QueueDuration, cfg.Workers = 10*time.Second, 1
	faults := &shaky{bucket, 0, .7}
	s := runStore(t, cfg, faults)
	b := newBroadcast(s.Store, "one")
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for range 100 {
		b.segments(1)
		<-tick.C
	}
	b.sink.Close()
	s.drain(t)
	if s.counter(t, "nova_packager_store_dropped_segments_total", "overflow") == 0 {
		t.Fatal("nothing was dropped: the test tests nothing")
	}
	checkExact(t, bucket, "demo-one")
}

// noPlaylists takes media and markers, and no playlist: the moment between a segment and its playlist, drawn out.
type noPlaylists struct {
	Bucket
	on atomic.Bool
}

func (n *noPlaylists) Put(ctx context.Context, key string, body []byte, opts blob.PutOptions) error {
	if n.on.Load() && isPlaylist(key) {
		return errShaky
	}
	return n.Bucket.Put(ctx, key, body, opts)
}

func count(keys []string, suffix string) (n int) {
	for _, key := range keys {
		if strings.HasSuffix(key, suffix) {
			n++
		}
	}
	return n
}

// A process that is killed leaves playlists that lack what was stored last; the next start completes them.
func TestKilledAndRecovered(t *testing.T) {
	t.Parallel()
	for _, hadPlaylist := range []bool{true, false} {
		t.Run(fmt.Sprintf("playlist=%v", hadPlaylist), func(t *testing.T) {
			bucket := devstacktest.Bucket(t)
			faulty := &noPlaylists{Bucket: bucket}
			s := runStore(t, testConfig(), faulty)
			b := newBroadcast(s.Store, "killed")
			b.sink.PutPoster([]byte("jpeg"))
			if hadPlaylist {
				b.segments(3)
				await(t, "the playlists of three segments", func() bool {
					text, err := reader(t.Context(), bucket)("vod/demo-killed/audio/index.m3u8")
					return err == nil && strings.Count(text, ".m4s") == 3
				})
			}
			faulty.on.Store(true)
			b.segments(4)
			// an object that no playlist will ever name: its section never arrives
			if err := bucket.Put(t.Context(), "vod/demo-killed/720p/p-99.m4s", []byte("x"), blob.PutOptions{}); err != nil {
				t.Fatal(err)
			}
			total := 4
			if hadPlaylist {
				total = 7
			}
			await(t, "the segments", func() bool {
				keys, err := listKeys(t.Context(), bucket, "vod/demo-killed/")
				return err == nil && count(keys, ".m4s") == 3*total+1
			})
			s.kill()
			if list, err := listKeys(t.Context(), bucket, markerPrefix); err != nil || len(list) != 1 {
				t.Fatalf("markers %q, %v", list, err)
			}

			next := runStore(t, testConfig(), bucket)
			await(t, "the recovery", func() bool {
				list, err := listKeys(t.Context(), bucket, markerPrefix)
				return err == nil && len(list) == 0
			})
			extra := []string{}
			if hadPlaylist {
				extra = append(extra, "poster.jpg")
			}
			if !hadPlaylist {
				_ = bucket.Delete(t.Context(), "vod/demo-killed/poster.jpg")
			}
			checkExact(t, bucket, "demo-killed", extra...)
			for _, r := range all {
				text := read(t, bucket, "vod/demo-killed/"+r.Name+"/index.m3u8")
				if strings.Count(text, ".m4s") != total || strings.Contains(text, "GAP") ||
					!strings.Contains(text, "PLAYLIST-TYPE:VOD") || !strings.HasSuffix(text, "#EXT-X-ENDLIST\n") {
					t.Errorf("%s is\n%s", r.Name, text)
				}
			}
			list, err := next.Recordings(t.Context())
			if err != nil || len(list) != 1 || list[0].DurationSeconds != float64(2*total) || list[0].Title != "A title" {
				t.Errorf("recordings %+v, %v", list, err)
			}
			if n := next.counter(t, "nova_packager_store_finished_sessions_total", "recovered"); n != 1 {
				t.Errorf("%v recovered", n)
			}
		})
	}
}

// Another node's session is left alone until its marker is old.
func TestRecoveryHonoursLease(t *testing.T) {
	bucket := devstacktest.Bucket(t)
	s := runStore(t, testConfig(), bucket)
	b := newBroadcast(s.Store, "theirs")
	b.segments(2)
	await(t, "the playlists", func() bool {
		_, err := bucket.Head(t.Context(), "vod/demo-theirs/720p/index.m3u8")
		return err == nil
	})
	cfg := testConfig()
	cfg.Node = "other"
	other, err := New(cfg, bucket, s.log, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.recoverAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text := read(t, bucket, "vod/demo-theirs/720p/index.m3u8"); strings.Contains(text, "ENDLIST") {
		t.Error("a living session was taken over")
	}
	s.kill()
	other.cfg.Lease = time.Nanosecond
	if err := other.recoverAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkExact(t, bucket, "demo-theirs")
}

func TestRecoverySkipsForeignMarkers(t *testing.T) {
	bucket := devstacktest.Bucket(t)
	for key, body := range map[string]string{
		"live/not-json.json": "{", "live/a/b.json": "{}", "live/readme.txt": "x",
		"live/other.json": `{"video_id":"mismatch","playback_id":"p","target_duration_ns":1}`,
	} {
		if err := bucket.Put(t.Context(), key, []byte(body), blob.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	s := runStore(t, testConfig(), bucket)
	if err := s.recoverAll(t.Context()); err != nil {
		t.Error(err)
	}
	if keys, _ := listKeys(t.Context(), bucket, ""); len(keys) != 4 {
		t.Errorf("left %q", keys)
	}
}

func TestOwnerHasLost(t *testing.T) {
	self := newOwner("a", "run-2")
	for _, c := range []struct {
		name  string
		other owner
		age   time.Duration
		want  bool
	}{
		{"given up by this run", self, 0, true},
		{"an earlier run with our process id (containers)", owner{"a", self.PID, "run-1"}, 0, true},
		{"an earlier run whose process is gone", owner{"a", 1 << 22, "run-1"}, 0, true},
		{"another process of this node, alive", owner{"a", 1, "run-1"}, 0, false},
		{"another process of this node, silent", owner{"a", 1, "run-1"}, time.Hour, true},
		{"another node, alive", owner{"b", self.PID, "run-9"}, time.Second, false},
		{"another node, silent", owner{"b", 1, "run-9"}, time.Hour, true},
	} {
		if got := self.hasLost(c.other, c.age, time.Minute); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

var _ present.Sink = (*Store)(nil)
