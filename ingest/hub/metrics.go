package hub

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	publications *prometheus.GaugeVec
	units        *prometheus.CounterVec
	bytes        *prometheus.CounterVec
	dropped      *prometheus.CounterVec
	jumps        prometheus.Counter
	warnings     *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		publications: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "nova_ingest_publications", Help: "Streams that are being published.",
		}, []string{"protocol"}),
		units: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nova_ingest_units_total", Help: "Access units that went out to the later stages.",
		}, []string{"kind"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nova_ingest_media_bytes_total", Help: "Payload bytes that publishers sent.",
		}, []string{"protocol"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nova_ingest_dropped_units_total", Help: "Access units of publishers that could not be used.",
		}, []string{"reason"}),
		jumps: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nova_ingest_clock_jumps_total", Help: "Times that a publisher's clock jumped by more than a second.",
		}),
		warnings: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "nova_ingest_warnings", Help: "Streams that a health warning is in force for.",
		}, []string{"code"}),
	}
	for _, r := range reasons {
		m.dropped.WithLabelValues(string(r))
	}
	for _, c := range codes {
		m.warnings.WithLabelValues(string(c))
	}
	for _, c := range []prometheus.Collector{m.publications, m.units, m.bytes, m.dropped, m.jumps, m.warnings} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
