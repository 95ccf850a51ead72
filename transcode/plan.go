package transcode

import (
	"errors"
	"log/slog"

	"nova/internal/obs"
	"nova/transcode/job"
	"nova/transcode/ladder"
)

// posterCost is what decoding a keyframe now and then keeps busy, in cores.
const posterCost = 0.02

// admit plans the next worker's job and takes the stream's share of the machine for it. ok is false where there is
// nothing to do, or nothing to do it with: players get the source as it is, if at all.
func (st *stream) admit(src ladder.Source, want demand) (spec job.Spec, ok bool) {
	if st.refused || !want.video && !want.audio {
		st.log.Debug("nothing to transcode")
		st.giveBack()
		return job.Spec{}, false
	}
	spec = st.sup.spec(st.info.Stream, src)
	base := posterCost
	if want.audio {
		base += audioCost
	}
	var rungs []ladder.Rung
	if want.video {
		var err error
		if rungs, err = ladder.Plan(src, spec.Ladder); err != nil {
			st.shortOf(err, nil, nil)
			spec.PosterInterval = 0
		} else if len(rungs) > 0 {
			base += src.DecodeCost()
		}
	}
	if spec.PosterInterval == 0 && !want.audio {
		st.giveBack()
		return job.Spec{}, false
	}
	if ok = st.take(base, rungs); !ok {
		return job.Spec{}, false
	}
	spec.Rungs, spec.Cores = st.share.rungs, st.share.cores
	return spec, true
}

// take exchanges the stream's share for one that does for as many of rungs, the whole ladder, as it may have now.
func (st *stream) take(base float64, rungs []ladder.Rung) (ok bool) {
	st.share, ok = st.sup.admission.exchange(st.share, base, st.restore.allowed(rungs))
	if st.share.refused != nil {
		st.shortOf(st.share.refused, rungs, st.share.rungs)
	}
	if !ok {
		return false
	}
	if st.restore.granted(rungs, st.share.rungs); len(st.share.rungs) == len(rungs) && len(rungs) > 0 {
		st.shortage = nil
	}
	return true
}

// giveBack ends the stream's claim on the machine.
func (st *stream) giveBack() {
	st.sup.admission.release(st.share)
	st.share = grant{}
}

// shortOf says once for each reason that a stream gets less than it should.
func (st *stream) shortOf(reason error, wanted, got []ladder.Rung) {
	if errors.Is(st.shortage, reason) {
		return
	}
	st.shortage = reason
	label := reason.Error()
	switch {
	case errors.Is(reason, ladder.ErrHDR):
		label = "hdr"
	case !errors.Is(reason, errNoCores) && !errors.Is(reason, errNoSessions) && !errors.Is(reason, errNoStreams):
		label = "picture"
	}
	st.sup.metrics.refused.WithLabelValues(label).Inc()
	st.log.Warn("stream gets fewer renditions than planned", slog.String(obs.KeyReason, reason.Error()),
		slog.Any("planned", rungNames(wanted)), slog.Any("made", rungNames(got)))
}

func rungNames(rungs []ladder.Rung) []string {
	list := make([]string, len(rungs))
	for i, r := range rungs {
		list[i] = r.Name
	}
	return list
}
