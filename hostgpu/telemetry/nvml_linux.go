//go:build cgo

package telemetry

import (
	"fmt"
	"sync"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// library is what is needed of NVML.
type library interface {
	SystemGetDriverVersion() (string, nvml.Return)
	SystemGetCudaDriverVersion() (int, nvml.Return)
	DeviceGetCount() (int, nvml.Return)
	DeviceGetHandleByIndex(int) (nvml.Device, nvml.Return)
	Shutdown() nvml.Return
}

// NVML is the library in this process. It is safe for concurrent use.
type NVML struct {
	mu     sync.Mutex
	lib    library
	has    func(symbol string) bool
	closed bool
}

// OpenNVML loads NVML into this process. ErrNoDriver if the machine has no driver.
func OpenNVML() (*NVML, error) {
	lib := nvml.New()
	switch ret := lib.Init(); ret {
	case nvml.SUCCESS:
	case nvml.ERROR_LIBRARY_NOT_FOUND, nvml.ERROR_DRIVER_NOT_LOADED:
		return nil, ErrNoDriver
	default:
		return nil, fmt.Errorf("telemetry: NVML: %v", ret)
	}
	return &NVML{lib: lib, has: func(symbol string) bool { return lib.Extensions().LookupSymbol(symbol) == nil }}, nil
}

// Close unloads NVML. Idempotent.
func (r *NVML) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	if ret := r.lib.Shutdown(); ret != nvml.SUCCESS {
		return fmt.Errorf("telemetry: NVML: %v", ret)
	}
	return nil
}

// Read reads the state of every GPU, a few milliseconds each. A closed NVML
// reports nothing.
func (r *NVML) Read() Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out Report
	if r.closed {
		return out
	}
	if v, ret := r.lib.SystemGetDriverVersion(); ret == nvml.SUCCESS {
		out.Driver = &v
	}
	if v, ret := r.lib.SystemGetCudaDriverVersion(); ret == nvml.SUCCESS {
		out.CUDA = &v
	}
	n, ret := r.lib.DeviceGetCount()
	if ret != nvml.SUCCESS {
		return out
	}
	for i := range n {
		g := GPU{Index: i}
		if d, ret := r.lib.DeviceGetHandleByIndex(i); ret == nvml.SUCCESS {
			r.fill(&g, d)
		}
		out.GPUs = append(out.GPUs, g)
	}
	return out
}

// field stores what a call returned, if the driver has the call and it worked.
func field[T any](r *NVML, symbol string, dst **T, call func() (T, nvml.Return)) {
	if !r.has(symbol) {
		return
	}
	if v, ret := call(); ret == nvml.SUCCESS {
		*dst = &v
	}
}

