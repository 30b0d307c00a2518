package cpudev_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/device"
)

// actor runs calls on one device, and fails the test by panicking.
type actor struct{ sp device.Space }

func (a actor) must(err error) {
	if err != nil {
		panic(err)
	}
}

func (a actor) alloc(dt device.DType, rows, cols int) device.Handle {
	h, err := a.sp.Alloc(dt, device.Shape{Rows: rows, Cols: cols})
	a.must(err)
	return h
}

func (a actor) run(op device.Op, imms []int64, tensors ...device.Handle) {
	a.must(a.sp.Run(device.Call{Op: op, Tensors: tensors, Imms: imms}))
}

func (a actor) expanded(rows, cols int, stream int64) device.Handle {
	h, key := a.alloc(device.S8, rows, cols), a.alloc(device.U8, 1, 32)
	a.run(device.OpExpand, []int64{stream}, h, key)
	return h
}

func (a actor) scales(n int, seed byte) device.Handle {
	b := make([]byte, 8*n)
	for i := range n {
		copy(b[8*i:], []byte{byte(i), seed, byte(i >> 8), 0x50, 38 + byte(i%5), 0, 0, 0})
	}
	h := a.alloc(device.ScaleT, n, 1)
	a.must(a.sp.Write(h, 0, b))
	return h
}

func (a actor) read(h device.Handle) []byte {
	dt, s, err := a.sp.Stat(h)
	a.must(err)
	p := make([]byte, s.Elems()*int64(dt.Size()))
	a.must(a.sp.Read(h, 0, p))
	return p
}

// product multiplies m rows by w.
func (a actor) product(w device.Handle, m int, stream int64) []byte {
	_, s, err := a.sp.Stat(w)
	a.must(err)
	x, dst := a.expanded(m, s.Cols, stream), a.alloc(device.S32, m, s.Rows)
	a.run(device.OpGemm, nil, dst, x, w)
	out := a.read(dst)
	a.run(device.OpLinear, []int64{47}, dst, x, a.scales(m, 1), w, a.scales(s.Rows, 2), 0, 0)
	return append(out, a.read(dst)...)
}

// layouts are shapes of weights: what can be packed and what cannot, one panel
// and several, a depth of less and of more than a panel's.
var layouts = [][2]int{{64, 1024}, {320, 512}, {128, 4096 + 64}, {64, 9024}, {1024, 64}, {96, 1024}, {128, 1000}, {64, 512}}

// TestLayouts: whatever a script does with weights between products, every
// instruction set reads and computes what portable code does.
func TestLayouts(t *testing.T) {
	for _, isa := range cpudev.Available() {
		for i, s := range layouts {
			t.Run(fmt.Sprintf("%s/%dx%d", isa, s[0], s[1]), func(t *testing.T) {
				for seed := range uint64(3) {
					want := script(t, cpudev.Config{ISA: cpudev.Portable, Threads: 2}, s, uint64(i)+seed<<8)
					got := script(t, cpudev.Config{ISA: isa, Threads: 2}, s, uint64(i)+seed<<8)
					for step := range want {
						if !bytes.Equal(got[step], want[step]) {
							t.Fatalf("seed %d: step %d differs", seed, step)
						}
					}
				}
			})
		}
	}
}

// FuzzLayouts runs scripts over weights of shapes that are packed.
func FuzzLayouts(f *testing.F) {
	f.Add(uint8(0), uint8(15), uint64(1))
	f.Add(uint8(255), uint8(70), uint64(2))
	f.Fuzz(func(t *testing.T, n, k uint8, seed uint64) {
		// From the least that is packed on, and seldom deeper than a panel's part.
		s := [2]int{64 * (1 + int(n)%3), 64 * (16 + int(k)%20)}
		if n > 240 {
			s[1] += 64 * 40
		}
		want := script(t, cpudev.Config{ISA: cpudev.Portable, Threads: 1}, s, seed)
		got := script(t, cpudev.Config{Threads: 1 + int(seed%3)}, s, seed)
		for step := range want {
			if !bytes.Equal(got[step], want[step]) {
				t.Fatalf("%v: step %d differs", s, step)
			}
		}
	})
}

func script(t *testing.T, cfg cpudev.Config, shape [2]int, seed uint64) (out [][]byte) {
	dev, err := cpudev.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	sp, err := dev.NewSpace(256 << 20)
	if err != nil {
		t.Fatal(err)
	}
	a := actor{sp}
	r := rand.New(rand.NewPCG(seed, 5))
	n, k := shape[0], shape[1]
	w := a.expanded(n, k, 7)
	for range 12 {
		switch r.IntN(8) {
		default:
			for range 3 {
				out = append(out, a.product(w, 1+r.IntN(14), r.Int64N(9)))
			}
		case 4:
			p := []byte{1, 2, 3, byte(r.Uint32())}
			a.must(sp.Write(w, r.Int64N(int64(n*k-4)), p))
		case 5:
			out = append(out, a.read(w))
		case 6:
			d := a.alloc(device.U8, 1, 32)
			a.run(device.OpDigest, nil, d, w, 0)
			out = append(out, a.read(d))
		case 7:
			switch r.IntN(4) {
			case 0: // a fresh tensor, so that it may be packed again
				w = a.expanded(n, k, r.Int64N(100))
			case 1: // both operands
				dst := a.alloc(device.S32, n, n)
				a.run(device.OpGemm, nil, dst, w, w)
				out = append(out, a.read(dst))
			case 2: // another shape of the same bytes
				v, err := sp.View(w, 0, device.Shape{Rows: n / 2, Cols: 2 * k})
				a.must(err)
				out = append(out, a.product(v, 2, 3), a.product(v, 3, 3))
			case 3: // a part
				v, err := sp.View(w, n/4, device.Shape{Rows: n / 2, Cols: k})
				a.must(err)
				out = append(out, a.product(v, 2, 3), a.product(v, 3, 3))
			}
		}
	}
	return out
}

// TestLayoutsShared: spaces that multiply by shared weights, and others that
// read them, do not disturb each other.
func TestLayoutsShared(t *testing.T) {
	const n, k, users = 256, 1024, 4
	dev, err := cpudev.New(cpudev.Config{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	for round := range 6 {
		owner, err := dev.NewSpace(8 << 20)
		if err != nil {
			t.Fatal(err)
		}
		a := actor{owner}
		w := a.expanded(n, k, int64(round))
		want := [2][]byte{nil, a.read(w)}
		var wg sync.WaitGroup
		results := make([][][]byte, users)
		spaces := make([]device.Space, users)
		for u := range users {
			if spaces[u], err = dev.NewSpace(32 << 20); err != nil {
				t.Fatal(err)
			}
			h, err := spaces[u].Share(owner, w)
			if err != nil {
				t.Fatal(err)
			}
			wg.Go(func() {
				x := actor{spaces[u]}
				for i := range 8 {
					if u == 0 && i > round {
						results[u] = append(results[u], x.read(h))
						continue
					}
					results[u] = append(results[u], x.product(h, 5, 1))
				}
			})
		}
		wg.Wait()
		want[0] = results[1][0]
		for u := range users {
			for i, got := range results[u] {
				which := 0
				if u == 0 && i > round {
					which = 1
				}
				if !bytes.Equal(got, want[which]) {
					t.Errorf("round %d: user %d, step %d differs", round, u, i)
				}
			}
			if err := spaces[u].Close(); err != nil {
				t.Error(err)
			}
		}
		if err := owner.Close(); err != nil {
			t.Error(err)
		}
	}
}
