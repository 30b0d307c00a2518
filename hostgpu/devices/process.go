package devices

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/failover"
	"github.com/assaynet/assay/hostgpu/plugin"
	"github.com/assaynet/assay/hostgpu/telemetry"
)

// Device is an open device.
type Device struct {
	device.Device
	list *failover.Backend // nil: one device in this process
}

// ErrNoTelemetry says that telemetry is only read in a device process.
var ErrNoTelemetry = errors.New("devices: telemetry needs a device in a process of its own")

// Telemetry is the state of the machine's GPUs, as the device process that
// works now reports it. Where there is nothing to report, its Note says why.
func (d *Device) Telemetry(ctx context.Context) (telemetry.Report, error) {
	var r telemetry.Report
	if d.list == nil {
		return r, ErrNoTelemetry
	}
	var raw []byte
	err := d.list.Inner(func(b device.Backend) (err error) {
		p, ok := b.(*plugin.Backend)
		if !ok {
			return ErrNoTelemetry
		}
		raw, err = p.Telemetry(ctx)
		return err
	})
	if err != nil {
		return r, err
	}
	if len(raw) > telemetry.MaxReport {
		return r, fmt.Errorf("devices: telemetry of %d bytes", len(raw))
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return telemetry.Report{}, fmt.Errorf("devices: telemetry: %w", err)
	}
	return r, nil
}

// Energy is what the GPU of this device has used, in joules since its driver
// was loaded; false where that is not known, or the device is not a GPU.
func (d *Device) Energy(ctx context.Context) (joules float64, known bool) {
	m, err := findOne(d.Name())
	if err != nil || !m.gpu {
		return 0, false
	}
	r, err := d.Telemetry(ctx)
	// A device computes on the first GPU.
	if err != nil || len(r.GPUs) == 0 || r.GPUs[0].EnergyMillijoules == nil {
		return 0, false
	}
	return float64(*r.GPUs[0].EnergyMillijoules) / 1000, true
}

// Pid is the id of the process that serves the device now; empty if none does.
func (d *Device) Pid() string {
	var pid string
	if d.list == nil {
		return pid
	}
	_ = d.list.Inner(func(b device.Backend) error {
		if p, ok := b.(*plugin.Backend); ok {
			pid = p.Pid()
		}
		return nil
	})
	return pid
}

func openProcess(name string, cfg Config) (device.Backend, error) {
	p := *cfg.Process
	if p.Path == "" {
		exe, err := os.Executable()
		if err != nil {
			return nil, err
		}
		p.Path = exe
	}
	return plugin.NewBackend(plugin.Config{
		Path: p.Path, Args: append(append([]string{}, p.Args...), cfg.ServeFlags(name)...), Env: p.Env, Stderr: p.Stderr,
		HangTimeout: p.HangTimeout, MaxCrashes: p.MaxCrashes, CrashWindow: p.CrashWindow,
	})
}

// Serve is the other end of Config.Process: it serves a device to the process
// that started this one, with telemetry where there is a driver, and returns at
// the end.
func Serve(name string, cfg Config) error {
	list, err := find(name)
	if err != nil {
		return err
	}
	b, err := list[0].make(cfg)
	if err != nil {
		return err
	}
	reader, note := telemetry.Open()
	if note == nil {
		defer reader.Close()
	}
	plugin.Serve(plugin.ServeConfig{Backend: b, Telemetry: func(context.Context) ([]byte, error) {
		if note != nil {
			return json.Marshal(telemetry.Report{Note: note.Error()})
		}
		return json.Marshal(reader.Read())
	}})
	return b.Close()
}
