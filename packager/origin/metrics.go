package origin

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	fetches  *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nova_packager_origin_requests_total",
			Help: "Answers by kind (multivariant, playlist, init, segment, poster, live, recordings, other) and HTTP status.",
		}, []string{"kind", "code"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nova_packager_origin_bytes_total",
			Help: "Bytes of bodies sent, by kind.",
		}, []string{"kind"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "nova_packager_origin_request_duration_seconds",
			Help:    "Time from a request to the last byte of its answer, by kind.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"kind"}),
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nova_packager_origin_fetches_total",
			Help: "Objects of S3 by how they were got: hit (in memory), joined (another request's fetch), fetched, failed.",
		}, []string{"result"}),
	}
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	reg.MustRegister(m.requests, m.bytes, m.seconds, m.fetches)
	return m
}

func (m *metrics) observe(a *answer) {
	m.requests.WithLabelValues(a.kind, strconv.Itoa(a.code)).Inc()
	m.bytes.WithLabelValues(a.kind).Add(float64(a.bytes))
	m.seconds.WithLabelValues(a.kind).Observe(time.Since(a.start).Seconds())
}
