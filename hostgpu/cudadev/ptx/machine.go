package ptx

import (
	"context"
	"sync"
)

// Config describes the GPU that a Machine stands for.
type Config struct {
	Major, Minor   int   // compute capability
	SMs            int   // what %nsmid says
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
	// Steps is how many instructions of single threads a launch may take,
	// counted when a warp is switched; 0: 2^40.
	Steps uint64
}

// AllChecks turns every check on.
func AllChecks() Checks { return Checks{Uninitialised: true, Race: true, Sync: true} }

// A Machine is one emulated GPU: its memory and the modules loaded into it. Its
// methods may be called from several goroutines; launches on it run at once if
// they are made at once, and order nothing.
type Machine struct {
	cfg Config
	mu  sync.RWMutex
}

// NewMachine makes a GPU with empty memory.
func NewMachine(cfg Config) *Machine { return &Machine{cfg: cfg} }

// Alloc reserves n > 0 bytes, aligned to 256, of undefined contents.
func (m *Machine) Alloc(n int64) (uint64, error) { return 0, ErrUnsupported }

// Free gives back what Alloc returned. Later accesses to it are ErrFreed.
func (m *Machine) Free(addr uint64) error { return ErrUnsupported }

// Write copies p to device memory. It must lie within one allocation.
func (m *Machine) Write(addr uint64, p []byte) error { return ErrUnsupported }

// Read copies device memory to p. It must lie within one allocation.
func (m *Machine) Read(addr uint64, p []byte) error { return ErrUnsupported }

// Fill sets n bytes of device memory to v.
func (m *Machine) Fill(addr uint64, v byte, n int64) error { return ErrUnsupported }

// Copy copies n bytes within device memory; the ranges may overlap.
func (m *Machine) Copy(dst, src uint64, n int64) error { return ErrUnsupported }

// Load gives the module's .global and .const variables their place and their
// initial values. Launch does it for a module that has not been loaded.
func (m *Machine) Load(mod *Module) error { return ErrUnsupported }

// Unload forgets the module's variables.
func (m *Machine) Unload(mod *Module) error { return ErrUnsupported }

// Launch runs a kernel to its end. grid and block are in blocks and threads,
// shared is the dynamic shared memory of a block in bytes, args is the bytes of
// the kernel's parameters, laid out as the PTX declares them. The error is a
// *Fault, one of the errors above, or ctx's.
func (m *Machine) Launch(ctx context.Context, mod *Module, kernel string, grid, block [3]uint32,
	shared uint32, args []byte, checks Checks) error {
	return ErrUnsupported
}

// Module is a parsed PTX text. It is immutable and may be used by any number of
// machines at once.
type Module struct {
	Version [2]int // .version
	Target  string // .target, such as "sm_90a"
	kernels []*Kernel
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

// Parse reads and checks PTX. The error is a *ParseError.
func Parse(text []byte) (*Module, error) {
	return nil, &ParseError{Line: 1, Msg: "not implemented", Err: ErrUnsupported}
}
