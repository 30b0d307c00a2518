package devices

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/cudadev"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/failover"
	"github.com/assaynet/assay/hostgpu/wasmdev"
)

// ErrUnknown says that no device has this name.
var ErrUnknown = errors.New("devices: unknown device")

// Light is a device that every machine has and that costs nothing to open.
const Light = "cpudev"

// Auto is all devices of the machine, fastest first.
const Auto = "auto"

// Config of Open. The zero value is usable.
type Config struct {
	Threads     int   // of cpudev; 0 is all cores
	MemoryBytes int64 // most that tensors may take; 0 is what the device has
	// Process runs each device in a process of its own; nil: in this one.
	Process *Process
	// JournalBytes bounds what is kept to restore a device that fails; 0 is
	// the default of failover.Config.
	JournalBytes int64
	// Notify is told when a device fails, is restored or is given up. Nil:
	// nobody is told.
	Notify func(failover.Event)
}

// Process says how to start this program as a device process.
type Process struct {
	Path   string   // executable; empty is this one
	Args   []string // the command that calls Serve; ServeFlags are added
	Env    []string // added to this process's environment
	Stderr io.Writer
	// StartTimeout, HangTimeout, MaxCrashes and CrashWindow are those of
	// plugin.Config.
	StartTimeout time.Duration
	HangTimeout  time.Duration
	MaxCrashes   int
	CrashWindow  time.Duration
}

// maker builds one implementation.
type maker struct {
	name   string
	gpu    bool // computes on the GPUs that telemetry reports
	detail func() string
	make   func(Config) (device.Backend, error)
}

// processors are the makers that every machine has, in order of preference;
// GPUs come before them.
var processors = []maker{
	{"cpudev", false, cpuDetail, func(c Config) (device.Backend, error) {
		return cpudev.NewBackend(cpudev.Config{Threads: c.Threads, Memory: c.MemoryBytes})
	}},
	{"wasmdev", false, func() string { return "reference kernels in WebAssembly, one thread" }, func(c Config) (device.Backend, error) {
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

// makers are the devices of this machine, in order of preference.
func makers() []maker { return append(gpuMakers(), processors...) }

// Info describes a device that can be opened.
type Info struct {
	Name   string `json:"name"`
	Detail string `json:"detail"`
	GPU    bool   `json:"gpu,omitempty"`
}

// List returns the devices of this machine, fastest first.
func List() []Info {
	var out []Info
	for _, m := range makers() {
		out = append(out, Info{m.name, m.detail(), m.gpu})
	}
	return out
}

// resolve finds what a list of names means: devices that share the work, and
// those that come after them.
func resolve(names string) (first, rest []maker, err error) {
	if names == Auto || names == "" {
		if gpus := gpuMakers(); len(gpus) > 0 {
			return gpus, processors, nil
		}
		return processors[:1], processors[1:], nil
	}
	for i, part := range strings.Split(names, ",") {
		var group []maker
		for _, name := range strings.Split(part, "+") {
			m, err := findOne(strings.TrimSpace(name))
			if err != nil {
				return nil, nil, err
			}
			for _, o := range slices.Concat(first, rest, group) {
				if o.name == m.name {
					return nil, nil, fmt.Errorf("devices: %s is named twice in %q", m.name, names)
				}
			}
			group = append(group, m)
		}
		if i == 0 {
			first = group
		} else if rest = append(rest, group...); len(group) > 1 {
			return nil, nil, fmt.Errorf("devices: only the first of a list can be several at once, not %q", part)
		}
	}
	return first, rest, nil
}

func findOne(name string) (maker, error) {
	if m, ok := gpuMaker(name); ok {
		return m, nil
	}
	known := []string{Auto, cudadev.Name(0)}
	for _, m := range processors {
		if m.name == name {
			return m, nil
		}
		known = append(known, m.name)
	}
	return maker{}, fmt.Errorf("%w %q (there are: %s)", ErrUnknown, name, strings.Join(known, ", "))
}

// Open opens the first that starts of a list of devices, "a,b,c", or Auto. The
// first of a list may be several that share the work, "cudadev+cudadev1,cpudev",
// as all GPUs do in Auto.
// In processes of their own, or if several are listed, a device that fails is
// restored or replaced by the next of the list, see package failover. A single
// device in this process, and Auto there, is opened as it is: nothing but this
// process can make it fail.
func Open(names string, cfg Config) (*Device, error) {
	first, rest, err := resolve(names)
	if err != nil {
		return nil, err
	}
	if len(first) > 1 {
		return openGroup(first, rest, cfg)
	}
	if cfg.Process == nil && (names == Auto || names == "") {
		return openFirst(slices.Concat(first, rest), cfg)
	}
	return openList(slices.Concat(first, rest), cfg)
}

// openFirst opens the first of a list that starts, in this process.
func openFirst(list []maker, cfg Config) (*Device, error) {
	var errs []error
	for _, m := range list {
		b, err := m.make(cfg)
		if err == nil {
			return &Device{Device: device.New(b)}, nil
		}
		if cfg.Notify != nil {
			cfg.Notify(failover.Event{Kind: failover.Skipped, From: m.name, Err: err})
		}
		errs = append(errs, fmt.Errorf("%s: %w", m.name, err))
	}
	return nil, errors.Join(errs...)
}

func openList(list []maker, cfg Config) (*Device, error) {
	if cfg.Process == nil && len(list) == 1 {
		b, err := list[0].make(cfg)
		if err != nil {
			return nil, err
		}
		return &Device{Device: device.New(b)}, nil
	}
	fc := failover.Config{JournalBytes: cfg.JournalBytes, Notify: cfg.Notify}
	for _, m := range list {
		c := failover.Candidate{Name: m.name, Open: func() (device.Backend, error) { return m.make(cfg) }}
		if cfg.Process != nil {
			c.Open = func() (device.Backend, error) { return openProcess(m.name, cfg) }
		}
		fc.Candidates = append(fc.Candidates, c)
	}
	b, err := failover.New(fc)
	if err != nil {
		return nil, err
	}
	return &Device{Device: device.New(b), list: b}, nil
}

// ServeFlags are the flags that the serving command must know, with what this
// configuration says of the device.
func (c Config) ServeFlags(name string) []string {
	return []string{"--device", name, "--threads", strconv.Itoa(c.Threads), "--memory", strconv.FormatInt(c.MemoryBytes, 10)}
}
