package devices

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/assaynet/assay/hostgpu/cpudev"
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
	// HangTimeout, MaxCrashes and CrashWindow are those of plugin.Config.
	HangTimeout time.Duration
	MaxCrashes  int
	CrashWindow time.Duration
}

// maker builds one implementation.
type maker struct {
	name   string
	gpu    bool // computes on the GPUs that telemetry reports
	detail func() string
	make   func(Config) (device.Backend, error)
}

// makers are in order of preference.
var makers = []maker{
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

// find resolves a list of names.
func find(names string) ([]maker, error) {
	if names == Auto || names == "" {
		return makers, nil
	}
	var out []maker
	for _, name := range strings.Split(names, ",") {
		m, err := findOne(strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		for _, o := range out {
			if o.name == m.name {
				return nil, fmt.Errorf("devices: %s is named twice in %q", m.name, names)
			}
		}
		out = append(out, m)
	}
	return out, nil
}

func findOne(name string) (maker, error) {
	var known []string
	for _, m := range makers {
		if m.name == name {
			return m, nil
		}
		known = append(known, m.name)
	}
	return maker{}, fmt.Errorf("%w %q (there are: auto, %s)", ErrUnknown, name, strings.Join(known, ", "))
}

// Open opens the first that starts of a list of devices, "a,b,c", or Auto.
// In processes of their own, or if several are listed, a device that fails is
// restored or replaced by the next of the list, see package failover. A single
// device in this process, and Auto there, is opened as it is: nothing but this
// process can make it fail.
func Open(names string, cfg Config) (*Device, error) {
	list, err := find(names)
	if err != nil {
		return nil, err
	}
	if cfg.Process == nil && (len(list) == 1 || names == Auto || names == "") {
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
