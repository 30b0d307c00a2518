package ptx

import (
	"fmt"
	"sort"
	"sync"
)

// Where the state spaces lie in the generic address space. Global memory keeps
// its addresses, as on a GPU.
const (
	globalBase  = 0x7_0000_0000
	sharedStart = 0x7a00_0000_0000
	localStart  = 0x7b00_0000_0000
	paramStart  = 0x7c00_0000_0000
	constStart  = 0x7d00_0000_0000
	windowSize  = 0x100_0000_0000
)

// An allocation is a piece of device memory. data lives as long as somebody
// holds the allocation, also behind Free.
type allocation struct {
	base  uint64
	data  []byte
	valid []byte // 1 for each byte that was written
	owner any    // *Module for a module's variables
	name  string
}

// A memory is the device memory of a machine. Launches look addresses up in a
// snapshot of it.
type memory struct {
	mu    sync.RWMutex
	limit int64
	used  int64
	next  uint64
	live  []*allocation // by base
	freed []*allocation // by base, without data
	// locks make atomics whole; an address has the lock of its 64-byte line.
	locks [256]sync.Mutex
}

const allocAlign = 256

func (m *memory) alloc(n int64, owner any, name string) (*allocation, error) {
	if n <= 0 {
		return nil, fmt.Errorf("%w: allocation of %d bytes", ErrLaunch, n)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if n > m.limit-m.used {
		return nil, fmt.Errorf("%w: %d bytes wanted, %d of %d left", ErrMemory, n, m.limit-m.used, m.limit)
	}
	// Addresses are never used twice, so that a stale pointer is seen; a gap
	// behind each allocation catches small overruns.
	a := &allocation{base: m.next, data: make([]byte, n), valid: make([]byte, n), owner: owner, name: name}
	m.next += (uint64(n)+allocAlign-1)&^(allocAlign-1) + allocAlign
	m.used += n
	m.live = append(append([]*allocation(nil), m.live...), a)
	return a, nil
}

func (m *memory) free(addr uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := search(m.live, addr)
	if i < 0 || m.live[i].base != addr || m.live[i].owner != nil {
		return fmt.Errorf("%w: %#x to be freed", ErrAddress, addr)
	}
	m.drop(i)
	return nil
}

// drop moves an allocation to those freed. Slices are replaced, not changed:
// launches hold them.
func (m *memory) drop(i int) {
	a := m.live[i]
	m.used -= int64(len(a.data))
	live := append([]*allocation(nil), m.live[:i]...)
	m.live = append(live, m.live[i+1:]...)
	gone := *a
	gone.data, gone.valid = nil, nil
	gone.name = fmt.Sprint(len(a.data))
	at := sort.Search(len(m.freed), func(i int) bool { return m.freed[i].base > a.base })
	freed := append([]*allocation(nil), m.freed[:at]...)
	m.freed = append(append(freed, &gone), m.freed[at:]...)
}

// search finds the last allocation at or below addr, or −1.
func search(list []*allocation, addr uint64) int {
	return sort.Search(len(list), func(i int) bool { return list[i].base > addr }) - 1
}

// snapshot is what a launch sees of the memory.
func (m *memory) snapshot() (live, freed []*allocation) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.live, m.freed
}

// find returns the allocation that holds [addr, addr+n).
func (m *memory) find(addr uint64, n int64) (*allocation, error) {
	live, _ := m.snapshot()
	if i := search(live, addr); i >= 0 && n >= 0 {
		if off := addr - live[i].base; off < uint64(len(live[i].data)) && uint64(n) <= uint64(len(live[i].data))-off {
			return live[i], nil
		}
	}
	return nil, fmt.Errorf("%w: %d bytes at %#x", ErrAddress, n, addr)
}

func (a *allocation) at(addr uint64, n int) []byte {
	off := addr - a.base
	return a.data[off : off+uint64(n) : off+uint64(n)]
}

func (a *allocation) wrote(addr uint64, n int) {
	v := a.valid[addr-a.base:][:n]
	for i := range v {
		v[i] = 1
	}
}