func (r *NVML) fill(g *GPU, d nvml.Device) {
	field(r, "nvmlDeviceGetName", &g.Name, d.GetName)
	field(r, "nvmlDeviceGetUUID", &g.UUID, d.GetUUID)
	field(r, "nvmlDeviceGetCudaComputeCapability", &g.ComputeCapability, func() (string, nvml.Return) {
		major, minor, ret := d.GetCudaComputeCapability()
		return fmt.Sprintf("%d.%d", major, minor), ret
	})
	if r.has("nvmlDeviceGetMemoryInfo") {
		if m, ret := d.GetMemoryInfo(); ret == nvml.SUCCESS {
			g.MemoryTotal, g.MemoryUsed = &m.Total, &m.Used
		}
	}
	if r.has("nvmlDeviceGetUtilizationRates") {
		if u, ret := d.GetUtilizationRates(); ret == nvml.SUCCESS {
			g.Utilization, g.MemoryUtilization = &u.Gpu, &u.Memory
		}
	}
	field(r, "nvmlDeviceGetPowerUsage", &g.PowerMilliwatts, d.GetPowerUsage)
	field(r, "nvmlDeviceGetEnforcedPowerLimit", &g.PowerLimitMilliwatts, d.GetEnforcedPowerLimit)
	field(r, "nvmlDeviceGetTotalEnergyConsumption", &g.EnergyMillijoules, d.GetTotalEnergyConsumption)
	field(r, "nvmlDeviceGetTemperature", &g.TemperatureCelsius, func() (uint32, nvml.Return) { return d.GetTemperature(nvml.TEMPERATURE_GPU) })
	field(r, "nvmlDeviceGetClockInfo", &g.ClockSM, func() (uint32, nvml.Return) { return d.GetClockInfo(nvml.CLOCK_SM) })
	field(r, "nvmlDeviceGetClockInfo", &g.ClockMemory, func() (uint32, nvml.Return) { return d.GetClockInfo(nvml.CLOCK_MEM) })
	var reasons *uint64
	field(r, "nvmlDeviceGetCurrentClocksEventReasons", &reasons, d.GetCurrentClocksEventReasons)
	// The name until driver 535.
	if reasons == nil {
		field(r, "nvmlDeviceGetCurrentClocksThrottleReasons", &reasons, d.GetCurrentClocksThrottleReasons)
	}
	if reasons != nil {
		free := len(throttleReasons(*reasons)) == 0
		g.RunsFreely, g.Throttle = &free, throttleReasons(*reasons)
	}
	field(r, "nvmlDeviceGetEccMode", &g.ECC, func() (bool, nvml.Return) {
		now, _, ret := d.GetEccMode()
		return now == nvml.FEATURE_ENABLED, ret
	})
	if g.ECC != nil && *g.ECC {
		const symbol = "nvmlDeviceGetTotalEccErrors"
		field(r, symbol, &g.ECCUncorrected, func() (uint64, nvml.Return) {
			return d.GetTotalEccErrors(nvml.MEMORY_ERROR_TYPE_UNCORRECTED, nvml.VOLATILE_ECC)
		})
		field(r, symbol, &g.ECCCorrected, func() (uint64, nvml.Return) {
			return d.GetTotalEccErrors(nvml.MEMORY_ERROR_TYPE_CORRECTED, nvml.VOLATILE_ECC)
		})
	}
	if r.has("nvmlDeviceGetRemappedRows") {
		if _, rows, pending, failed, ret := d.GetRemappedRows(); ret == nvml.SUCCESS {
			g.RemappedRows, g.RemappingPending, g.RemappingFailed = &rows, &pending, &failed
		}
	}
	field(r, "nvmlDeviceGetMigMode", &g.MIG, func() (bool, nvml.Return) {
		now, _, ret := d.GetMigMode()
		return now == nvml.DEVICE_MIG_ENABLE, ret
	})
	if g.MIG != nil && *g.MIG {
		r.instances(g, d)
	}
}

// maxInstances bounds what the driver may say; hardware has at most 7.
const maxInstances = 64

// instances lists the MIG instances of a GPU that is split.
func (r *NVML) instances(g *GPU, d nvml.Device) {
	if !r.has("nvmlDeviceGetMaxMigDeviceCount") || !r.has("nvmlDeviceGetMigDeviceHandleByIndex") {
		return
	}
	n, ret := d.GetMaxMigDeviceCount()
	if ret != nvml.SUCCESS {
		return
	}
	for i := range min(n, maxInstances) {
		m, ret := d.GetMigDeviceHandleByIndex(i)
		if ret != nvml.SUCCESS {
			continue // that place is free
		}
		var in MIG
		field(r, "nvmlDeviceGetUUID", &in.UUID, m.GetUUID)
		field(r, "nvmlDeviceGetName", &in.Name, m.GetName)
		if r.has("nvmlDeviceGetMemoryInfo") {
			if mem, ret := m.GetMemoryInfo(); ret == nvml.SUCCESS {
				in.MemoryTotal, in.MemoryUsed = &mem.Total, &mem.Used
			}
		}
		g.Instances = append(g.Instances, in)
	}
}

// throttleReasons names the bits of NVML's clocks event reasons that slow a
// busy GPU down (nvml.h, nvmlClocksEventReasons).
func throttleReasons(bits uint64) []string {
	var out []string
	for i, bit := range []uint64{0x4, 0x8, 0x10, 0x20, 0x40, 0x80} {
		if bits&bit != 0 {
			out = append(out, ThrottleReasons[i])
		}
	}
	return out
}
