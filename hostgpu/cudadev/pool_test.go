package cudadev

import (
	"math/rand/v2"
	"testing"

	"github.com/assaynet/assay/hostgpu/cudadev/driver"
)

// verify checks what must always hold: blocks tile their slab, free ones that
// touch are one, bins hold the free blocks and nothing else.
func (p *pool) verify(t *testing.T) {
	t.Helper()
	free := map[*block]bool{}
	for i, b := range p.bins {
		if (b != nil) != (p.mask[i/64]>>(i%64)&1 == 1) {
			t.Fatalf("bin %d and its bit disagree", i)
		}
		var up *block
		for ; b != nil; up, b = b, b.down {
			if !b.free || binOf(b.size) != i || b.up != up {
				t.Fatalf("block of %d bytes in bin %d", b.size, i)
			}
			free[b] = true
		}
	}
	total := int64(0)
	for _, s := range p.slabs {
		at, live := int64(0), 0
		var prev *block
		for b := s.first; b != nil; prev, b = b, b.next {
			if b.off != at || b.size <= 0 || b.prev != prev || b.slab != s || b.size%minAlign != 0 {
				t.Fatalf("block at %d of %d bytes, want it at %d", b.off, b.size, at)
			}
			if b.free != free[b] || b.free && prev != nil && prev.free {
				t.Fatalf("block at %d: free %v, in a bin %v", b.off, b.free, free[b])
			}
			delete(free, b)
			if !b.free {
				live++
			}
			at += b.size
		}
		if at != s.size || live != s.live {
			t.Fatalf("slab of %d bytes with %d blocks has %d bytes in %d", s.size, s.live, at, live)
		}
		total += s.size
	}
	if len(free) > 0 || total != p.total {
		t.Fatalf("%d free blocks of no slab, %d bytes of %d", len(free), total, p.total)
	}
}

func TestPool(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 7))
		p := &pool{}
		base := driver.Ptr(1 << 40)
		grow := func(n int64) {
			p.add(base, n)
			base += driver.Ptr(2 * n)
		}
		grow(8 << 20)
		var held []*block
		for step := range 3000 {
			if len(held) > 0 && rng.IntN(5) < 2 || len(held) > 400 {
				i := rng.IntN(len(held))
				p.release(held[i], nil)
				held[i] = held[len(held)-1]
				held = held[:len(held)-1]
			} else {
				n := 1 + rng.Int64N(1<<rng.IntN(20))
				b := p.alloc(n)
				if b == nil {
					grow(max(1<<20, roundSize(n)))
					if b = p.alloc(n); b == nil {
						t.Fatalf("no %d bytes in a new slab", n)
					}
				}
				if b.size < n || b.size != roundSize(n) || b.off%minAlign != 0 || n >= largeAlloc && b.addr()%largeAlign != 0 {
					t.Fatalf("%d bytes: block of %d at %x", n, b.size, b.addr())
				}
				held = append(held, b)
			}
			if step%50 == 0 {
				p.verify(t)
			}
		}
		if got := p.take(p.total); len(got) > 0 {
			t.Fatalf("took %d slabs where all were to be kept", len(got))
		}
		for _, b := range held {
			p.release(b, nil)
		}
		p.verify(t)
		slabs, keep := len(p.slabs), p.slabs[0].size
		got := p.take(keep)
		p.verify(t)
		if len(got)+len(p.slabs) != slabs || p.total < keep {
			t.Fatalf("kept %d bytes of at least %d", p.total, keep)
		}
		p.take(0)
		if p.total != 0 || len(p.slabs) != 0 {
			t.Fatalf("%d bytes are left", p.total)
		}
	}
}

// TestPoolWaits: a block carries what must be done before it is used again,
// through cutting and joining.
func TestPoolWaits(t *testing.T) {
	a, b := &line{}, &line{}
	p := &pool{}
	p.add(1<<30, 1<<20)
	x, y, z := p.alloc(1<<10), p.alloc(1<<10), p.alloc(1<<10)
	p.release(x, []use{{line: a, wrote: 3}})
	p.release(z, []use{{line: a, read: 5}})
	p.release(y, []use{{line: b, wrote: 7}})
	w := p.alloc(1 << 19)
	want := map[*line]uint64{a: 5, b: 7}
	if len(w.after) != len(want) {
		t.Fatalf("waits for %v", w.after)
	}
	for _, u := range w.after {
		if u.last() != want[u.line] {
			t.Errorf("waits for %d, want %d", u.last(), want[u.line])
		}
	}
	b.close()
	p.release(w, w.after)
	if w = p.alloc(1 << 20); len(w.after) != 1 || w.after[0].line != a {
		t.Errorf("after one line is done: waits for %v", w.after)
	}
}
