package main

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/devices"
	"github.com/assaynet/assay/hostgpu/failover"
	"github.com/assaynet/assay/hostgpu/telemetry"
	"github.com/assaynet/assay/runtime/gateway"
	"github.com/assaynet/assay/runtime/miner"
	"github.com/assaynet/assay/verifier/auditor"
)

// telemetryTimeout bounds how long a scrape waits for the device process.
const telemetryTimeout = 2 * time.Second

// metrics are a miner's Prometheus metrics, named assay_*. It is safe for
// concurrent use.
type metrics struct {
	registry *prometheus.Registry

	height, epoch, claimed                                prometheus.Gauge
	units, commits, opened, demands, errs, settled, voids prometheus.Counter
	reward                                                prometheus.Counter
	answers                                               *prometheus.CounterVec // by outcome
	tokens                                                prometheus.Counter
	answerSeconds                                         prometheus.Histogram
	failures                                              *prometheus.CounterVec // by what came of it

	mu       sync.Mutex
	computed map[uint64]uint64 // units last seen, by epoch; the newest only
}

func newMetrics() *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), computed: map[uint64]uint64{}}
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "assay", Name: name, Help: help})
		m.registry.MustRegister(g)
		return g
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "assay", Name: name, Help: help})
		m.registry.MustRegister(c)
		return c
	}
	vector := func(name, help, label string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "assay", Name: name, Help: help}, []string{label})
		m.registry.MustRegister(c)
		return c
	}
	m.height = gauge("chain_height", "Height of the last block that the node has told of.")
	m.epoch = gauge("chain_epoch", "Epoch of that block.")
	m.claimed = gauge("miner_claimed_units", "Units that the chain holds a claim of in the running epoch.")
	m.units = counter("miner_units_total", "Units of the sprint that were computed and stored.")
	m.commits = counter("miner_commitments_total", "Commitments and extensions that the chain took.")
	m.opened = counter("miner_opened_units_total", "Units that were opened to validators.")
	m.demands = counter("miner_demands_answered_total", "Demands on chain that were answered.")
	m.settled = counter("miner_epochs_settled_total", "Epochs that were settled while this miner followed.")
	m.voids = counter("miner_epochs_unpaid_total", "Settled epochs that paid this miner nothing.")
	m.reward = counter("miner_reward_gnk_total", "GNK that those epochs paid.")
	m.errs = counter("errors_total", "Errors that were told; the run goes on after them.")
	m.answers = vector("inference_requests_total", "Requests of clients that were carried out.", "outcome")
	m.tokens = counter("inference_tokens_total", "Tokens that were answered.")
	m.answerSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "assay", Name: "inference_request_seconds",
		Help: "Time at work for a request.", Buckets: prometheus.ExponentialBuckets(0.05, 2, 12)})
	m.failures = vector("device_events_total", "Failures of the device that computes, by what came of them.", "outcome")
	m.registry.MustRegister(m.answerSeconds, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// told observes what a person is told.
func (m *metrics) told(e event) {
	switch e.Event {
	case evBlock:
		m.height.Set(float64(e.Height))
		m.epoch.Set(float64(e.Epoch))
	case evCommitted:
		m.commits.Inc()
		m.claimed.Set(float64(e.Units))
	case evServed:
		m.opened.Add(float64(e.Units))
	case evAnswered:
		m.demands.Inc()
	case evError:
		m.errs.Inc()
	case evSettled:
		m.settled.Inc()
		m.reward.Add(e.reward)
		if e.reward == 0 {
			m.voids.Inc()
		}
	}
}

// mining observes the units, which nobody is told one by one.
func (m *metrics) mining(e miner.Event) {
	if e.Kind != miner.EventEpoch && e.Kind != miner.EventUnits {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	before, known := m.computed[e.Epoch]
	if !known {
		clear(m.computed)
		m.claimed.Set(0)
	}
	m.computed[e.Epoch] = e.Units
	if e.Kind == miner.EventUnits && e.Units > before {
		m.units.Add(float64(e.Units - before))
	}
}

func (m *metrics) answered(a gateway.Answer) {
	outcome := "answered"
	switch {
	case a.Err != nil:
		outcome = "failed"
	case a.Trap != 0:
		outcome = "trapped"
	}
	m.answers.WithLabelValues(outcome).Inc()
	m.tokens.Add(float64(a.Tokens))
	m.answerSeconds.Observe(a.Took.Seconds())
}

// failed observes the device.
func (m *metrics) failed(e failover.Event) {
	names := map[failover.EventKind]string{failover.Restarted: "restarted", failover.FellBack: "fell_back",
		failover.Skipped: "skipped", failover.Exhausted: "exhausted", failover.Overflowed: "overflowed"}
	m.failures.WithLabelValues(names[e.Kind]).Inc()
}

// audits adds the counters of an auditor.
func (m *metrics) audits(stats func() auditor.Stats) {
	for _, c := range []struct {
		name, help string
		value      func(auditor.Stats) uint64
	}{
		{"rounds_total", "Rounds of audit that were taken up.", func(s auditor.Stats) uint64 { return s.Rounds }},
		{"claims_total", "Claims that were fully checked.", func(s auditor.Stats) uint64 { return s.Claims }},
		{"units_total", "Units that were re-executed.", func(s auditor.Stats) uint64 { return s.Units }},
		{"false_units_total", "Units of others that are false.", func(s auditor.Stats) uint64 { return s.False }},
		{"unserved_claims_total", "Claims that were not served in full in time.", func(s auditor.Stats) uint64 { return s.Unserved }},
		{"reports_total", "Reports of false units that the network took.", func(s auditor.Stats) uint64 { return s.Reports }},
		{"demands_total", "Demands of withheld units that the network took.", func(s auditor.Stats) uint64 { return s.Demands }},
		{"verdicts_total", "Verdicts that were seen on chain.", func(s auditor.Stats) uint64 { return s.Verdicts }},
		{"fetches_total", "Requests for openings.", func(s auditor.Stats) uint64 { return s.Fetches }},
		{"failed_fetches_total", "Requests for openings that failed.", func(s auditor.Stats) uint64 { return s.FetchErrs }},
		{"crossed_units_total", "Units of others' verdicts that were re-executed.", func(s auditor.Stats) uint64 { return s.Crossed }},
		{"exposed_total", "Validators' keyed digests that were reported as wrong.", func(s auditor.Stats) uint64 { return s.Exposed }},
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(
			prometheus.CounterOpts{Namespace: "assay", Subsystem: "audit", Name: c.name, Help: c.help},
			func() float64 { return float64(c.value(stats())) }))
	}
}

// gpus adds the state of the GPUs, where the device has a process that reads it.
func (m *metrics) gpus(d device.Device) {
	dev, ok := d.(*devices.Device)
	if !ok {
		return
	}
	m.registry.MustRegister(telemetry.Collector(func() (telemetry.Report, bool) {
		ctx, cancel := context.WithTimeout(context.Background(), telemetryTimeout)
		defer cancel()
		r, err := dev.Telemetry(ctx)
		return r, err == nil
	}))
}

// handler serves everything at /metrics.
func (m *metrics) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}
