package packager

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Reasons why a unit does not get into a segment.
const (
	dropLate     = "late"     // its segment is closed
	dropKeyframe = "keyframe" // nothing decodable before the next keyframe
	dropConfig   = "config"   // another codec configuration than its segment's
	dropOrder    = "order"    // its decoding time does not rise
	dropOverflow = "overflow" // too much was waiting for a cut
	dropFormat   = "format"   // it cannot be written as CMAF
	dropRelay    = "relay"    // the relay's reader was too slow
	dropGone     = "gone"     // its rendition went before the first segment was complete
)

// metrics of the packager. kind is "video" or "audio".
type metrics struct {
	sessions    prometheus.Gauge
	segments    *prometheus.CounterVec
	gaps        *prometheus.CounterVec
	parts       *prometheus.CounterVec
	bytes       *prometheus.CounterVec
	cuts        *prometheus.CounterVec
	dropped     *prometheus.CounterVec
	held        prometheus.Gauge
	insideDelay *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	counter := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	}
	m := &metrics{
		sessions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nova_packager_sessions", Help: "Live sessions that are being packaged.",
		}),
		segments: counter("nova_packager_segments_total", "Segments with media.", "kind"),
		gaps:     counter("nova_packager_gaps_total", "Segments without media (EXT-X-GAP).", "kind"),
		parts:    counter("nova_packager_parts_total", "Partial segments.", "kind"),
		bytes:    counter("nova_packager_segment_bytes_total", "Bytes of media segments.", "kind"),
		cuts: counter("nova_packager_cuts_total",
			"Cuts of the timeline by the track that decided; forced: no track had a keyframe in time.", "by"),
		dropped: counter("nova_packager_units_dropped_total", "Access units that got into no segment.", "reason"),
		held: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nova_packager_held_bytes", Help: "Bytes of access units that wait for a decision about the next cut.",
		}),
		insideDelay: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "nova_packager_inside_delay_seconds",
			Help:    "Time from the arrival of a part's last access unit at ingest until the part is available.",
			Buckets: []float64{.01, .025, .05, .1, .2, .3, .5, .75, 1, 1.5, 2, 3, 5, 10},
		}, []string{"kind"}),
	}
	for _, c := range []prometheus.Collector{
		m.sessions, m.segments, m.gaps, m.parts, m.bytes, m.cuts, m.dropped, m.held, m.insideDelay,
	} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("cannot register metrics: %w", err)
		}
	}
	return m, nil
}
