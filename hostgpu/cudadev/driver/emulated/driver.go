package emulated

import (
	stdcontext "context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/assaynet/assay/hostgpu/cudadev/driver"
	"github.com/assaynet/assay/hostgpu/cudadev/ptx"
)

// Config of a driver. The zero value is one GPU like an A100, with 1 GiB.
type Config struct {
	GPUs           int
	Version        int // of CUDA, 1000·major + 10·minor; it refuses PTX that is newer
	Major, Minor   int
	SMs            int
	SharedPerBlock int
	Memory         int64 // of each GPU
	Workers        int   // goroutines of each GPU; 0: GOMAXPROCS
	Checks         ptx.Checks
	Faults         Faults
}

// Faults provokes failures. The zero value provokes none.
type Faults struct {
	// Fail is asked before every call, by its name in cuda.h without version
	// ("cuMemAlloc"), and may return a result to fail with. Nil: none fails.
	Fail func(gpu int, call string) driver.Result
	// IllegalAddress and Hang are the numbers of launches, from 1 in each context,
	// that touch memory which is not there, and that never end. 0: none.
	IllegalAddress, Hang int64
}

func (c *Config) complete() {
	set := func(v *int, to int) {
		if *v == 0 {
			*v = to
		}
	}
	set(&c.GPUs, 1)
	set(&c.Version, 12040)
	if c.Major == 0 {
		c.Major, c.Minor = 8, 0
	}
	set(&c.SMs, 8)
	shared := 163 << 10 // CUDA C++ Programming Guide, technical specifications
	if c.Major == 9 {
		shared = 227 << 10
	}
	set(&c.SharedPerBlock, shared)
	if c.Memory == 0 {
		c.Memory = 1 << 30
	}
}

// Driver implements driver.Driver.
type Driver struct {
	cfg  Config
	ctx  stdcontext.Context
	stop stdcontext.CancelFunc
}

// New makes a driver.
func New(cfg Config) *Driver {
	cfg.complete()
	d := &Driver{cfg: cfg}
	d.ctx, d.stop = stdcontext.WithCancel(stdcontext.Background())
	return d
}

// Kill ends everything that runs or waits: what the end of the process does to a
// real one. Every call fails from now on.
func (d *Driver) Kill() { d.stop() }

// Version implements driver.Driver.
func (d *Driver) Version() int { return d.cfg.Version }

// Count implements driver.Driver.
func (d *Driver) Count() int { return d.cfg.GPUs }

// Info implements driver.Driver.
func (d *Driver) Info(ordinal int) (driver.Info, error) {
	if ordinal < 0 || ordinal >= d.cfg.GPUs {
		return driver.Info{}, &driver.Error{Call: "cuDeviceGet", Result: driver.InvalidDevice}
	}
	c := &d.cfg
	return driver.Info{
		Ordinal: ordinal, Name: fmt.Sprintf("emulated sm_%d%d", c.Major, c.Minor),
		UUID:  fmt.Sprintf("GPU-00000000-0000-0000-0000-%012x", ordinal),
		Major: c.Major, Minor: c.Minor, SMs: c.SMs, Memory: c.Memory, SharedPerBlock: c.SharedPerBlock,
	}, nil
}

// Context implements driver.Driver.
func (d *Driver) Context(ordinal int, _ driver.Wait) (driver.Context, error) {
	info, err := d.Info(ordinal)
	if err != nil {
		return nil, err
	}
	c := &d.cfg
	x := &context{d: d, info: info, machine: ptx.NewMachine(ptx.Config{Major: c.Major, Minor: c.Minor, SMs: c.SMs,
		SharedPerBlock: c.SharedPerBlock, Memory: c.Memory, Workers: c.Workers}), live: map[driver.Ptr]int64{}}
	if err := x.enter("cuDevicePrimaryCtxRetain"); err != nil {
		return nil, err
	}
	x.ctx, x.end = stdcontext.WithCancel(d.ctx)
	return x, nil
}

