package cudadev

import (
	"math/bits"

	"github.com/assaynet/assay/hostgpu/cudadev/driver"
)

// Allocations begin at multiples of minAlign, those from largeAlloc on at
// multiples of largeAlign, where a warp's widest access is one line of memory.
// The two sizes keep what rounding costs under a sixteenth.
const (
	minAlign   = 64
	largeAlign = 256
	largeAlloc = 4 << 10
)

// roundSize is what an allocation of n > 0 bytes takes.
func roundSize(n int64) int64 {
	if n >= largeAlloc {
		return (n + largeAlign - 1) &^ (largeAlign - 1)
	}
	return (n + minAlign - 1) &^ (minAlign - 1)
}

// slab is one allocation of the driver, cut into blocks.
type slab struct {
	base  driver.Ptr
	size  int64
	first *block
	live  int // blocks in use
}

// block is a part of a slab, in use or free. Free ones that touch are joined.
type block struct {
	slab       *slab
	off, size  int64
	prev, next *block // in the slab
	free       bool
	up, down   *block // in its bin, if free
	// after is the work that must be done before a free block is used again.
	after []use
}

func (b *block) addr() driver.Ptr { return b.slab.base + driver.Ptr(b.off) }

// Bins hold free blocks by size: four for each power of two.
const binCount = 4 * 48

// binOf is the bin of a free block.
func binOf(size int64) int {
	n := bits.Len64(uint64(size)) - 1 // ≥ 6: sizes are multiples of 64
	return 4*n + int(size>>(n-2)&3)
}

// pool hands out blocks of slabs: good fit, joined when freed. It is not safe
// for concurrent use and makes no call of the driver.
type pool struct {
	slabs []*slab
	bins  [binCount]*block
	mask  [binCount/64 + 1]uint64 // bins that hold something
	total int64                   // bytes of all slabs
}

func (p *pool) push(b *block) {
	i := binOf(b.size)
	b.free, b.up, b.down = true, nil, p.bins[i]
	if b.down != nil {
		b.down.up = b
	}
	p.bins[i] = b
	p.mask[i/64] |= 1 << (i % 64)
}

func (p *pool) remove(b *block) {
	i := binOf(b.size)
	if b.up != nil {
		b.up.down = b.down
	} else {
		p.bins[i] = b.down
		if b.down == nil {
			p.mask[i/64] &^= 1 << (i % 64)
		}
	}
	if b.down != nil {
		b.down.up = b.up
	}
	b.free, b.up, b.down = false, nil, nil
}

// maxLook is how many blocks of an allocation's own bin are tried; any block of
// a higher bin is large enough.
const maxLook = 16

// find takes a free block of at least size bytes out of its bin.
func (p *pool) find(size int64) *block {
	i := binOf(size)
	b := p.bins[i]
	for range maxLook {
		if b == nil || fits(b, size) {
			break
		}
		b = b.down
	}
	if b == nil || !fits(b, size) {
		b = p.higher(i+1, size)
	}
	if b != nil {
		p.remove(b)
	}
	return b
}

// higher is a block of a bin from i on.
func (p *pool) higher(i int, size int64) *block {
	for i < binCount {
		w := p.mask[i/64] >> (i % 64)
		if w == 0 {
			i = (i/64 + 1) * 64
			continue
		}
		i += bits.TrailingZeros64(w)
		// Alignment may cost a block of the very next bin.
		if i < binCount && fits(p.bins[i], size) {
			return p.bins[i]
		}
		i++
	}
	return nil
}

// skip is what lies before the first address in b that an allocation of size
// bytes may have.
func skip(b *block, size int64) int64 {
	if size < largeAlloc {
		return 0
	}
	return -b.off & (largeAlign - 1)
}

func fits(b *block, size int64) bool { return b.size >= size+skip(b, size) }

// alloc returns a block of roundSize(n) bytes with the work that it must wait
// for, or nil.
func (p *pool) alloc(n int64) *block {
	size := roundSize(n)
	b := p.find(size)
	if b == nil {
		return nil
	}
	if s := skip(b, size); s > 0 {
		rest := p.split(b, s)
		p.push(b)
		b = rest
	}
	if b.size > size {
		p.push(p.split(b, size))
	}
	b.slab.live++
	return b
}

// split cuts b, which is in no bin, after size bytes and returns the rest.
func (p *pool) split(b *block, size int64) *block {
	rest := &block{slab: b.slab, off: b.off + size, size: b.size - size, prev: b, next: b.next, after: b.after}
	if rest.next != nil {
		rest.next.prev = rest
	}
	b.next, b.size = rest, size
	return rest
}

// release makes b free once the work in after is done.
func (p *pool) release(b *block, after []use) {
	b.slab.live--
	b.after = after
	if n := b.next; n != nil && n.free {
		p.remove(n)
		p.join(b, n)
	}
	if a := b.prev; a != nil && a.free {
		p.remove(a)
		p.join(a, b)
		b = a
	}
	p.push(b)
}

// join makes one block of a and b, which follows it.
func (p *pool) join(a, b *block) {
	a.size += b.size
	a.after = mergeUses(a.after, b.after)
	a.next = b.next
	if a.next != nil {
		a.next.prev = a
	}
}

// add gives the pool a slab.
func (p *pool) add(base driver.Ptr, size int64) {
	s := &slab{base: base, size: size}
	s.first = &block{slab: s, size: size}
	p.slabs = append(p.slabs, s)
	p.total += size
	p.push(s.first)
}

// take removes slabs that nothing uses, largest first, as long as at least keep
// bytes remain, and returns them.
func (p *pool) take(keep int64) (out []*slab) {
	for {
		at := -1
		for i, s := range p.slabs {
			if s.live == 0 && p.total-s.size >= keep && (at < 0 || s.size > p.slabs[at].size) {
				at = i
			}
		}
		if at < 0 {
			return out
		}
		s := p.slabs[at]
		p.remove(s.first)
		p.slabs = append(p.slabs[:at], p.slabs[at+1:]...)
		p.total -= s.size
		out = append(out, s)
	}
}
