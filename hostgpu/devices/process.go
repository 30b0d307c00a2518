package devices

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/assaynet/assay/hostgpu/cudadev/driver"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/failover"
	"github.com/assaynet/assay/hostgpu/plugin"
	"github.com/assaynet/assay/hostgpu/telemetry"
)

// Device is an open device.
type Device struct {
	device.Device
	list  *failover.Backend // nil: one device in this process, or several
	parts []*Device         // those
}

// Parts is how many devices compute at once: a job uses one of them.
func (d *Device) Parts() int { return max(1, len(d.parts)) }

// GPU says whether a GPU computes, now.
func (d *Device) GPU() bool {
	name, _, _ := strings.Cut(d.Name(), "+")
	_, ok := gpuMaker(name)
	return ok
}

// NewSpaceNear implements device.Cluster.
func (d *Device) NewSpaceNear(from device.Space, limit int64) (device.Space, error) {
	return device.NewSpaceNear(d.Device, from, limit)
}

// ErrNoTelemetry says that telemetry is only read in a device process.
var ErrNoTelemetry = errors.New("devices: telemetry needs a device in a process of its own")

// Telemetry is the state of the machine's GPUs, as the device process that
// works now reports it. Where there is nothing to report, its Note says why.
func (d *Device) Telemetry(ctx context.Context) (telemetry.Report, error) {
	var r telemetry.Report
	if d.list == nil {
		// Each process reports all GPUs.
		err := ErrNoTelemetry
		for _, p := range d.parts {
			if r, err = p.Telemetry(ctx); err == nil {
				return r, nil
			}
		}
		return r, err
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

// Energy is what the GPUs of this device have used, in joules since the driver
// was loaded; false where that is not known, or the device is not a GPU.
func (d *Device) Energy(ctx context.Context) (joules float64, known bool) {
	for _, p := range d.parts {
		j, ok := p.Energy(ctx)
		if !ok {
			return 0, false
		}
		joules += j
	}
	if len(d.parts) > 0 {
		return joules, true
	}
	r, err := d.Telemetry(ctx)
	if err != nil || r.Using == nil {
		return 0, false
	}
	// A part of a split GPU has no meter of its own, and no entry here.
	for i := range r.GPUs {
		if g := &r.GPUs[i]; g.UUID != nil && *g.UUID == *r.Using && g.EnergyMillijoules != nil {
			return float64(*g.EnergyMillijoules) / 1000, true
		}
	}
	return 0, false
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

// compileTimeout is how long a GPU's process may take to start: on its first
// start the driver compiles the kernels; it then keeps the result.
const compileTimeout = 5 * time.Minute

// lazyEnv says when the driver loads kernels.
const lazyEnv = "CUDA_MODULE_LOADING"

func openProcess(name string, cfg Config) (device.Backend, error) {
	p := *cfg.Process
	if p.Path == "" {
		exe, err := os.Executable()
		if err != nil {
			return nil, err
		}
		p.Path = exe
	}
	start, env := time.Duration(0), p.Env
	if _, gpu := gpuMaker(name); gpu {
		start = compileTimeout
		// Kernels take their memory now, not when a job has the rest.
		if _, set := os.LookupEnv(lazyEnv); !set {
			env = append(slices.Clone(env), lazyEnv+"=EAGER")
		}
	}
	if p.StartTimeout != 0 {
		start = p.StartTimeout
	}
	return plugin.NewBackend(plugin.Config{
		StartTimeout: start, Path: p.Path, Args: append(append([]string{}, p.Args...), cfg.ServeFlags(name)...), Env: env, Stderr: p.Stderr,
		HangTimeout: p.HangTimeout, MaxCrashes: p.MaxCrashes, CrashWindow: p.CrashWindow,
	})
}

// Serve is the other end of Config.Process: it serves a device to the process
// that started this one, with telemetry where there is a driver, and returns at
// the end.
func Serve(name string, cfg Config) error {
	first, _, err := resolve(name)
	if err != nil {
		return err
	}
	if len(first) > 1 {
		return fmt.Errorf("devices: a process serves one device, not %q", name)
	}
	b, err := first[0].make(cfg)
	if err != nil {
		return err
	}
	reader, note := telemetry.Open()
	if note == nil {
		defer reader.Close()
	}
	plugin.Serve(plugin.ServeConfig{Backend: b, Telemetry: func(context.Context) ([]byte, error) {
		r := telemetry.Report{}
		if note != nil {
			r.Note = note.Error()
		} else {
			r = reader.Read()
		}
		if g, ok := b.(gpu); ok {
			id := g.Info().UUID
			r.Using = &id
		}
		return json.Marshal(r)
	}})
	return b.Close()
}

// gpu is a backend that knows which GPU it is.
type gpu interface{ Info() driver.Info }
