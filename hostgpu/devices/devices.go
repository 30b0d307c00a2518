package devices

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/plugin"
	"github.com/assaynet/assay/hostgpu/telemetry"
	"github.com/assaynet/assay/hostgpu/wasmdev"
)

// ErrUnknown says that no device has this name.
var ErrUnknown = errors.New("devices: unknown device")

// Auto is the fastest device of the machine.
const Auto = "auto"

// Config of Open. The zero value is usable.
type Config struct {
	Threads     int   // of cpudev; 0 is all cores
	MemoryBytes int64 // most that tensors may take; 0 is what the device has
	// Process runs the device in a process of its own; nil: in this one.
	Process *Process
}

// Process says how to start this program as a device process.
type Process struct {
	Path   string   // executable; empty is this one
	Args   []string // the command that calls Serve; ServeFlags are added
	Stderr io.Writer
}

// maker builds one implementation.
type maker struct {
	name   string
	detail func() string
	make   func(Config) (device.Backend, error)
}

// makers are in order of preference.
var makers = []maker{
	{"cpudev", cpuDetail, func(c Config) (device.Backend, error) {
		return cpudev.NewBackend(cpudev.Config{Threads: c.Threads, Memory: c.MemoryBytes})
	}},
	{"wasmdev", func() string { return "reference kernels in WebAssembly, one thread" }, func(c Config) (device.Backend, error) {
		return wasmdev.NewBackend(wasmdev.Config{MemoryBytes: c.MemoryBytes})
	}},
}

func cpuDetail() string {
	var isas []string
	for _, isa := range cpudev.Available() {
		isas = append(isas, string(isa))
	}
	return "processor: " + strings.Join(isas, ", ")
}

// Info describes a device that can be opened.
type Info struct {
	Name   string `json:"name"`
	Detail string `json:"detail"`
}

// List returns the devices of this machine, fastest first.
func List() []Info {
	out := make([]Info, len(makers))
	for i, m := range makers {
		out[i] = Info{m.name, m.detail()}
	}
	return out
}

func find(name string) (maker, error) {
	if name == Auto || name == "" {
		return makers[0], nil
	}
	var known []string
	for _, m := range makers {
		if m.name == name {
			return m, nil
		}
		known = append(known, m.name)
	}
	return maker{}, fmt.Errorf("%w %q (there are: auto, %s)", ErrUnknown, name, strings.Join(known, ", "))
}

// Open opens a device by name.
func Open(name string, cfg Config) (device.Device, error) {
	m, err := find(name)
	if err != nil {
		return nil, err
	}
	if cfg.Process != nil {
		return openProcess(m.name, cfg)
	}
	b, err := m.make(cfg)
	if err != nil {
		return nil, err
	}
	return device.New(b), nil
}

// ServeFlags are the flags that the serving command must know, with what this
// configuration says of the device.
func (c Config) ServeFlags(name string) []string {
	return []string{"--device", name, "--threads", strconv.Itoa(c.Threads), "--memory", strconv.FormatInt(c.MemoryBytes, 10)}
}

func openProcess(name string, cfg Config) (device.Device, error) {
	p := *cfg.Process
	if p.Path == "" {
		exe, err := os.Executable()
		if err != nil {
			return nil, err
		}
		p.Path = exe
	}
	args := append(append([]string{}, p.Args...), cfg.ServeFlags(name)...)
	return plugin.New(plugin.Config{Path: p.Path, Args: args, Stderr: p.Stderr})
}

// Serve is the other end of Config.Process: it serves a device to the process
// that started this one, with telemetry where there is a driver, and returns at
// the end.
func Serve(name string, cfg Config) error {
	m, err := find(name)
	if err != nil {
		return err
	}
	b, err := m.make(cfg)
	if err != nil {
		return err
	}
	sc := plugin.ServeConfig{Backend: b}
	if r, err := telemetry.Open(); err == nil {
		defer r.Close()
		sc.Telemetry = func(context.Context) ([]byte, error) { return json.Marshal(r.Read()) }
	}
	plugin.Serve(sc)
	return b.Close()
}
