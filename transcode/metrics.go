package transcode

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"nova/transcode/job"
)

// queueNames are the worker's queues, by the stage that reads them: labels that are always there.
var queueNames = []string{"decode", "scale", "encode", "audio", "poster", "output"}

type metrics struct {
	streams    prometheus.Gauge
	workers    prometheus.Gauge
	frames     prometheus.Gauge
	queues     *prometheus.GaugeVec
	cores      prometheus.Collector
	speed      prometheus.Histogram
	lag        prometheus.Histogram
	gap        prometheus.Histogram
	restarts   *prometheus.CounterVec
	shed       prometheus.Counter
	refused    *prometheus.CounterVec
	errors     *prometheus.CounterVec
	dropped    *prometheus.CounterVec
	logDropped prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, a *admission) (*metrics, error) {
	m := &metrics{
		streams: gauge("streams", "Live streams that are looked after, with or without a worker."),
		workers: gauge("workers", "Child processes that transcode a stream."),
		frames:  gauge("frames_in_use", "Decoded frames that workers hold."),
		cores: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "nova_transcode_reserved_cores", Help: "Sum of the declared costs of the streams that are transcoded.",
		}, a.used),
		queues: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "nova_transcode_queue_depth_units",
			Help: "Units and frames that wait in the workers' queues, by the stage that reads them.",
		}, []string{"queue"}),
		speed: histogram("encode_speed_ratio", "How many times faster than real time each worker could go, once a second.",
			[]float64{0.25, 0.5, 0.75, 0.9, 1, 1.1, 1.5, 2, 3, 5, 10}),
		lag: histogram("lag_seconds", "How far each worker is behind ingest, once a second.",
			[]float64{0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30}),
		gap: histogram("gap_seconds", "Media missing from a rung after its worker was restarted.",
			[]float64{0, 0.05, 0.25, 0.5, 1, 2, 3, 5, 10}),
		restarts: counters("worker_restarts_total", "Workers started again, by why the last one went.", "reason"),
		shed:     counter("shed_rungs_total", "Rungs given up because the machine fell behind real time."),
		refused:  counters("admission_refused_total", "Streams that got fewer rungs than planned, or none, by what is scarce.", "reason"),
		errors:   counters("errors_total", "Errors that workers reported, by kind.", "kind"),
		dropped:  counters("units_dropped_total", "Units from workers that were not published, by reason.", "reason"),
		logDropped: counter("log_lines_dropped_total",
			"Lines that workers wrote on standard error and that were not logged."),
	}
	for _, name := range queueNames {
		m.queues.WithLabelValues(name)
	}
	for _, c := range []prometheus.Collector{
		m.streams, m.workers, m.frames, m.cores, m.queues, m.speed, m.lag, m.gap,
		m.restarts, m.shed, m.refused, m.errors, m.dropped, m.logDropped,
	} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("cannot register metrics: %w", err)
		}
	}
	return m, nil
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: "nova_transcode_" + name, Help: help})
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: "nova_transcode_" + name, Help: help})
}

func counters(name, help, label string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nova_transcode_" + name, Help: help}, []string{label})
}

func histogram(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: "nova_transcode_" + name, Help: help, Buckets: buckets})
}

// take replaces what the worker's last report added to the gauges with what this one says. A zero report takes
// the worker out.
func (m *metrics) take(last, now job.Report) {
	m.frames.Add(float64(now.FramesInUse - last.FramesInUse))
	for _, name := range queueNames {
		m.queues.WithLabelValues(name).Add(float64(now.Queues[name] - last.Queues[name]))
	}
	for _, kind := range job.ErrorKinds {
		if n, before := now.Errors[kind], last.Errors[kind]; n > before {
			m.errors.WithLabelValues(kind).Add(float64(n - before))
		}
	}
	if len(now.Shed) > len(last.Shed) {
		m.shed.Add(float64(len(now.Shed) - len(last.Shed)))
	}
	if now.Speed > 0 {
		m.speed.Observe(now.Speed)
		m.lag.Observe(now.Lag)
	}
}
