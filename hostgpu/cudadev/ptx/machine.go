package ptx

import (
	"fmt"
	"runtime"
	"sync"
)

// Config describes the GPU that a Machine stands for.
type Config struct {
	Major, Minor   int   // compute capability
	SMs            int   // what %nsmid says; 0: 1
	SharedPerBlock int   // most shared memory of a block, static and dynamic, in bytes
	Memory         int64 // bytes of device memory
	Workers        int   // goroutines that run blocks; 0: GOMAXPROCS
}

// Checks selects what a launch looks for beyond bounds, alignment and freed
// memory, which are always checked. The zero value is the fastest.
type Checks struct {
	Uninitialised bool // reads of shared or global memory that nothing has written
	Race          bool // unordered accesses to shared memory, registers in use by wgmma
	Sync          bool // barriers and warp-wide instructions that some threads miss
	// Order, if not 0, draws the order of blocks, warps and lanes, and how long
	// each runs at a time; a kernel's results must not depend on it. 0 is the
	// order of their numbers, which is fastest.
	Order uint64
	// Steps is how many instructions of single threads a launch may take,
	// counted when a warp is switched; 0: 2^36.
	Steps uint64
}

// AllChecks turns every check on.
func AllChecks() Checks { return Checks{Uninitialised: true, Race: true, Sync: true} }

// A Machine is one emulated GPU: its memory and the modules loaded into it. Its
// methods may be called from several goroutines; launches on it run at once if
// they are made at once, and order nothing.
type Machine struct {
	cfg Config
	mem memory

	mu      sync.Mutex
	modules map[*Module]*loaded
}

// NewMachine makes a GPU with empty memory.
func NewMachine(cfg Config) *Machine {
	if cfg.Workers <= 0 {
		cfg.Workers = runtime.GOMAXPROCS(0)
	}
	cfg.SMs = max(cfg.SMs, 1)
	return &Machine{cfg: cfg, mem: memory{limit: cfg.Memory, next: globalBase}, modules: map[*Module]*loaded{}}
}

// Alloc reserves n > 0 bytes, aligned to 256, of undefined contents.
func (m *Machine) Alloc(n int64) (uint64, error) {
	a, err := m.mem.alloc(n, nil, "")
	if err != nil {
		return 0, err
	}
	return a.base, nil
}

// Free gives back what Alloc returned. Later accesses to it are ErrFreed; a
// launch that is running may still use it.
func (m *Machine) Free(addr uint64) error { return m.mem.free(addr) }

// Write copies p to device memory. It must lie within one allocation.
func (m *Machine) Write(addr uint64, p []byte) error {
	a, err := m.mem.find(addr, int64(len(p)))
	if err != nil {
		return err
	}
	copy(a.at(addr, len(p)), p)
	a.wrote(addr, len(p))
	return nil
}

// Read copies device memory to p. It must lie within one allocation.
func (m *Machine) Read(addr uint64, p []byte) error {
	a, err := m.mem.find(addr, int64(len(p)))
	if err != nil {
		return err
	}
	copy(p, a.at(addr, len(p)))
	return nil
}

// Fill sets n bytes of device memory to v.
func (m *Machine) Fill(addr uint64, v byte, n int64) error {
	a, err := m.mem.find(addr, n)
	if err != nil {
		return err
	}
	p := a.at(addr, int(n))
	for i := range p {
		p[i] = v
	}
	a.wrote(addr, int(n))
	return nil
}

// Copy copies n bytes within device memory, and with them what is known of
// their being written; the ranges may overlap.
func (m *Machine) Copy(dst, src uint64, n int64) error {
	to, err := m.mem.find(dst, n)
	if err != nil {
		return err
	}
	from, err := m.mem.find(src, n)
	if err != nil {
		return err
	}
	copy(to.at(dst, int(n)), from.at(src, int(n)))
	copy(to.valid[dst-to.base:][:n], from.valid[src-from.base:][:n])
	return nil
}

// Forget makes n bytes count as never written. An allocator that keeps blocks
// for reuse calls it when it hands one out, or Checks.Uninitialised sees only
// their first use.
func (m *Machine) Forget(addr uint64, n int64) error {
	a, err := m.mem.find(addr, n)
	if err != nil {
		return err
	}
	clear(a.valid[addr-a.base:][:n])
	return nil
}

// loaded is a module's variables in a machine.
type loaded struct {
	addr  map[*variable]uint64
	space []byte // .const
}

// maxConst is the size of constant memory (PTX ISA: Constant State Space).
const maxConst = 64 << 10

// Load gives the module's .global and .const variables their place and their
// initial values, zero where the text has none. Launch does it for a module that
// has not been loaded.
func (m *Machine) Load(mod *Module) error {
	_, err := m.load(mod)
	return err
}

func (m *Machine) load(mod *Module) (*loaded, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.modules[mod]; l != nil {
		return l, nil
	}
	if sm, arch := targetOf(mod.Target); sm > m.cfg.Major*10+m.cfg.Minor || arch && sm != m.cfg.Major*10+m.cfg.Minor {
		return nil, fmt.Errorf("%w: %s on sm_%d%d", ErrTarget, mod.Target, m.cfg.Major, m.cfg.Minor)
	}
	l := &loaded{addr: map[*variable]uint64{}}
	for _, v := range mod.vars {
		switch v.space {
		case spaceConst:
			at := (len(l.space) + v.align - 1) &^ (v.align - 1)
			if at+v.size > maxConst {
				m.release(mod)
				return nil, fmt.Errorf("%w: constant memory", ErrMemory)
			}
			l.space = append(l.space, make([]byte, at+v.size-len(l.space))...)
			copy(l.space[at:], v.init)
			l.addr[v] = uint64(at)
		case spaceGlobal:
			if v.size == 0 {
				continue
			}
			a, err := m.mem.alloc(int64(v.size), mod, v.name)
			if err != nil {
				m.release(mod)
				return nil, err
			}
			copy(a.data, v.init)
			a.wrote(a.base, v.size)
			l.addr[v] = a.base
		}
	}
	m.modules[mod] = l
	return l, nil
}

// Unload forgets the module's variables.
func (m *Machine) Unload(mod *Module) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.modules[mod] == nil {
		return fmt.Errorf("%w: module is not loaded", ErrKernel)
	}
	delete(m.modules, mod)
	m.release(mod)
	return nil
}

func (m *Machine) release(mod *Module) {
	m.mem.mu.Lock()
	defer m.mem.mu.Unlock()
	for i := 0; i < len(m.mem.live); i++ {
		if m.mem.live[i].owner == mod {
			m.mem.drop(i)
			i--
		}
	}
}

// Module is a parsed PTX text. It is immutable and may be used by any number of
// machines at once.
type Module struct {
	Version  [2]int // .version
	Target   string // .target, such as "sm_90a"
	kernels  []*Kernel
	programs map[string]*program
	vars     []*variable
}

// Kernel describes an entry of a module.
type Kernel struct {
	Name       string
	ParamBytes int // size of all parameters
	Shared     int // static shared memory in bytes
	MaxThreads int // product of .maxntid, or 0
}

// Kernels returns the entries in the order of the text.
func (m *Module) Kernels() []*Kernel { return m.kernels }
