package telemetry

import (
	"errors"
	"os"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// TestOpen: with a driver it opens, without one it says so in one line.
func TestOpen(t *testing.T) {
	_, statErr := os.Stat("/proc/driver/nvidia/version")
	r, err := Open()
	switch {
	case err == nil:
		if rep := r.Read(); statErr == nil && rep.Driver == nil {
			t.Error("a loaded driver has no version")
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	case !errors.Is(err, ErrNoDriver) && !errors.Is(err, ErrNotBuilt):
		t.Errorf("untyped error: %v", err)
	}
}

func TestCollector(t *testing.T) {
	power, energy, name := uint32(350_000), uint64(12_500), "Example"
	rep := Report{GPUs: []GPU{{Index: 0, Name: &name, PowerMilliwatts: &power, EnergyMillijoules: &energy, RunsFreely: new(bool), Throttle: []string{"power cap"}}, {Index: 1}}}
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(Collector(func() (Report, bool) { return rep, true }))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "assay_gpu_throttled" {
			for _, m := range f.Metric {
				for _, l := range m.Label {
					if l.GetName() == "reason" && (m.GetGauge().GetValue() == 1) != (l.GetValue() == "power cap") {
						t.Errorf("throttled: %v", m)
					}
				}
			}
			if len(f.Metric) != len(ThrottleReasons) {
				t.Errorf("%d reasons", len(f.Metric))
			}
			continue
		}
		if len(f.Metric) != 1 {
			t.Errorf("%s has %d samples", f.GetName(), len(f.Metric))
		}
		got[f.GetName()] = f.Metric[0].GetGauge().GetValue() + f.Metric[0].GetCounter().GetValue()
	}
	if len(got) != 2 || got["assay_gpu_power_watts"] != 350 || got["assay_gpu_energy_joules_total"] != 12.5 {
		t.Errorf("samples %v", got)
	}
}

func TestCollectorWithoutReport(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(Collector(func() (Report, bool) { return Report{}, false }))
	if families, err := reg.Gather(); err != nil || len(families) != 0 {
		t.Errorf("%d families, %v", len(families), err)
	}
}
