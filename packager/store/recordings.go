package store

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"nova/internal/blob"
	"nova/packager/present"
)

// Recording is one line of the list of recordings, in the JSON shape of GET /api/v2/recordings.
type Recording struct {
	VideoID         string    `json:"video_id"`
	PlaybackID      string    `json:"playback_id"`
	Title           string    `json:"title"`
	StartedAt       time.Time `json:"started_at"`
	DurationSeconds float64   `json:"duration_seconds"`
	HLSURL          string    `json:"hls_url"`
	// PosterURL is empty where the recording has no poster.
	PosterURL string `json:"poster_url"`
}

func newRecording(info *present.Session, length time.Duration, hasPoster bool) Recording {
	r := Recording{
		VideoID: info.VideoID, PlaybackID: info.PlaybackID, Title: info.Title, StartedAt: info.Start.UTC(),
		DurationSeconds: length.Round(time.Millisecond).Seconds(),
		HLSURL:          "/" + sessionKey(info.VideoID) + "index.m3u8",
	}
	if hasPoster {
		r.PosterURL = "/" + sessionKey(info.VideoID) + posterName
	}
	return r
}

// Recordings lists the finished recordings, the newest first, at most Config.RecordingsLimit. Where S3 does not
// answer it gives the list that was last known, if any.
func (s *Store) Recordings(ctx context.Context) ([]Recording, error) { return s.list.get(ctx) }

// recordingsList keeps the list for a moment and each recording's object for as long as it is in the list: such
// an object never changes under one ETag.
type recordingsList struct {
	// set by newRecordingsList
	bucket Bucket
	limit  int
	ttl    time.Duration
	turn   chan struct{} // holds one token: who has it may ask S3

	mu struct {
		sync.Mutex
		list  []Recording
		at    time.Time // zero where the list must be read anew
		known map[blobVersion]Recording
	}
}

type blobVersion struct{ key, etag string }

func newRecordingsList(bucket Bucket, limit int, ttl time.Duration) *recordingsList {
	return &recordingsList{bucket: bucket, limit: limit, ttl: ttl, turn: make(chan struct{}, 1)}
}

// invalidate makes the next reader see a recording that was just finished.
func (l *recordingsList) invalidate() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.at = time.Time{}
}

// get reads the list at most once in a ttl, however many ask.
func (l *recordingsList) get(ctx context.Context) ([]Recording, error) {
	if list, fresh := l.cached(); fresh {
		return list, nil
	}
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-l.turn }()
	old, fresh := l.cached()
	if fresh {
		return old, nil
	}
	list, err := l.read(ctx)
	if err != nil && old != nil {
		return old, nil // an old list serves better than none
	}
	return list, err
}

func (l *recordingsList) cached() (list []Recording, fresh bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.list, l.mu.list != nil && time.Since(l.mu.at) < l.ttl
}

func (l *recordingsList) read(ctx context.Context) ([]Recording, error) {
	at := time.Now()
	objects, err := l.newest(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot list recordings: %w", err)
	}
	read := make([]*Recording, len(objects))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i, object := range objects {
		group.Go(func() (err error) {
			read[i], err = l.one(groupCtx, object)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("cannot read recordings: %w", err)
	}
	return l.keep(objects, read, at), nil
}

func (l *recordingsList) newest(ctx context.Context) ([]blob.Info, error) {
	var objects []blob.Info
	for page, err := range l.bucket.List(ctx, recordingsPrefix, "") {
		if err != nil {
			return nil, err
		}
		objects = append(objects, page.Objects...)
		if len(objects) >= l.limit {
			return objects[:l.limit], nil
		}
	}
	return objects, nil
}

// one reads a recording's object; nil where it is no recording, or was deleted meanwhile.
func (l *recordingsList) one(ctx context.Context, object blob.Info) (*Recording, error) {
	l.mu.Lock()
	known, ok := l.mu.known[blobVersion{object.Key, object.ETag}]
	l.mu.Unlock()
	if ok {
		return &known, nil
	}
	body, _, err := l.bucket.ReadAll(ctx, object.Key, 64<<10)
	if isNotFound(err) {
		return nil, nil //nolint:nilnil // says the comment
	}
	if err != nil {
		return nil, err
	}
	var recording Recording
	if json.Unmarshal(body, &recording) == nil && recording.VideoID != "" {
		return &recording, nil
	}
	return nil, nil //nolint:nilnil // one spoilt object must not hide the others
}

func (l *recordingsList) keep(objects []blob.Info, read []*Recording, at time.Time) []Recording {
	list := make([]Recording, 0, len(read))
	known := make(map[blobVersion]Recording, len(read))
	for i, recording := range read {
		if recording != nil {
			list = append(list, *recording)
			known[blobVersion{objects[i].Key, objects[i].ETag}] = *recording
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.list, l.mu.known, l.mu.at = list, known, at
	return list
}
