package blob

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	bytes    *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	return &metrics{
		requests: register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nova_blob_requests_total",
			Help: "Calls to S3 by operation and outcome: ok, an HTTP status, timeout, canceled or network.",
		}, []string{"op", "code"})),
		seconds: register(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "nova_blob_request_duration_seconds",
			Help:    "Time of a call to S3, its tries included; of a get, until the body begins.",
			Buckets: []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"op"})),
		bytes: register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nova_blob_bytes_total",
			Help: "Bytes of objects moved, by direction: put or get.",
		}, []string{"direction"})),
	}
}

// register adds c, or finds the one that is there already: in one process several services have a bucket each.
func register[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	err := reg.Register(c)
	var there prometheus.AlreadyRegisteredError
	if errors.As(err, &there) {
		if same, ok := there.ExistingCollector.(C); ok {
			return same
		}
	}
	if err != nil {
		panic(err) // two metrics of one name: a mistake in the program
	}
	return c
}

func (m *metrics) observe(op string, err error, took time.Duration) {
	m.requests.WithLabelValues(op, code(err)).Inc()
	m.seconds.WithLabelValues(op).Observe(took.Seconds())
}
