package emulated

import (
	"fmt"
	"sync"

	"github.com/assaynet/assay/hostgpu/cudadev/driver"
	"github.com/assaynet/assay/hostgpu/cudadev/ptx"
)

// parsed keeps modules by their text: parsing is what takes the time, and a
// module may be used by any number of machines.
var parsed struct {
	mu   sync.Mutex
	text map[string]*ptx.Module
}

// maxParsed bounds it.
const maxParsed = 8

func parse(text []byte) (*ptx.Module, error) {
	for len(text) > 0 && text[len(text)-1] == 0 {
		text = text[:len(text)-1]
	}
	parsed.mu.Lock()
	defer parsed.mu.Unlock()
	if m := parsed.text[string(text)]; m != nil {
		return m, nil
	}
	m, err := ptx.Parse(text)
	if err != nil {
		return nil, err
	}
	if len(parsed.text) >= maxParsed || parsed.text == nil {
		parsed.text = map[string]*ptx.Module{}
	}
	parsed.text[string(text)] = m
	return m, nil
}

// newestPTX is the PTX version that a CUDA version knows (PTX ISA, release
// notes): 7.x with 11.x, one ahead at the end, 8.x with 12.x.
func newestPTX(cuda int) [2]int { return [2]int{cuda/1000 - 4, cuda % 1000 / 10} }

func (c *context) Load(text []byte) (driver.Module, error) {
	const call = "cuModuleLoadDataEx"
	if err := c.enter(call); err != nil {
		return nil, err
	}
	m, err := parse(text)
	if err != nil {
		return nil, &driver.Error{Call: call, Result: driver.InvalidPTX, Detail: err.Error()}
	}
	if v := newestPTX(c.d.cfg.Version); m.Version[0] > v[0] || m.Version[0] == v[0] && m.Version[1] > v[1] {
		return nil, &driver.Error{Call: call, Result: driver.UnsupportedPTXVersion,
			Detail: fmt.Sprintf("PTX %d.%d, known up to %d.%d", m.Version[0], m.Version[1], v[0], v[1])}
	}
	if err := c.machine.Load(m); err != nil {
		return nil, &driver.Error{Call: call, Result: driver.NoBinaryForGPU, Detail: err.Error()}
	}
	return &module{c: c, m: m}, nil
}

type module struct {
	c *context
	m *ptx.Module
}

func (m *module) Function(name string) (driver.Function, error) {
	if err := m.c.enter("cuModuleGetFunction"); err != nil {
		return nil, err
	}
	for _, k := range m.m.Kernels() {
		if k.Name == name {
			return &function{c: m.c, m: m.m, k: k}, nil
		}
	}
	return nil, &driver.Error{Call: "cuModuleGetFunction", Result: driver.NotFound, Detail: name}
}

func (m *module) Unload() error {
	if err := m.c.enter("cuModuleUnload"); err != nil {
		return err
	}
	return m.c.machine.Unload(m.m)
}

// defaultShared is what a launch may use without asking, static and dynamic.
const defaultShared = 48 << 10

type function struct {
	c *context
	m *ptx.Module
	k *ptx.Kernel

	mu      sync.Mutex
	allowed int // dynamic shared memory
}

func (f *function) Info() (driver.FunctionInfo, error) {
	i := driver.FunctionInfo{MaxThreads: 1024, Shared: f.k.Shared}
	if f.k.MaxThreads > 0 {
		i.MaxThreads = f.k.MaxThreads
	}
	return i, f.c.enter("cuFuncGetAttribute")
}

func (f *function) AllowShared(bytes int) error {
	const call = "cuFuncSetAttribute"
	if err := f.c.enter(call); err != nil {
		return err
	}
	if bytes < 0 || bytes+f.k.Shared > f.c.info.SharedPerBlock {
		return &driver.Error{Call: call, Result: driver.InvalidValue, Detail: fmt.Sprintf("%s: %d bytes of shared memory", f.k.Name, bytes)}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.allowed = bytes
	return nil
}

// check refuses what a driver refuses at the call.
func (f *function) check(l *driver.Launch) error {
	bad := func(r driver.Result, format string, args ...any) error {
		return &driver.Error{Call: "cuLaunchKernel", Result: r, Detail: f.k.Name + ": " + fmt.Sprintf(format, args...)}
	}
	threads := uint64(1)
	for i := range 3 {
		// CUDA C++ Programming Guide, technical specifications.
		most := [...][2]uint32{{1<<31 - 1, 1024}, {65535, 1024}, {65535, 64}}[i]
		if l.Grid[i] < 1 || l.Grid[i] > most[0] || l.Block[i] < 1 || l.Block[i] > most[1] {
			return bad(driver.InvalidValue, "grid %v, block %v", l.Grid, l.Block)
		}
		threads *= uint64(l.Block[i])
	}
	if threads > 1024 || f.k.MaxThreads > 0 && threads > uint64(f.k.MaxThreads) {
		return bad(driver.InvalidValue, "%d threads", threads)
	}
	f.mu.Lock()
	allowed := max(f.allowed, defaultShared-f.k.Shared)
	f.mu.Unlock()
	if int64(l.Shared) > int64(allowed) {
		return bad(driver.InvalidValue, "%d bytes of shared memory, %d allowed", l.Shared, allowed)
	}
	// A real driver reads as many bytes as the kernel declares.
	if len(l.Args) < f.k.ParamBytes {
		return bad(driver.InvalidValue, "%d bytes of parameters, %d declared", len(l.Args), f.k.ParamBytes)
	}
	return nil
}
