package worker

import (
	"context"
	"errors"
	"io"

	"nova/internal/media"
	"nova/internal/relay"
	"nova/transcode/job"
)

// runInput sorts the source's units to the stages.
func (w *worker) runInput(ctx context.Context, in relay.Reader) error {
	defer close(w.decodeQ)
	defer close(w.audioQ)
	defer close(w.posterQ)
	s := sorter{w: w}
	for {
		item, err := in.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if item.Unit == nil {
			s.tracks = item.Tracks
		} else if err := s.sort(ctx, item.Unit); err != nil {
			return err
		}
	}
}

// sorter knows which stage a unit is for. Owned by runInput.
type sorter struct {
	w      *worker
	tracks []media.Track
	// video is the track that renditions are made of: the first. sound tells that the audio is being encoded.
	video int
	sound bool
}

func (s *sorter) sort(ctx context.Context, u *media.AccessUnit) error {
	for _, t := range s.tracks {
		if t.ID != u.Track {
			continue
		}
		if u.Config == nil {
			u.Config = t.Config // the unit came over a pipe: nobody else has it
		}
		switch {
		case u.Config == nil:
		case t.Kind == media.Video:
			return s.picture(ctx, u)
		case t.Kind == media.Audio:
			return s.sample(ctx, u, t)
		}
	}
	s.w.state.count("input")
	return nil
}

func (s *sorter) picture(ctx context.Context, u *media.AccessUnit) error {
	if s.video == 0 {
		s.video = u.Track
	}
	if u.Track != s.video {
		return nil
	}
	if u.Key && s.w.spec.PosterInterval > 0 {
		select {
		case s.w.posterQ <- u:
		default: // the last one is still being made
		}
	}
	if len(s.w.spec.Rungs) == 0 {
		return nil
	}
	s.w.state.newest.Store(u.PTS)
	return send(ctx, s.w.decodeQ, u)
}

// sample sends sound that players cannot be given as it is. Once that has begun it goes on, whatever comes.
func (s *sorter) sample(ctx context.Context, u *media.AccessUnit, t media.Track) error {
	s.sound = s.sound || !job.PassAudio(u.Config)
	if !s.sound {
		return nil
	}
	if t.Timescale != u.Config.SampleRate {
		u = rescaled(u, t.Timescale)
	}
	return send(ctx, s.w.audioQ, u)
}

// rescaled is u in ticks of its sample rate.
func rescaled(u *media.AccessUnit, from int) *media.AccessUnit {
	c := *u
	c.PTS = media.Rescale(u.PTS, from, u.Config.SampleRate)
	c.DTS = media.Rescale(u.DTS, from, u.Config.SampleRate)
	c.Duration = media.Rescale(u.Duration, from, u.Config.SampleRate)
	return &c
}
