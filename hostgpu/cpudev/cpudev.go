package cpudev

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/assaynet/assay/hostgpu/device"
)

// ISA is an instruction set that the device can be held to.
type ISA string

const (
	Auto     ISA = ""         // the best that this processor has
	Portable ISA = "portable" // Go only
	AVX2     ISA = "avx2"
	AVX512   ISA = "avx512vnni"
	NEON     ISA = "neondot" // arm64 with SDOT: matrix products only
)

// ErrISA says that the processor lacks the instruction set asked for.
var ErrISA = errors.New("cpudev: instruction set not available")

// Config of a device. The zero value uses what the machine has.
type Config struct {
	// Threads is the most goroutines one op uses; 0 means GOMAXPROCS. The
	// result does not depend on it.
	Threads int
	// ISA holds the device to an instruction set.
	ISA ISA
	// Memory is what all spaces together may reserve, in bytes; 0 means the
	// machine's memory where it can be known, else 8 GiB.
	Memory int64
}

// New makes a CPU device.
func New(cfg Config) (device.Device, error) {
	b, err := NewBackend(cfg)
	if err != nil {
		return nil, err
	}
	return device.New(b), nil
}

// NewBackend is New without the checks of device.New, for a server whose
// clients make them.
func NewBackend(cfg Config) (device.Backend, error) {
	if probe := uint16(1); *(*byte)(unsafe.Pointer(&probe)) != 1 {
		return nil, fmt.Errorf("%w: big-endian processor", ErrISA)
	}
	if cfg.Threads <= 0 {
		cfg.Threads = runtime.GOMAXPROCS(0)
	}
	if cfg.Memory <= 0 {
		cfg.Memory = machineMemory()
	}
	k, err := selectKernels(cfg.ISA)
	if err != nil {
		return nil, err
	}
	return &backend{cfg: cfg, kernels: k, team: newTeam(cfg.Threads)}, nil
}

// Available returns the instruction sets of this processor, best first.
func Available() []ISA {
	var out []ISA
	for _, isa := range []ISA{AVX512, AVX2, NEON, Portable} {
		if _, err := selectKernels(isa); err == nil {
			out = append(out, isa)
		}
	}
	return out
}

type backend struct {
	cfg      Config
	kernels  *kernels
	team     *team
	layout   sync.RWMutex // see layout.go
	mu       sync.Mutex
	reserved int64
}

func (b *backend) Name() string { return "cpudev" }

func (b *backend) Close() error {
	b.team.close()
	return nil
}

func (b *backend) Reserve(limit int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if limit > b.cfg.Memory-b.reserved {
		return fmt.Errorf("%w: cpudev: %d bytes asked, %d of %d reserved", device.ErrDeviceMemory, limit, b.reserved, b.cfg.Memory)
	}
	b.reserved += limit
	return nil
}

func (b *backend) Release(limit int64) {
	b.mu.Lock()
	b.reserved -= limit
	b.mu.Unlock()
}

func (b *backend) Open() (device.Queue, error) {
	return &queue{layout: &b.layout, eng: engine{threads: b.cfg.Threads, k: b.kernels, team: b.team}}, nil
}

// queue runs every task at once, in the caller's goroutine and its helpers.
type queue struct {
	layout *sync.RWMutex
	eng    engine
}

// memory is one allocation, 64-byte aligned.
type memory struct {
	data    []byte
	release func([]byte) error // nil for memory of Go's heap

	packed     packing       // guarded by backend.layout
	multiplied atomic.Uint64 // the shape that a product took it in since it was written, 0 for none
	plain      atomic.Bool   // not to be packed again
}

func allocateHeap(n int64) *memory {
	raw := make([]byte, n+63)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(raw)))) & 63
	return &memory{data: raw[skip : skip+int(n) : skip+int(n)]}
}

func (q *queue) Alloc(n int64) (device.Mem, error) {
	m, err := allocate(n)
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Free is called when no handle names the memory any more; tasks run before
// Run returns, so nothing uses it.
func (q *queue) Free(m device.Mem) {
	mem := m.(*memory)
	if mem.release != nil {
		if err := mem.release(mem.data); err != nil {
			panic(fmt.Sprintf("cpudev: release of its own mapping: %v", err))
		}
	}
	mem.data = nil
}

func (q *queue) Sync() error  { return nil }
func (q *queue) Close() error { return nil }

func (q *queue) Write(m device.Mem, off int64, p []byte) error {
	mem := q.rows(m.(*memory))
	defer q.layout.RUnlock()
	mem.multiplied.Store(0)
	copy(mem.data[off:], p)
	return nil
}

func (q *queue) Read(m device.Mem, off int64, p []byte) error {
	mem := q.rows(m.(*memory))
	defer q.layout.RUnlock()
	copy(p, mem.data[off:])
	return nil
}

// rows returns m with its layout locked, as rows.
func (q *queue) rows(m *memory) *memory {
	q.layout.RLock()
	for m.packed != (packing{}) {
		q.change(m, packing{})
	}
	return m
}

// change gives m another layout. q.layout is held for reading before and after.
func (q *queue) change(m *memory, to packing) {
	q.layout.RUnlock()
	q.layout.Lock()
	q.eng.change(m, to)
	q.layout.Unlock()
	q.layout.RLock()
}

func (q *queue) Run(t *device.Task) error {
	q.layout.RLock()
	defer q.layout.RUnlock()
	for {
		m, to := q.eng.k.relayout(t)
		if m == nil {
			return q.eng.run(t)
		}
		q.change(m, to)
	}
}

// TransientTasks implements device.TransientQueue: a task has run when Run
// returns.
func (q *queue) TransientTasks() {}

var _ device.TransientQueue = (*queue)(nil)

// bytesOf is the memory of a tensor; nil if absent or empty.
func bytesOf(t device.Tensor) []byte {
	if t.Mem == nil {
		return nil
	}
	n := t.Bytes()
	return t.Mem.(*memory).data[t.Off : t.Off+n : t.Off+n]
}

func cast[T any](b []byte) []T {
	if len(b) == 0 {
		return nil
	}
	var z T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(z)))
}

func s8Of(t device.Tensor) []int8             { return cast[int8](bytesOf(t)) }
func s32Of(t device.Tensor) []int32           { return cast[int32](bytesOf(t)) }
func scalesOf(t device.Tensor) []device.Scale { return cast[device.Scale](bytesOf(t)) }
