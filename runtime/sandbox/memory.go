package sandbox

import (
	"github.com/tetratelabs/wazero/experimental"
)

// wasmPage is the Wasm page size in bytes (Core 2.0, section 4.2.8).
const wasmPage = 65536

// reservation is one linear memory: address space for its maximum, reserved
// before the guest starts, of which the first size bytes are accessible. It
// never moves, so growing copies nothing, and growing fails by rule alone.
type reservation struct {
	space  region
	size   uint64 // bytes handed to the engine, a multiple of wasmPage
	mapped uint64 // accessible from the start: the snapshot's
	share  *Share // what the maximum is taken from; nil: nothing counts
	// committed counts the bytes made accessible by growing, each once.
	committed uint64
}

// Reallocate implements experimental.LinearMemory. nil is a memory.grow that
// fails: above the maximum, and nowhere else.
func (m *reservation) Reallocate(size uint64) []byte {
	if size > uint64(len(m.space.addr)) {
		return nil
	}
	if size > m.size {
		from, to := max(m.size, m.mapped), max(size, m.mapped)
		if err := m.space.commit(from, to); err != nil {
			// Only the kernel's own limits lead here. A guest must not see
			// them as a failed memory.grow, which is part of its result.
			panic(&HostError{Op: "grow", Err: err})
		}
		m.committed += to - from
		m.size = size
	}
	return m.space.addr[:size:size]
}

// Free implements experimental.LinearMemory.
func (m *reservation) Free() {
	n := uint64(len(m.space.addr))
	m.space.release()
	m.size = 0
	m.share.give(n)
	m.share = nil // a second Free gives nothing back
}

// allocator hands one reservation to the instance being instantiated.
type allocator struct {
	share *Share    // has been asked for limit bytes already; may be nil
	snap  *snapshot // whose memory the instance starts with; may be nil
	limit uint64    // most bytes of the memory
	got   *reservation
	err   error
}

var _ experimental.MemoryAllocator = (*allocator)(nil)

// Allocate implements experimental.MemoryAllocator. It cannot return an
// error, so it records one and panics; instantiate turns that into a
// *HostError.
func (a *allocator) Allocate(_, max uint64) experimental.LinearMemory {
	space, err := reserve(min(max, a.limit))
	if err != nil {
		a.err = err
		panic(a.err)
	}
	a.got = &reservation{space: space, share: a.share}
	if a.snap != nil {
		if err := a.snap.image.mapTo(space, a.snap.size); err != nil {
			a.err = err
			panic(a.err) // instantiate frees what is in got
		}
		a.got.mapped = a.snap.size
	}
	return a.got
}
