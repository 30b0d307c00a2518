package telemetry

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// gauges are the metrics of one GPU; a missing field gives no sample.
var gauges = []struct {
	name, help string
	counter    bool
	value      func(*GPU) (float64, bool)
}{
	{"memory_total_bytes", "Memory of the GPU.", false, func(g *GPU) (float64, bool) { return number(g.MemoryTotal, 1) }},
	{"memory_used_bytes", "Memory in use.", false, func(g *GPU) (float64, bool) { return number(g.MemoryUsed, 1) }},
	{"utilization_ratio", "Share of time in which a kernel ran.", false, func(g *GPU) (float64, bool) { return number(g.Utilization, 0.01) }},
	{"power_watts", "Power drawn.", false, func(g *GPU) (float64, bool) { return number(g.PowerMilliwatts, 1e-3) }},
	{"power_limit_watts", "Power limit in force.", false, func(g *GPU) (float64, bool) { return number(g.PowerLimitMilliwatts, 1e-3) }},
	{"energy_joules_total", "Energy used since the driver was loaded.", true, func(g *GPU) (float64, bool) { return number(g.EnergyMillijoules, 1e-3) }},
	{"temperature_celsius", "Temperature of the GPU.", false, func(g *GPU) (float64, bool) { return number(g.TemperatureCelsius, 1) }},
	{"clock_sm_hertz", "Clock of the multiprocessors.", false, func(g *GPU) (float64, bool) { return number(g.ClockSM, 1e6) }},
	{"clock_memory_hertz", "Clock of the memory.", false, func(g *GPU) (float64, bool) { return number(g.ClockMemory, 1e6) }},
	{"ecc_uncorrected_errors", "Uncorrected memory errors since the last reset.", false, func(g *GPU) (float64, bool) { return number(g.ECCUncorrected, 1) }},
	{"remapped_rows", "Memory rows remapped for uncorrectable errors.", false, func(g *GPU) (float64, bool) { return number(g.RemappedRows, 1) }},
}

func number[T int | uint32 | uint64](v *T, unit float64) (float64, bool) {
	if v == nil {
		return 0, false
	}
	return float64(*v) * unit, true
}

// Collector exposes reports as Prometheus metrics named assay_gpu_*, labelled
// with index, uuid and name. read is called for each scrape; a false result
// gives no samples.
func Collector(read func() (Report, bool)) prometheus.Collector {
	c := &collector{read: read}
	for _, g := range gauges {
		c.descs = append(c.descs, prometheus.NewDesc("assay_gpu_"+g.name, g.help, []string{"gpu", "uuid", "name"}, nil))
	}
	return c
}

type collector struct {
	read  func() (Report, bool)
	descs []*prometheus.Desc
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	r, ok := c.read()
	if !ok {
		return
	}
	for i := range r.GPUs {
		g := &r.GPUs[i]
		labels := []string{strconv.Itoa(g.Index), text(g.UUID), text(g.Name)}
		for j := range gauges {
			v, ok := gauges[j].value(g)
			if !ok {
				continue
			}
			kind := prometheus.GaugeValue
			if gauges[j].counter {
				kind = prometheus.CounterValue
			}
			ch <- prometheus.MustNewConstMetric(c.descs[j], kind, v, labels...)
		}
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
