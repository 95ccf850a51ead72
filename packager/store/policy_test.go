package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nova/internal/blob"
)

// memory is a bucket for tests of time: real servers do not run on a bubble's clock.
type memory struct {
	mu      sync.Mutex
	objects map[string][]byte
	puts    map[string]int
	reads   int
	down    bool
}

func newMemory() *memory {
	return &memory{objects: map[string][]byte{}, puts: map[string]int{}}
}

var errDown = errors.New("down")

func (m *memory) setDown(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
}

func (m *memory) Put(_ context.Context, key string, body []byte, _ blob.PutOptions) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.puts[key]++
	if m.down {
		return errDown
	}
	m.objects[key] = body
	return nil
}

func (m *memory) Head(context.Context, string) (blob.Info, error) {
	return blob.Info{}, blob.ErrNotFound
}

func (m *memory) ReadAll(_ context.Context, key string, _ int64) ([]byte, blob.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	body, ok := m.objects[key]
	switch {
	case m.down:
		return nil, blob.Info{}, errDown
	case !ok:
		return nil, blob.Info{}, fmt.Errorf("%q: %w", key, blob.ErrNotFound)
	}
	return body, blob.Info{Key: key}, nil
}

func (m *memory) List(_ context.Context, prefix, _ string) iter.Seq2[blob.Page, error] {
	return func(yield func(blob.Page, error) bool) {
		yield(m.page(prefix))
	}
}

func (m *memory) page(prefix string) (page blob.Page, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return page, errDown
	}
	for _, key := range slices.Sorted(maps.Keys(m.objects)) {
		if strings.HasPrefix(key, prefix) {
			page.Objects = append(page.Objects, blob.Info{Key: key, ETag: fmt.Sprint(len(m.objects[key])), Modified: time.Now()})
		}
	}
	return page, nil
}

func (m *memory) Delete(_ context.Context, keys ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return errDown
	}
	for _, key := range keys {
		delete(m.objects, key)
	}
	return nil
}

func (m *memory) CheckReady(context.Context) error { return nil }

func (m *memory) count(key string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.puts[key]
}

// sleep lets the bubble's clock run.
func sleep(d time.Duration) {
	time.Sleep(d) // the bubble's clock
	synctest.Wait()
}

// A short playlist is uploaded with every segment; a long one at most every PlaylistInterval, and never later.
func TestPlaylistUploadsDecay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newMemory()
		s := runStore(t, testConfig(), bucket)
		b := newBroadcast(s.Store, "long")
		const key, index = "vod/demo-long/720p/index.m3u8", "vod/demo-long/index.m3u8"
		for n := range 1000 {
			b.segments(1)
			sleep(segmentLength)
			if n == 24 && bucket.count(key) != 25 {
				t.Errorf("%d uploads of the first 25 segments", bucket.count(key))
			}
			bucket.mu.Lock()
			lag := n + 1 - strings.Count(string(bucket.objects[key]), ".m4s")
			bucket.mu.Unlock()
			if time.Duration(lag)*segmentLength > s.cfg.PlaylistInterval {
				t.Fatalf("after segment %d the playlist lacks %d", n, lag)
			}
		}
		// 30 with every segment, then about ln(10)·15 s of them, then one in 10 s: about 230.
		if n := bucket.count(key); n < 180 || n > 350 {
			t.Errorf("%d uploads for 1000 segments", n)
		}
		if n := bucket.count(index); n > 10 {
			t.Errorf("%d uploads of an unchanged multivariant playlist", n)
		}
		b.sink.Close()
		s.drain(t)
		if text := string(bucket.objects[key]); strings.Count(text, ".m4s") != 1000 || !strings.HasSuffix(text, "#EXT-X-ENDLIST\n") {
			t.Error("the recording is not complete")
		}
		s.kill()
	})
}

// While S3 is away, tries get rarer, up to RetryMax, and none is lost.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newMemory()
		cfg := testConfig()
		cfg.RetryMin, cfg.RetryMax = 100*time.Millisecond, 5*time.Second
		s := runStore(t, cfg, bucket)
		b := newBroadcast(s.Store, "one")
		b.segments(1)
		sleep(time.Second)
		bucket.setDown(true)
		b.segments(1)
		const key = "vod/demo-one/720p/p-1.m4s"
		sleep(time.Second)
		if n := bucket.count(key); n < 3 || n > 6 {
			t.Errorf("%d tries in the first second", n)
		}
		sleep(10 * time.Second)
		before := bucket.count(key)
		sleep(time.Minute)
		if n := bucket.count(key) - before; n < 11 || n > 25 {
			t.Errorf("%d tries in a minute", n)
		}
		bucket.setDown(false)
		b.sink.Close()
		s.drain(t)
		if text := string(bucket.objects["vod/demo-one/720p/index.m3u8"]); strings.Contains(text, "GAP") {
			t.Errorf("lost:\n%s", text)
		}
		s.kill()
	})
}

