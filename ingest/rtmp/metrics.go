package rtmp

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"nova/ingest/rtmp/chunk"
	"nova/ingest/rtmp/guard"
)

// metrics of all connections. No label names a stream, a key or an address.
type metrics struct {
	connections *prometheus.GaugeVec   // by protocol
	accepted    *prometheus.CounterVec // by protocol
	publishers  prometheus.Gauge
	messages    *prometheus.CounterVec // by type
	bytes       *prometheus.CounterVec // by type
	dropped     *prometheus.CounterVec // by reason
	refused     *prometheus.CounterVec // by reason
	repairs     *prometheus.CounterVec // by kind
}

// Why a connection or a publish was refused or ended by the server, besides the guard's reasons.
const (
	refusedConnections = "connections"
	refusedAddress     = "connections_per_ip"
	refusedApp         = "app"
	refusedName        = "name"
	refusedKey         = "key"
	refusedThrottled   = "throttled"
	refusedUnknown     = "authorizer"
	refusedBusy        = "busy"
	refusedAgain       = "second_publish"
	refusedPlay        = "play"
	refusedCodec       = "codec"
	refusedHub         = "hub"
)

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nova_ingest_rtmp_" + name, Help: help}, []string{label})
	}
	m := &metrics{
		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "nova_ingest_rtmp_connections", Help: "Open connections.",
		}, []string{"protocol"}),
		publishers: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nova_ingest_rtmp_publishers", Help: "Connections that publish.",
		}),
		accepted: vec("accepted_connections_total", "Connections that were accepted.", "protocol"),
		messages: vec("messages_total", "Whole messages that came in.", "type"),
		bytes:    vec("received_bytes_total", "Payload bytes of whole messages that came in.", "type"),
		dropped:  vec("dropped_tags_total", "Audio and video tags that were left out.", "reason"),
		refused:  vec("refused_total", "Connections and publishes that were refused or ended by the server.", "reason"),
		repairs:  vec("repairs_total", "Messages that the guard put right or left out.", "kind"),
	}
	for _, c := range []prometheus.Collector{
		m.connections, m.publishers, m.accepted, m.messages, m.bytes, m.dropped, m.refused, m.repairs,
	} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("cannot register metrics: %w", err)
		}
	}
	for _, kind := range guard.Repairs() {
		m.repairs.WithLabelValues(string(kind))
	}
	return m, nil
}

// messageLabel bounds the type label.
func messageLabel(messageType uint8) string {
	switch messageType {
	case chunk.TypeAudio:
		return "audio"
	case chunk.TypeVideo:
		return "video"
	case chunk.TypeAggregate:
		return "aggregate"
	case chunk.TypeDataAMF0, chunk.TypeDataAMF3:
		return "data"
	case chunk.TypeCommandAMF0, chunk.TypeCommandAMF3:
		return "command"
	default:
		return "control"
	}
}
