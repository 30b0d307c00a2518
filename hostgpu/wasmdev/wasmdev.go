package wasmdev

import (
	"context"
	"fmt"
	"sync"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/modules/kernels"
	"github.com/assaynet/assay/runtime/sandbox"
)

// Name is Device.Name of this implementation.
const Name = "wasmdev"

// Config of a device. The zero value is usable.
type Config struct {
	// Sandbox runs the kernels. Nil: the device makes one of its own, from
	// SandboxConfig, and closes it.
	Sandbox *sandbox.Runtime
	// SandboxConfig is used if Sandbox is nil; its Interpreter field selects
	// wazero's interpreter.
	SandboxConfig sandbox.Config
	// MemoryBytes is the most that tensors may take, in bytes. 0, or more than
	// one Wasm memory holds, is all of it: 4 GiB less the kernels' own part.
	MemoryBytes int64
}

// New makes the reference device.
func New(cfg Config) (device.Device, error) {
	b, err := NewBackend(cfg)
	if err != nil {
		return nil, err
	}
	return device.New(b), nil
}

// Backend implements device.Backend.
type Backend struct {
	sandbox *sandbox.Runtime
	owned   bool // close sandbox with the device

	mu       sync.Mutex // guards everything below, the kernels' memory included
	inst     *instance
	capacity int64 // bytes that may be reserved
	reserved int64
	queues   int
	closed   bool
}

var _ device.Backend = (*Backend)(nil)

// NewBackend is New without the checking layer of device.New.
func NewBackend(cfg Config) (*Backend, error) {
	b := &Backend{sandbox: cfg.Sandbox}
	if b.sandbox == nil {
		rt, err := sandbox.New(cfg.SandboxConfig)
		if err != nil {
			return nil, fmt.Errorf("wasmdev: %w", err)
		}
		b.sandbox, b.owned = rt, true
	}
	inst, err := newInstance(b.sandbox)
	if err != nil {
		b.closeSandbox()
		return nil, err
	}
	b.inst = inst
	b.capacity = inst.arena.capacity()
	if cfg.MemoryBytes > 0 {
		b.capacity = min(b.capacity, cfg.MemoryBytes)
	}
	return b, nil
}

// Name implements device.Backend.
func (b *Backend) Name() string { return Name }

// Capacity is how many bytes of tensors the device can hold.
func (b *Backend) Capacity() int64 { return b.capacity }

// Reserve implements device.Backend.
func (b *Backend) Reserve(limit int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if limit > b.capacity-b.reserved {
		return fmt.Errorf("wasmdev: %w: %d bytes asked, %d of %d free", device.ErrDeviceMemory, limit, b.capacity-b.reserved, b.capacity)
	}
	b.reserved += limit
	return nil
}

// Release implements device.Backend.
func (b *Backend) Release(limit int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reserved -= limit
}

// Open implements device.Backend.
func (b *Backend) Open() (device.Queue, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, device.ErrClosed
	}
	if b.inst == nil {
		inst, err := newInstance(b.sandbox)
		if err != nil {
			return nil, err
		}
		b.inst = inst
	}
	b.queues++
	return &queue{b: b}, nil
}

// Close implements device.Backend.
func (b *Backend) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	err := b.dropInstance()
	if cerr := b.closeSandbox(); err == nil {
		err = cerr
	}
	return err
}

func (b *Backend) dropInstance() error {
	if b.inst == nil {
		return nil
	}
	err := b.inst.k.Close()
	b.inst = nil
	return err
}

func (b *Backend) closeSandbox() error {
	if !b.owned {
		return nil
	}
	return b.sandbox.Close()
}

// keepBytes is how much touched memory an idle device keeps for the next
// space; beyond it, the instance is dropped and its memory given back.
const keepBytes = 64 << 20

// idle gives memory back when the last space goes. Called with mu held.
func (b *Backend) idle() error {
	if b.queues > 0 || b.inst == nil || b.inst.arena.live > 0 || b.inst.arena.dirty-b.inst.arena.base < keepBytes {
		return nil
	}
	return b.dropInstance()
}

// instance is a kernel module with its functions and the memory behind it.
type instance struct {
	k     *sandbox.Kernels
	arena arena
	funcs []func(args ...uint64) error // by op
	args  []uint64                     // reused
}

func newInstance(rt *sandbox.Runtime) (*instance, error) {
	code, err := kernels.Wasm()
	if err != nil {
		return nil, err
	}
	k, err := rt.Kernels(context.Background(), code, 0)
	if err != nil {
		return nil, fmt.Errorf("wasmdev: %w", err)
	}
	in := &instance{k: k, funcs: make([]func(args ...uint64) error, len(device.Ops)+1)}
	for i := range device.Ops {
		spec := &device.Ops[i]
		if in.funcs[spec.Op], err = k.Func(spec.Name); err != nil {
			k.Close()
			return nil, fmt.Errorf("wasmdev: %w", err)
		}
	}
	heap, err := k.Global("__heap_base")
	if err != nil {
		k.Close()
		return nil, fmt.Errorf("wasmdev: %w", err)
	}
	in.arena.init(k, int64(heap))
	return in, nil
}

// queue runs each task at once, under the device's lock.
type queue struct{ b *Backend }

var _ device.Queue = (*queue)(nil)

func (q *queue) Alloc(n int64) (device.Mem, error) {
	q.b.mu.Lock()
	defer q.b.mu.Unlock()
	return q.b.inst.arena.alloc(n)
}

func (q *queue) Free(m device.Mem) {
	q.b.mu.Lock()
	defer q.b.mu.Unlock()
	q.b.inst.arena.free(m.(*block))
}

func (q *queue) Write(m device.Mem, off int64, p []byte) error {
	q.b.mu.Lock()
	defer q.b.mu.Unlock()
	copy(q.b.inst.k.Memory()[m.(*block).off+off:], p)
	return nil
}

func (q *queue) Read(m device.Mem, off int64, p []byte) error {
	q.b.mu.Lock()
	defer q.b.mu.Unlock()
	copy(p, q.b.inst.k.Memory()[m.(*block).off+off:])
	return nil
}

func (q *queue) Run(t *device.Task) error {
	q.b.mu.Lock()
	defer q.b.mu.Unlock()
	return q.b.inst.run(t)
}

// TransientTasks implements device.TransientQueue: a task has run when Run
// returns.
func (q *queue) TransientTasks() {}

// Sync has nothing to wait for.
func (q *queue) Sync() error { return nil }

func (q *queue) Close() error {
	q.b.mu.Lock()
	defer q.b.mu.Unlock()
	if q.b.closed {
		return nil
	}
	q.b.queues--
	return q.b.idle()
}
