package relay

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics of one hub. Depths are summed up when they are asked for, so that a unit costs no gauge update per reader.
type metrics struct {
	units        prometheus.Counter
	overflow     prometheus.Counter
	awaitingKey  prometheus.Counter
	unknownTrack prometheus.Counter
	tooLarge     prometheus.Counter

	hub                                                  *Hub
	streams, readers, queueUnits, queueBytes, cacheBytes *prometheus.Desc
}

func newMetrics(h *Hub, reg prometheus.Registerer) (*metrics, error) {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	reg = prometheus.WrapRegistererWith(prometheus.Labels{"hub": h.cfg.Name}, reg)
	dropped := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "nova_relay_dropped_units_total",
		Help: "Access units that a reader (overflow, awaiting_keyframe) or the hub itself (unknown_track, too_large) dropped.",
	}, []string{"reason"})
	m := &metrics{
		hub: h,
		units: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nova_relay_units_total", Help: "Access units that publishers wrote.",
		}),
		overflow:     dropped.WithLabelValues("overflow"),
		awaitingKey:  dropped.WithLabelValues("awaiting_keyframe"),
		unknownTrack: dropped.WithLabelValues("unknown_track"),
		tooLarge:     dropped.WithLabelValues("too_large"),
		streams:      prometheus.NewDesc("nova_relay_streams", "Live sessions.", nil, nil),
		readers:      prometheus.NewDesc("nova_relay_readers", "Readers of all sessions.", nil, nil),
		queueUnits:   prometheus.NewDesc("nova_relay_queue_units", "Items queued for all readers.", nil, nil),
		queueBytes:   prometheus.NewDesc("nova_relay_queue_bytes", "Bytes queued for all readers; a unit counts once for each reader that has it queued.", nil, nil),
		cacheBytes:   prometheus.NewDesc("nova_relay_cache_bytes", "Bytes kept for readers that join.", nil, nil),
	}
	for _, c := range []prometheus.Collector{m.units, dropped, m} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.streams, m.readers, m.queueUnits, m.queueBytes, m.cacheBytes} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	d := m.hub.depth()
	for _, g := range []struct {
		desc  *prometheus.Desc
		value int
	}{
		{m.streams, d.streams},
		{m.readers, d.readers},
		{m.queueUnits, d.units},
		{m.queueBytes, d.bytes},
		{m.cacheBytes, d.cache},
	} {
		ch <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, float64(g.value))
	}
}

// depth is what a hub holds at one moment.
type depth struct{ streams, readers, units, bytes, cache int }

func (h *Hub) depth() (d depth) {
	h.mu.Lock()
	streams := make([]*Stream, 0, len(h.mu.streams))
	for _, s := range h.mu.streams {
		streams = append(streams, s)
	}
	h.mu.Unlock()
	d.streams = len(streams)
	for _, s := range streams {
		s.addDepth(&d)
	}
	return d
}

func (s *Stream) addDepth(d *depth) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.readers += len(s.mu.readers)
	d.cache += s.mu.cache.bytes
	for _, r := range s.mu.readers {
		units, bytes := r.depth()
		d.units += units
		d.bytes += bytes
	}
}
