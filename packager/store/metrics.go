package store

import (
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	uploads  *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	bytes    prometheus.Counter
	retries  *prometheus.CounterVec
	dropped  *prometheus.CounterVec
	sessions prometheus.Gauge
	finished *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, q *queue) *metrics {
	m := &metrics{
		uploads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nova_packager_store_uploads_total",
			Help: "Tries to store an object by kind (init, segment, playlist, multivariant, poster, marker, recording) and result.",
		}, []string{"kind", "result"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "nova_packager_store_upload_duration_seconds",
			Help:    "Time of one successful upload by kind.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"kind"}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nova_packager_store_bytes_total",
			Help: "Bytes stored.",
		}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nova_packager_store_retries_total",
			Help: "Uploads that will be tried again, by kind.",
		}, []string{"kind"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nova_packager_store_dropped_segments_total",
			Help: "Segments that became a gap in a recording: the queue was full (overflow), or the session was given up (abandoned).",
		}, []string{"reason"}),
		sessions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nova_packager_store_sessions",
			Help: "Sessions that are not finished in S3.",
		}),
		finished: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nova_packager_store_finished_sessions_total",
			Help: "Sessions that ended by result: recorded, empty, abandoned, recovered.",
		}, []string{"result"}),
	}
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	reg.MustRegister(m.uploads, m.seconds, m.bytes, m.retries, m.dropped, m.sessions, m.finished)
	registerDepth(reg, q)
	return m
}

func registerDepth(reg prometheus.Registerer, q *queue) {
	gauge := func(name, help string, value func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("nova_packager_store_queue_seconds", "Media of the rendition that waits longest for S3.", func() float64 {
		longest, _, _ := q.depth()
		return longest.Seconds()
	})
	gauge("nova_packager_store_queue_bytes", "Bytes of media that wait for S3.", func() float64 {
		_, bytes, _ := q.depth()
		return float64(bytes)
	})
	gauge("nova_packager_store_queue_objects", "Segments and initialization sections that wait for S3.", func() float64 {
		_, _, objects := q.depth()
		return float64(objects)
	})
}
