package cudadev

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/assaynet/assay/hostgpu/cudadev/driver"
	"github.com/assaynet/assay/hostgpu/cudadev/kernels"
	"github.com/assaynet/assay/hostgpu/device"
)

// Config of a device. The zero value is the first GPU.
type Config struct {
	// Driver is where to find the GPU; nil: NVIDIA's.
	Driver driver.Driver
	// GPU is its ordinal among those that CUDA shows.
	GPU int
	// Memory is the most that all spaces together may reserve, in bytes; 0: what
	// is free when they ask.
	Memory int64
	// ScratchBytes is set aside for each space beside its limit, for what kernels
	// need in passing; 0 is 16 MiB. A kernel that needs more takes it where there
	// is some.
	ScratchBytes int64
	// StagingBytes is the pinned memory of a queue that is written to or read
	// from; 0 is 8 MiB.
	StagingBytes int
	// Wait is how Read and Sync wait.
	Wait driver.Wait
}

const (
	defaultScratch = 16 << 20
	defaultStaging = 8 << 20
	minStaging     = 4 << 10
)

// Name of the device of a GPU: "cudadev", "cudadev1", ...
func Name(gpu int) string {
	if gpu == 0 {
		return "cudadev"
	}
	return "cudadev" + strconv.Itoa(gpu)
}

// New makes a CUDA device. Its errors are those of package driver, and
// ErrCapability.
func New(cfg Config) (device.Device, error) {
	b, err := NewBackend(cfg)
	if err != nil {
		return nil, err
	}
	return device.New(b), nil
}

// Backend implements device.Backend on one GPU.
type Backend struct {
	cfg    Config
	name   string
	ctx    driver.Context
	module driver.Module
	props  kernels.Props
	wedged atomic.Pointer[wedge]

	kernelsMu sync.Mutex // apart from mu: who holds that may wait for a launch
	functions map[string]*fn

	mu       sync.Mutex // guards what follows
	pool     pool
	reserved int64   // by spaces
	rings    []*ring // of queues that were closed
	queues   int
	closed   bool
}

var _ device.Backend = (*Backend)(nil)

// NewBackend is New without the checks of device.New.
func NewBackend(cfg Config) (*Backend, error) {
	if cfg.ScratchBytes <= 0 {
		cfg.ScratchBytes = defaultScratch
	}
	if cfg.StagingBytes <= 0 {
		cfg.StagingBytes = defaultStaging
	}
	cfg.StagingBytes = max(cfg.StagingBytes, minStaging)
	if cfg.Driver == nil {
		d, err := driver.Open()
		if err != nil {
			return nil, err
		}
		cfg.Driver = d
	}
	b := &Backend{cfg: cfg, name: Name(cfg.GPU), functions: map[string]*fn{}}
	info, err := cfg.Driver.Info(cfg.GPU)
	if err != nil {
		return nil, err
	}
	b.props = kernels.Props{Major: info.Major, Minor: info.Minor, SMs: info.SMs, SharedPerBlock: info.SharedPerBlock}
	if _, err := kernels.Image(b.props); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrCapability, info.Name, err)
	}
	if b.ctx, err = cfg.Driver.Context(cfg.GPU, cfg.Wait); err != nil {
		return nil, b.fail(err)
	}
	if err := b.load(); err != nil {
		return nil, errors.Join(b.fail(err), b.ctx.Close())
	}
	return b, nil
}

// load compiles the kernels: those of the GPU's own architecture, or, where the
// driver is too old for their PTX, those that every GPU runs.
func (b *Backend) load() error {
	image, err := kernels.Image(b.props)
	if err != nil {
		return err
	}
	b.module, err = b.ctx.Load(image)
	if errors.Is(err, driver.ErrPTXVersion) && b.props.Major > 8 {
		b.props.Major, b.props.Minor = 8, 0
		if image, err = kernels.Image(b.props); err == nil {
			b.module, err = b.ctx.Load(image)
		}
	}
	return err
}

// Name implements device.Backend.
func (b *Backend) Name() string { return b.name }

// Info describes the GPU.
func (b *Backend) Info() driver.Info { return b.ctx.Info() }

// Props is what launches are planned for.
func (b *Backend) Props() kernels.Props { return b.props }

// slabUnit is what the pool grows by at least; the driver's own pages are 2 MiB.
const slabUnit = 2 << 20

