package telemetry

import "errors"

var (
	// ErrNoDriver says that this machine has no NVIDIA driver.
	ErrNoDriver = errors.New("telemetry: no NVIDIA driver (libnvidia-ml.so.1 was not found)")
	// ErrNotBuilt says that this program was built without NVML.
	ErrNotBuilt = errors.New("telemetry: NVML is not built in (that needs Linux and cgo)")
)

// MaxReport is above the size of any report as JSON, in bytes.
const MaxReport = 1 << 20

// Report is the state of every GPU. A field that the hardware, the driver or
// the permissions do not give is missing.
type Report struct {
	// Note says why there is nothing to report.
	Note   string  `json:"note,omitempty"`
	Driver *string `json:"driver,omitempty"` // version
	CUDA   *int    `json:"cuda,omitempty"`   // highest version of the driver, 1000·major + 10·minor
	GPUs   []GPU   `json:"gpus,omitempty"`
	// Using is the UUID of the GPU, or of the part of one, that the process
	// computes on.
	Using *string `json:"using,omitempty"`
}

// GPU is one device.
type GPU struct {
	Index             int     `json:"index"`
	Name              *string `json:"name,omitempty"`
	UUID              *string `json:"uuid,omitempty"`
	ComputeCapability *string `json:"compute_capability,omitempty"` // "9.0"

	MemoryTotal *uint64 `json:"memory_total_bytes,omitempty"`
	MemoryUsed  *uint64 `json:"memory_used_bytes,omitempty"`

	Utilization       *uint32 `json:"utilization_percent,omitempty"`
	MemoryUtilization *uint32 `json:"memory_utilization_percent,omitempty"`

	PowerMilliwatts      *uint32 `json:"power_mw,omitempty"`
	PowerLimitMilliwatts *uint32 `json:"power_limit_mw,omitempty"`
	EnergyMillijoules    *uint64 `json:"energy_mj,omitempty"` // since the driver was loaded

	TemperatureCelsius *uint32  `json:"temperature_c,omitempty"`
	ClockSM            *uint32  `json:"clock_sm_mhz,omitempty"`
	ClockMemory        *uint32  `json:"clock_memory_mhz,omitempty"`
	Throttle           []string `json:"throttle,omitempty"`    // of ThrottleReasons
	RunsFreely         *bool    `json:"runs_freely,omitempty"` // there is no such reason

	ECC              *bool   `json:"ecc,omitempty"`
	ECCUncorrected   *uint64 `json:"ecc_uncorrected,omitempty"` // since the last reset
	ECCCorrected     *uint64 `json:"ecc_corrected,omitempty"`
	RemappedRows     *int    `json:"remapped_rows,omitempty"`     // for uncorrectable errors
	RemappingPending *bool   `json:"remapping_pending,omitempty"` // a reset is needed
	RemappingFailed  *bool   `json:"remapping_failed,omitempty"`  // the board should be replaced
	MIG              *bool   `json:"mig,omitempty"`               // split into instances
	Instances        []MIG   `json:"instances,omitempty"`         // those that exist
}

// ThrottleReasons are the names of what slows a busy GPU down.
var ThrottleReasons = []string{"power cap", "hardware slowdown", "sync boost", "software thermal", "hardware thermal", "power brake"}

// MIG is one instance of a GPU that is split.
type MIG struct {
	UUID        *string `json:"uuid,omitempty"`
	Name        *string `json:"name,omitempty"`
	MemoryTotal *uint64 `json:"memory_total_bytes,omitempty"`
	MemoryUsed  *uint64 `json:"memory_used_bytes,omitempty"`
}
