package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"nova/internal/blob"
	"nova/internal/obs"
	"nova/packager/playlist"
	"nova/packager/present"
)

// The largest objects that recovery reads.
const (
	maxMarker   = 1 << 20
	maxPlaylist = 64 << 20
)

func isNotFound(err error) bool { return errors.Is(err, blob.ErrNotFound) }

// runRecovery finishes sessions that nobody works on any more: at the start those of this node's last run, later
// those of nodes that have gone silent.
func (s *Store) runRecovery(ctx context.Context) error {
	ticker := time.NewTicker(s.cfg.RecoverInterval)
	defer ticker.Stop()
	for {
		if err := s.recoverAll(ctx); err != nil && ctx.Err() == nil {
			s.failures.Add(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (s *Store) recoverAll(ctx context.Context) error {
	for page, err := range s.bucket.List(ctx, markerPrefix, "") {
		if err != nil {
			return fmt.Errorf("cannot look for unfinished recordings: %w", err)
		}
		for _, object := range page.Objects {
			if err := s.recoverOne(ctx, object); err != nil {
				s.failures.Add(err) // the next one may do better; this one is tried again later
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return nil
}

// recoverOne finishes the session of a marker, if nobody else does.
func (s *Store) recoverOne(ctx context.Context, object blob.Info) error {
	id, isMarker := strings.CutSuffix(strings.TrimPrefix(object.Key, markerPrefix), ".json")
	if !isMarker || strings.Contains(id, "/") || s.isOpen(id) {
		return nil
	}
	body, _, err := s.bucket.ReadAll(ctx, object.Key, maxMarker)
	if isNotFound(err) {
		return nil // finished since it was listed
	}
	if err != nil {
		return fmt.Errorf("cannot look for unfinished recordings: %w", err)
	}
	m, err := parseMarker(body, id)
	if err != nil {
		s.failures.Add(err)
		return nil
	}
	if !s.owner.hasLost(m.Owner, time.Since(object.Modified), s.cfg.Lease) {
		return nil
	}
	return s.finishWreck(ctx, m)
}

// finishWreck makes a recording of what is in S3, in the order of session.finish.
func (s *Store) finishWreck(ctx context.Context, m *marker) error {
	log := s.log.With(obs.KeyStream, m.PlaybackID, obs.KeySession, m.VideoID)
	keys, err := s.sessionKeys(ctx, m.VideoID)
	if err != nil {
		return err
	}
	w := newWreck(keys)
	for name, r := range w.renditions {
		if err := s.survey(ctx, m.VideoID, name, w, r, log); err != nil {
			return err
		}
	}
	playlists := make(map[string][]present.Segment)
	for name, r := range w.renditions {
		if list := w.playlist(r); list != nil {
			playlists[name] = list
		}
	}
	if err := s.writeWreck(ctx, m, w, keys, playlists); err != nil {
		return err
	}
	s.list.invalidate()
	s.metrics.finished.WithLabelValues("recovered").Inc()
	log.Info("unfinished recording completed", slog.Float64("seconds", w.duration().Seconds()), slog.Int("renditions", len(playlists)))
	return nil
}

// sessionKeys lists what is in the session's folder, relative to it.
func (s *Store) sessionKeys(ctx context.Context, videoID string) ([]string, error) {
	var keys []string
	for page, err := range s.bucket.List(ctx, sessionKey(videoID), "") {
		if err != nil {
			return nil, fmt.Errorf("cannot finish recording: %w", err)
		}
		for _, object := range page.Objects {
			keys = append(keys, strings.TrimPrefix(object.Key, sessionKey(videoID)))
		}
	}
	return keys, nil
}

// survey learns what there is of a rendition: from its playlist, and from the metadata of the segments that are
// not in it yet.
func (s *Store) survey(ctx context.Context, videoID, name string, w *wreck, r *wreckRendition, log *slog.Logger) error {
	text, _, err := s.bucket.ReadAll(ctx, renditionKey(videoID, name, playlist.IndexName), maxPlaylist)
	if err != nil && !isNotFound(err) {
		return fmt.Errorf("cannot finish recording: %w", err)
	}
	segments, err := parsePlaylist(text)
	if err != nil && len(text) > 0 {
		log.Warn("playlist left aside, the segments tell", obs.KeyRendition, name, obs.Err(err))
	}
	for _, seg := range segments {
		w.add(r, seg)
	}
	for _, object := range r.unknown() {
		info, err := s.bucket.Head(ctx, renditionKey(videoID, name, object))
		if err != nil && !isNotFound(err) {
			return fmt.Errorf("cannot finish recording: %w", err)
		}
		if seg, ok := segmentOf(object, info.Metadata); ok {
			w.add(r, seg)
		}
	}
	return nil
}

// segmentOf reads back what segmentOptions wrote.
func segmentOf(name string, metadata map[string]string) (present.Segment, bool) {
	var meta segmentMeta
	_, seq, ok := splitName(name)
	if !ok || json.Unmarshal([]byte(metadata[metaName]), &meta) != nil || meta.Duration <= 0 || meta.Init == "" {
		return present.Segment{}, false
	}
	return present.Segment{
		Seq: seq, Name: name, InitName: meta.Init, Duration: meta.Duration, Start: meta.Start,
		Discontinuity: meta.Discontinuity,
	}, true
}

func (s *Store) writeWreck(ctx context.Context, m *marker, w *wreck, keys []string, playlists map[string][]present.Segment) error {
	header := playlist.Header{TargetDuration: m.TargetDuration, Type: playlist.VOD}
	for name, segments := range playlists {
		key := renditionKey(m.VideoID, name, playlist.IndexName)
		if err := s.put(ctx, "playlist", key, playlist.Media(header, segments, true), playlistOptions(true)); err != nil {
			return err
		}
	}
	if len(playlists) == 0 {
		return s.deleteAll(ctx, m.VideoID, keys)
	}
	text := playlist.Multivariant(inPlaylists(m.Renditions, playlists))
	if err := s.put(ctx, "multivariant", sessionKey(m.VideoID)+playlist.IndexName, text, playlistOptions(true)); err != nil {
		return err
	}
	if err := s.deleteKeys(ctx, m.VideoID, leftovers(keys, playlists)); err != nil {
		return err
	}
	info := m.session()
	hasPoster := false
	for _, key := range keys {
		hasPoster = hasPoster || key == posterName
	}
	body, err := json.Marshal(newRecording(&info, w.duration(), hasPoster))
	if err != nil {
		return fmt.Errorf("cannot finish recording: %w", err)
	}
	if err := s.put(ctx, "recording", recordingKey(info.Start, info.VideoID), body, jsonOptions()); err != nil {
		return err
	}
	return s.bucket.Delete(ctx, markerKey(m.VideoID))
}

// deleteAll clears a session that has nothing to play.
func (s *Store) deleteAll(ctx context.Context, videoID string, keys []string) error {
	if err := s.deleteKeys(ctx, videoID, keys); err != nil {
		return err
	}
	return s.bucket.Delete(ctx, markerKey(videoID))
}

func (s *Store) deleteKeys(ctx context.Context, videoID string, keys []string) error {
	full := make([]string, len(keys))
	for i, key := range keys {
		full[i] = sessionKey(videoID) + key
	}
	return s.bucket.Delete(ctx, full...)
}