// commitment is what the pool sets aside for reservations of so many bytes by
// so many spaces: what rounding and cutting may waste, and scratch, beside them.
func (b *Backend) commitment(reserved int64, spaces int) int64 {
	return reserved + reserved/16 + int64(spaces)*b.cfg.ScratchBytes
}

// Reserve implements device.Backend: the memory is there when it returns.
func (b *Backend) Reserve(limit int64) error {
	if err := b.usable(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return device.ErrClosed
	}
	if b.cfg.Memory > 0 && limit > b.cfg.Memory-b.reserved {
		return fmt.Errorf("%s: %w: %d bytes asked, %d of %d reserved", b.name, device.ErrDeviceMemory, limit, b.reserved, b.cfg.Memory)
	}
	// Its queue is opened after this.
	if short := b.commitment(b.reserved+limit, b.queues+1) - b.pool.total; short > 0 {
		if err := b.grow(short); err != nil {
			return err
		}
	}
	b.reserved += limit
	return nil
}

// grow adds a slab; b.mu is held.
func (b *Backend) grow(n int64) error {
	n = (n + slabUnit - 1) &^ (slabUnit - 1)
	p, err := b.ctx.Alloc(n)
	if errors.Is(err, driver.ErrOutOfMemory) {
		// What nothing uses may be in the way as pieces.
		if err := b.trim(b.commitment(b.reserved, b.queues)); err != nil {
			return err
		}
		p, err = b.ctx.Alloc(n)
	}
	if err != nil {
		return b.fail(err)
	}
	b.pool.add(p, n)
	return nil
}

// trim gives slabs that nothing uses back to the driver, but for keep bytes;
// b.mu is held.
func (b *Backend) trim(keep int64) error {
	for _, s := range b.pool.take(keep) {
		for _, u := range s.first.after {
			if err := u.line.wait(u.last()); err != nil {
				return b.fail(err)
			}
		}
		if err := b.ctx.Free(s.base); err != nil {
			return b.fail(err)
		}
	}
	return nil
}

// keepBytes is what an idle device keeps for its next space.
const keepBytes = 256 << 20

// Release implements device.Backend.
func (b *Backend) Release(limit int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reserved -= limit
	if b.closed || b.usable() != nil {
		return
	}
	// A failure here wedges the backend, and the next call says so.
	_ = b.trim(max(b.commitment(b.reserved, b.queues), keepBytes))
}

// fn is a kernel that was found in the module.
type fn struct {
	f       driver.Function
	static  int // bytes of shared memory beside a launch's own
	mu      sync.Mutex
	allowed int // bytes of dynamic shared memory
}

// defaultShared is the shared memory that a launch has without asking.
const defaultShared = 48 << 10

// allow makes a launch with this much dynamic shared memory possible.
func (f *fn) allow(shared int) error {
	if shared+f.static <= defaultShared {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if shared <= f.allowed {
		return nil
	}
	err := f.f.AllowShared(shared)
	if err == nil {
		f.allowed = shared
	}
	return err
}

func (b *Backend) function(kernel string) (*fn, error) {
	b.kernelsMu.Lock()
	defer b.kernelsMu.Unlock()
	if f := b.functions[kernel]; f != nil {
		return f, nil
	}
	f, err := b.module.Function(kernel)
	if err != nil {
		return nil, err
	}
	i, err := f.Info()
	if err != nil {
		return nil, err
	}
	x := &fn{f: f, static: i.Shared}
	b.functions[kernel] = x
	return x, nil
}

// Open implements device.Backend.
func (b *Backend) Open() (device.Queue, error) {
	if err := b.usable(); err != nil {
		return nil, err
	}
	q := &queue{b: b, line: &line{}, functions: map[string]*fn{}, waited: map[*line]uint64{}}
	q.line.launch = q.flushFor
	q.address = func(t device.Tensor) uint64 { return uint64(t.Mem.(*mem).addr) + uint64(t.Off) }
	var err error
	if q.line.stream, err = b.ctx.NewStream(); err == nil {
		q.line.event, err = b.ctx.NewEvent(false)
	}
	if err != nil {
		return nil, b.fail(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, device.ErrClosed
	}
	b.queues++
	return q, nil
}

// Close implements device.Backend. What a lost context held goes with the
// process.
func (b *Backend) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	if b.usable() != nil {
		return nil
	}
	err := b.trim(0)
	for _, r := range b.rings {
		err = errors.Join(err, r.free(b.ctx))
	}
	b.rings = nil
	return errors.Join(err, b.module.Unload(), b.ctx.Close())
}
