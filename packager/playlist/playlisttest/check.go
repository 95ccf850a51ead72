package playlisttest

import (
	"errors"
	"fmt"
	"time"
)

// CheckUpdate tells what rule (§6.2.1, §6.2.2) the step from one version of a media playlist to a later one
// breaks. Versions between the two may have been missed.
func CheckUpdate(old, now *Media) error {
	switch {
	case old.TargetDuration != now.TargetDuration:
		return fmt.Errorf("the target duration changed from %d to %d", old.TargetDuration, now.TargetDuration)
	case old.Version != now.Version || old.Type != now.Type:
		return errors.New("the version or the type changed")
	case now.Sequence < old.Sequence:
		return fmt.Errorf("the media sequence went back from %d to %d", old.Sequence, now.Sequence)
	case now.DiscontinuitySequence < old.DiscontinuitySequence:
		return errors.New("the discontinuity sequence went back")
	case old.Type != "" && now.Sequence != old.Sequence:
		return errors.New("segments left a playlist that may only grow")
	case old.Ended && (!now.Ended || len(now.Segments) != len(old.Segments)):
		return errors.New("it changed after EXT-X-ENDLIST")
	case last(now).Seq < last(old).Seq:
		return errors.New("segments left at the end")
	}
	if err := checkWindow(old, now); err != nil {
		return err
	}
	return CheckAligned(old, now, true)
}

// checkWindow checks that a live playlist from which segments were removed still holds three target durations.
func checkWindow(old, now *Media) error {
	if now.Sequence == old.Sequence || now.Ended {
		return nil
	}
	var sum time.Duration
	for _, s := range now.Segments {
		sum += s.Duration
	}
	if least := 3 * time.Duration(now.TargetDuration) * time.Second; sum < least {
		return fmt.Errorf("segments were removed and %v are left, less than %v (§6.2.2)", sum, least)
	}
	return nil
}

func last(m *Media) Segment { return m.Segments[len(m.Segments)-1] }

// CheckAligned checks that two playlists of one session agree about the segments they both hold: the same
// number is the same stretch of time with the same discontinuities (§6.2.4). same tells that both are versions
// of one playlist, whose URIs agree too.
func CheckAligned(a, b *Media, same bool) error {
	if a.TargetDuration != b.TargetDuration {
		return errors.New("the target durations differ")
	}
	for _, x := range a.Segments {
		i := x.Seq - b.Sequence
		if i < 0 || i >= int64(len(b.Segments)) {
			continue
		}
		y := b.Segments[i]
		if x.Duration != y.Duration || !x.Time.Equal(y.Time) || x.Discontinuity != y.Discontinuity || x.Breaks != y.Breaks {
			return fmt.Errorf("segment %d differs: %+v, %+v", x.Seq, x, y)
		}
		if same && (x.URI != y.URI || x.Gap != y.Gap || x.Map != y.Map && b.Segments[0].Seq != y.Seq) {
			return fmt.Errorf("segment %d changed: %+v, %+v", x.Seq, x, y)
		}
	}
	return nil
}
