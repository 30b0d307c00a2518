//go:build !cgo || !linux

package telemetry

// NVML is never made: this build has none.
type NVML struct{}

// OpenNVML fails with ErrNotBuilt.
func OpenNVML() (*NVML, error) { return nil, ErrNotBuilt }

// Read is never reached: there is no NVML.
func (*NVML) Read() Report { return Report{} }

// Close is never reached either.
func (*NVML) Close() error { return nil }