// context is a machine with its sticky error.
type context struct {
	d        *Driver
	info     driver.Info
	machine  *ptx.Machine
	ctx      stdcontext.Context // ends with the first sticky error, and with the driver
	end      stdcontext.CancelFunc
	sticky   atomic.Pointer[driver.Error]
	launches atomic.Int64

	mu   sync.Mutex
	live map[driver.Ptr]int64 // bytes of each allocation
	used int64
}

// poison makes err what every later call fails with; the first one stays.
func (c *context) poison(r driver.Result, detail string) {
	c.sticky.CompareAndSwap(nil, &driver.Error{Result: r, Detail: detail})
	c.end()
}

// enter is the beginning of every call.
func (c *context) enter(call string) error {
	if c.d.ctx.Err() != nil {
		return &driver.Error{Call: call, Result: driver.Deinitialized}
	}
	if e := c.sticky.Load(); e != nil {
		return &driver.Error{Call: call, Result: e.Result, Detail: e.Detail}
	}
	if fail := c.d.cfg.Faults.Fail; fail != nil {
		if r := fail(c.info.Ordinal, call); r != driver.Success {
			e := &driver.Error{Call: call, Result: r}
			if driver.Sticky(e) {
				c.poison(r, "provoked")
			}
			return e
		}
	}
	return nil
}

func (c *context) Info() driver.Info { return c.info }

func (c *context) MemInfo() (free, total int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.info.Memory - c.used, c.info.Memory, c.enter("cuMemGetInfo")
}

func (c *context) Alloc(n int64) (driver.Ptr, error) {
	const call = "cuMemAlloc"
	if err := c.enter(call); err != nil {
		return 0, err
	}
	if n <= 0 {
		return 0, &driver.Error{Call: call, Result: driver.InvalidValue}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.machine.Alloc(n)
	if err != nil {
		return 0, &driver.Error{Call: call, Result: driver.OutOfMemory,
			Detail: fmt.Sprintf("%d bytes asked, %d of %d free", n, c.info.Memory-c.used, c.info.Memory)}
	}
	c.live[driver.Ptr(p)] = n
	c.used += n
	return driver.Ptr(p), nil
}

func (c *context) Free(p driver.Ptr) error {
	if err := c.enter("cuMemFree"); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.machine.Free(uint64(p)); err != nil {
		return &driver.Error{Call: "cuMemFree", Result: driver.InvalidValue, Detail: err.Error()}
	}
	c.used -= c.live[p]
	delete(c.live, p)
	return nil
}

// AllocHost returns memory of Go's heap: there is no other side to pin it for.
func (c *context) AllocHost(n int) ([]byte, error) {
	if err := c.enter("cuMemHostAlloc"); err != nil {
		return nil, err
	}
	return make([]byte, n), nil
}

func (c *context) FreeHost([]byte) error { return c.enter("cuMemFreeHost") }

// Close fails if device memory was not freed: the driver would free it, but who
// forgets it here forgets it there too.
func (c *context) Close() error {
	if err := c.enter("cuDevicePrimaryCtxRelease"); err != nil {
		return err
	}
	c.end()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.live) > 0 {
		return &driver.Error{Call: "cuDevicePrimaryCtxRelease", Result: driver.InvalidContext,
			Detail: fmt.Sprintf("%d allocations of %d bytes are left", len(c.live), c.used)}
	}
	return nil
}

// result is the code that a GPU gives for what the emulator found.
func result(err error) driver.Result {
	switch {
	case errors.Is(err, ptx.ErrBounds), errors.Is(err, ptx.ErrFreed):
		return driver.IllegalAddress
	case errors.Is(err, ptx.ErrMisaligned):
		return driver.MisalignedAddress
	case errors.Is(err, ptx.ErrTrap), errors.Is(err, ptx.ErrOperand), errors.Is(err, ptx.ErrUnsupported):
		return driver.IllegalInstruction
	}
	return driver.LaunchFailed
}