// A session that S3 never takes is given up after FinishTimeout, and leaves no memory behind; when S3 is back
// the recovery finishes it.
func TestGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newMemory()
		cfg := testConfig()
		cfg.FinishTimeout = time.Minute
		s := runStore(t, cfg, bucket)
		b := newBroadcast(s.Store, "one")
		b.segments(3)
		sleep(time.Second)
		bucket.setDown(true)
		b.segments(2)
		b.sink.Close()
		sleep(59 * time.Second)
		if !s.isOpen("demo-one") {
			t.Error("given up too early")
		}
		sleep(10 * time.Second)
		if _, bytes, objects := s.queue.depth(); s.isOpen("demo-one") || bytes != 0 || objects != 0 {
			t.Errorf("open %v, %d bytes, %d objects", s.isOpen("demo-one"), bytes, objects)
		}
		if n := s.counter(t, "nova_packager_store_dropped_segments_total", "abandoned"); n != 6 {
			t.Errorf("%v segments abandoned", n)
		}
		bucket.setDown(false)
		sleep(2 * cfg.RecoverInterval)
		checkExact(t, bucket, "demo-one")
		if text := string(bucket.objects["vod/demo-one/720p/index.m3u8"]); strings.Count(text, ".m4s") != 3 {
			t.Errorf("recovered:\n%s", text)
		}
		s.kill()
	})
}

// A stopping process finishes the sessions that have ended, leaves one that has not, and does not wait for an S3
// that is away for longer than DrainTimeout.
func TestStopDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newMemory()
		s := runStore(t, testConfig(), bucket)
		open := newBroadcast(s.Store, "open")
		open.segments(2)
		ended := newBroadcast(s.Store, "ended")
		ended.segments(2)
		ended.sink.Close()
		began := time.Now()
		s.kill()
		if took := time.Since(began); took > time.Second {
			t.Errorf("the stop took %v", took)
		}
		if text := string(bucket.objects["vod/demo-ended/720p/index.m3u8"]); !strings.HasSuffix(text, "#EXT-X-ENDLIST\n") {
			t.Errorf("the ended session is not finished:\n%s", text)
		}
		if text := string(bucket.objects["vod/demo-open/720p/index.m3u8"]); strings.Contains(text, "ENDLIST") {
			t.Error("the open session was finished")
		}

		bucket.setDown(true)
		s = runStore(t, testConfig(), bucket)
		late := newBroadcast(s.Store, "late")
		late.segments(2)
		late.sink.Close()
		began = time.Now()
		s.kill()
		if took := time.Since(began); took != s.cfg.DrainTimeout {
			t.Errorf("the stop without S3 took %v", took)
		}
	})
}

// The marker is renewed while the session lasts, however quiet it is.
func TestMarkerBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newMemory()
		s := runStore(t, testConfig(), bucket)
		b := newBroadcast(s.Store, "one")
		b.segments(1)
		sleep(time.Second)
		before := bucket.count(markerKey("demo-one"))
		sleep(10 * s.cfg.Lease)
		if n := bucket.count(markerKey("demo-one")) - before; n < 35 || n > 45 {
			t.Errorf("%d renewals in ten leases", n)
		}
		b.sink.Close()
		s.drain(t)
		s.kill()
	})
}

// What is known of the renditions gets better with their segments: the playlist that grows and the marker follow.
func TestDescriptionsFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newMemory()
		s := runStore(t, testConfig(), bucket)
		b := newBroadcast(s.Store, "one")
		b.segments(1)
		sleep(time.Second)
		better := video
		better.Bandwidth, better.Codecs = 9e6, "avc1.640020"
		b.sink.PutSegment(better, segment(better, 1))
		sleep(s.cfg.PlaylistInterval + time.Second)
		if text := string(bucket.objects[sessionKey("demo-one")+"index.m3u8"]); !strings.Contains(text, "BANDWIDTH=9130000") ||
			!strings.Contains(text, better.Codecs) {
			t.Errorf("the multivariant playlist stayed\n%s", text)
		}
		if text := string(bucket.objects[markerKey("demo-one")]); !strings.Contains(text, better.Codecs) {
			t.Errorf("the marker stayed %s", text)
		}
		b.sink.Close()
		s.drain(t)
		s.kill()
	})
}

