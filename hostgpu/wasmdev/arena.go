package wasmdev

import (
	"fmt"

	"github.com/assaynet/assay/hostgpu/device"
)

const (
	align    = 64
	pageSize = 64 << 10
	// memoryEnd leaves the last page of a 4 GiB memory unused, so that no
	// pointer arithmetic of a kernel wraps.
	memoryEnd = 1<<32 - pageSize
	// growPages is the least that memory grows by, in pages.
	growPages = 64
	// slack is how far freed blocks may push the end of memory beyond twice
	// what is live before they are squeezed out.
	slack = 4 << 20
)

// grower is the memory of the kernels.
type grower interface {
	Memory() []byte
	Grow(pages uint32) error
}

// block is one allocation. Its offset changes when the arena compacts, so it
// is read for each use, under the device's lock.
type block struct {
	off, size int64
	freed     bool
}

// arena hands out the memory above the kernels' own data. New blocks go to the
// end; a freed one is used again for the same size, and compaction squeezes
// out the others. So an allocation fails only if live bytes would pass the end.
type arena struct {
	mem    grower
	base   int64
	end    int64 // of the last block
	dirty  int64 // everything from here on is still zero
	live   int64 // bytes in blocks that are not freed
	blocks []*block
	holes  map[int64][]*block // freed blocks by size
}

func (a *arena) init(mem grower, heap int64) {
	a.mem = mem
	a.base = (heap + align - 1) &^ (align - 1)
	a.end, a.dirty = a.base, a.base
	a.holes = map[int64][]*block{}
}

// capacity is the most that live can be.
func (a *arena) capacity() int64 { return memoryEnd - a.base }

// alloc returns n zeroed bytes; n is a positive multiple of align.
func (a *arena) alloc(n int64) (*block, error) {
	n = (n + align - 1) &^ (align - 1)
	if n > a.capacity()-a.live {
		return nil, fmt.Errorf("%w: %d bytes asked, %d of %d free", device.ErrDeviceMemory, n, a.capacity()-a.live, a.capacity())
	}
	if h := a.holes[n]; len(h) > 0 {
		b := h[len(h)-1]
		a.holes[n] = h[:len(h)-1]
		b.freed = false
		a.live += n
		clear(a.mem.Memory()[b.off : b.off+n])
		return b, nil
	}
	if a.end+n > memoryEnd || a.end+n-a.base > 2*(a.live+n)+slack {
		a.compact()
	}
	if err := a.reach(a.end + n); err != nil {
		return nil, err
	}
	b := &block{off: a.end, size: n}
	if b.off < a.dirty {
		clear(a.mem.Memory()[b.off:min(a.dirty, b.off+n)])
	}
	a.end += n
	a.dirty = max(a.dirty, a.end)
	a.live += n
	a.blocks = append(a.blocks, b)
	return b, nil
}

// reach grows the memory to hold end bytes.
func (a *arena) reach(end int64) error {
	have := int64(len(a.mem.Memory()))
	if end <= have {
		return nil
	}
	need := (end - have + pageSize - 1) / pageSize
	more := min(max(need, growPages, have/pageSize/4), (memoryEnd-have)/pageSize)
	if err := a.mem.Grow(uint32(more)); err != nil {
		return fmt.Errorf("%w: %w", device.ErrDeviceMemory, err)
	}
	return nil
}

func (a *arena) free(b *block) {
	b.freed = true
	a.live -= b.size
	if a.live == 0 {
		clear(a.holes)
		a.blocks = a.blocks[:0]
		a.end = a.base
		return
	}
	a.holes[b.size] = append(a.holes[b.size], b)
}

// compact moves every live block down over the holes.
func (a *arena) compact() {
	mem := a.mem.Memory()
	kept := a.blocks[:0]
	a.end = a.base
	for _, b := range a.blocks {
		if b.freed {
			continue
		}
		if b.off != a.end {
			copy(mem[a.end:a.end+b.size], mem[b.off:b.off+b.size])
			b.off = a.end
		}
		a.end += b.size
		kept = append(kept, b)
	}
	clear(a.blocks[len(kept):])
	a.blocks = kept
	clear(a.holes)
}
