package sandbox

import (
	"sync/atomic"

	"github.com/tetratelabs/wazero/experimental"
)

// wasmPage is the Wasm page size in bytes (Core 2.0, section 4.2.8).
const wasmPage = 65536

// reservation is one linear memory: address space for its maximum, reserved
// before the guest starts, of which the first len bytes are accessible. It
// never moves, so growing costs no copy, and growing fails by rule alone.
type reservation struct {
	space  region
	size   uint64 // bytes handed to the engine, a multiple of wasmPage
	mapped uint64 // accessible from the start: the snapshot's
	budget *budget
}

// Reallocate implements experimental.LinearMemory. wazero asks only for sizes
// up to the maximum that it passed to Allocate.
func (m *reservation) Reallocate(size uint64) []byte {
	if size > uint64(len(m.space.addr)) {
		return nil
	}
	if size > m.size {
		if err := m.space.commit(max(m.size, m.mapped), max(size, m.mapped)); err != nil {
			// Only the kernel's own limits lead here. A guest must not see
			// them as a failed memory.grow, which is part of its result.
			panic(&HostError{Op: "grow", Err: err})
		}
		m.size = size
	}
	return m.space.addr[:size:size]
}

// Free implements experimental.LinearMemory.
func (m *reservation) Free() {
	n := uint64(len(m.space.addr))
	m.space.release()
	m.size = 0
	m.budget.give(n)
	m.budget = nil // a second Free gives nothing back
}

// allocator hands one reservation to the instance being instantiated.
type allocator struct {
	budget *budget
	snap   *snapshot // whose memory the instance starts with; may be nil
	got    *reservation
	err    error
}

var _ experimental.MemoryAllocator = (*allocator)(nil)

// Allocate implements experimental.MemoryAllocator. It cannot return an
// error, so it records one and panics; instantiate turns that into a
// *HostError.
func (a *allocator) Allocate(_, max uint64) experimental.LinearMemory {
	if !a.budget.take(max) {
		a.err = ErrMemory
		panic(a.err)
	}
	space, err := reserve(max)
	if err != nil {
		a.budget.give(max)
		a.err = err
		panic(a.err)
	}
	a.got = &reservation{space: space, budget: a.budget}
	if a.snap != nil {
		if err := a.snap.image.mapTo(space, a.snap.size); err != nil {
			a.err = err
			panic(a.err) // instantiate frees what is in got
		}
		a.got.mapped = a.snap.size
	}
	return a.got
}

// budget bounds the sum of the maxima of all live instances, in bytes.
type budget struct {
	limit uint64 // 0: unlimited
	used  atomic.Uint64
}

func (b *budget) take(n uint64) bool {
	if b == nil {
		return true
	}
	for {
		u := b.used.Load()
		if b.limit != 0 && (n > b.limit || u > b.limit-n) {
			return false
		}
		if b.used.CompareAndSwap(u, u+n) {
			return true
		}
	}
}

func (b *budget) give(n uint64) {
	if b != nil {
		b.used.Add(^(n - 1))
	}
}