// A session that is opened again under its name is not forgotten with the one before it.
func TestSameSessionTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := runStore(t, testConfig(), newMemory())
		first := s.OpenSession(sessionInfo("one"))
		second := s.OpenSession(sessionInfo("one"))
		first.Close()
		sleep(time.Second)
		if !s.isOpen("demo-one") {
			t.Error("the second session is taken for ended")
		}
		second.Close()
		s.drain(t)
		s.kill()
	})
}

// spoilt is a bucket with one object that cannot be read.
type spoilt struct {
	*memory
	key string
}

func (b *spoilt) ReadAll(ctx context.Context, key string, limit int64) ([]byte, blob.Info, error) {
	if key == b.key {
		return nil, blob.Info{}, errDown
	}
	return b.memory.ReadAll(ctx, key, limit)
}

// One session that cannot be recovered does not stand in the way of the others.
func TestRecoveryGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newMemory()
		s := runStore(t, testConfig(), bucket)
		newBroadcast(s.Store, "a").segments(2)
		newBroadcast(s.Store, "b").segments(2)
		sleep(time.Second)
		s.kill()
		next := runStore(t, testConfig(), &spoilt{bucket, sessionKey("demo-a") + "720p/index.m3u8"})
		sleep(time.Second)
		if bucket.objects[markerKey("demo-a")] == nil || bucket.objects[markerKey("demo-b")] != nil {
			t.Errorf("markers: a %q, b %q", bucket.objects[markerKey("demo-a")], bucket.objects[markerKey("demo-b")])
		}
		next.kill()
	})
}

func TestRecordingsList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newMemory()
		put := func(n int) {
			info := sessionInfo(fmt.Sprint(n))
			info.Start = start.Add(time.Duration(n) * time.Hour)
			body := fmt.Sprintf(`{"video_id":%q,"title":"n"}`, info.VideoID)
			_ = bucket.Put(t.Context(), recordingKey(info.Start, info.VideoID), []byte(body), blob.PutOptions{})
		}
		for n := range 20 {
			put(n)
		}
		_ = bucket.Put(t.Context(), recordingKey(start.Add(99*time.Hour), "spoilt"), []byte("{"), blob.PutOptions{})
		l := newRecordingsList(bucket, 5, 2*time.Second)
		get := func() (ids []string) {
			list, err := l.get(t.Context())
			if err != nil {
				t.Error(err)
			}
			for _, r := range list {
				ids = append(ids, r.VideoID)
			}
			return ids
		}
		want := []string{"demo-19", "demo-18", "demo-17", "demo-16"} // and the spoilt one
		var readers sync.WaitGroup
		for range 20 {
			readers.Go(func() {
				if got := get(); !slices.Equal(got, want) {
					t.Errorf("got %q, want %q", got, want)
				}
			})
		}
		readers.Wait()
		if bucket.reads != 5 {
			t.Errorf("%d objects read for 20 readers", bucket.reads)
		}
		put(20)
		if got := get(); !slices.Equal(got, want) {
			t.Errorf("within the ttl: %q", got)
		}
		sleep(2 * time.Second)
		if got := get(); got[0] != "demo-20" || bucket.reads != 7 {
			t.Errorf("after the ttl: %q, %d reads", got, bucket.reads)
		}
		bucket.setDown(true)
		l.invalidate()
		if got := get(); len(got) == 0 || got[0] != "demo-20" {
			t.Errorf("S3 away: %q", got)
		}
		if _, err := newRecordingsList(bucket, 5, time.Second).get(t.Context()); err == nil {
			t.Error("nothing known and S3 away, yet no error")
		}
	})
}

func TestConfigValidate(t *testing.T) {
	for field, change := range map[string]func(*Config){
		"workers":           func(c *Config) { c.Workers = 0 },
		"queue_duration":    func(c *Config) { c.QueueDuration = time.Second },
		"queue_bytes":       func(c *Config) { c.QueueBytes = 1 },
		"retry_min":         func(c *Config) { c.RetryMin = 0 },
		"retry_max":         func(c *Config) { c.RetryMax = 0 },
		"playlist_interval": func(c *Config) { c.PlaylistInterval = 0 },
		"poster_interval":   func(c *Config) { c.PosterInterval = 0 },
		"finish_timeout":    func(c *Config) { c.FinishTimeout = 0 },
		"drain_timeout":     func(c *Config) { c.DrainTimeout = -1 },
		"lease":             func(c *Config) { c.Lease = time.Second },
		"recover_interval":  func(c *Config) { c.RecoverInterval = 0 },
		"recordings_limit":  func(c *Config) { c.RecordingsLimit = 0 },
		"recordings_ttl":    func(c *Config) { c.RecordingsTTL = 0 },
	} {
		cfg := DefaultConfig()
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), field+":") {
			t.Errorf("%s: %v", field, err)
		}
	}
}
