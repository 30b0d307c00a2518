package telemetry

import (
	"slices"
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
	{"memory_utilization_ratio", "Share of time in which memory was read or written.", false, func(g *GPU) (float64, bool) { return number(g.MemoryUtilization, 0.01) }},
	{"ecc_enabled", "1 if memory errors are corrected.", false, func(g *GPU) (float64, bool) { return flag(g.ECC) }},
	{"ecc_corrected_errors", "Corrected memory errors since the last reset.", false, func(g *GPU) (float64, bool) { return number(g.ECCCorrected, 1) }},
	{"ecc_uncorrected_errors", "Uncorrected memory errors since the last reset.", false, func(g *GPU) (float64, bool) { return number(g.ECCUncorrected, 1) }},
	{"remapped_rows", "Memory rows remapped for uncorrectable errors.", false, func(g *GPU) (float64, bool) { return number(g.RemappedRows, 1) }},
	{"remapping_pending", "1 if a reset is needed to remap rows.", false, func(g *GPU) (float64, bool) { return flag(g.RemappingPending) }},
	{"remapping_failed", "1 if rows could not be remapped: replace the board.", false, func(g *GPU) (float64, bool) { return flag(g.RemappingFailed) }},
	{"mig_enabled", "1 if the GPU is split into instances.", false, func(g *GPU) (float64, bool) { return flag(g.MIG) }},
	{"mig_instances", "Instances that a GPU is split into.", false, func(g *GPU) (float64, bool) {
		return float64(len(g.Instances)), g.MIG != nil && *g.MIG
	}},
}

func flag(v *bool) (float64, bool) {
	switch {
	case v == nil:
		return 0, false
	case *v:
		return 1, true
	}
	return 0, true
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
	c.throttled = prometheus.NewDesc("assay_gpu_throttled", "1 if the GPU is slowed down for this reason.",
		[]string{"gpu", "uuid", "name", "reason"}, nil)
	return c
}

type collector struct {
	read      func() (Report, bool)
	descs     []*prometheus.Desc
	throttled *prometheus.Desc
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
	ch <- c.throttled
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
		if g.RunsFreely == nil {
			continue
		}
		for _, reason := range ThrottleReasons {
			v := 0.0
			if slices.Contains(g.Throttle, reason) {
				v = 1
			}
			ch <- prometheus.MustNewConstMetric(c.throttled, prometheus.GaugeValue, v, append(labels, reason)...)
		}
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
