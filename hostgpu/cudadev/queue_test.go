package cudadev

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"lukechampine.com/blake3"

	"github.com/assaynet/assay/hostgpu/cudadev/driver"
	"github.com/assaynet/assay/hostgpu/cudadev/driver/emulated"
	"github.com/assaynet/assay/hostgpu/cudadev/kernels"
	"github.com/assaynet/assay/hostgpu/device"
)

func alloc(t testing.TB, q device.Queue, n int64) device.Mem {
	t.Helper()
	m, err := q.Alloc(n)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// tensor is n bytes of memory.
func tensor(m device.Mem, off, n int64) device.Tensor {
	return device.Tensor{Mem: m, Off: off, Type: device.U8, Shape: device.Shape{Rows: 1, Cols: int(n)}, Present: true}
}

func task(op device.Op, tensors ...device.Tensor) *device.Task {
	t := &device.Task{Op: op, Tensors: tensors}
	if err := t.Bind(); err != nil {
		panic(err)
	}
	return t
}

func open(t testing.TB, b *Backend) device.Queue {
	t.Helper()
	q, err := b.Open()
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestOrder: memory used through several queues, none of which waits on the
// host. Whatever comes of it must be what one after another gives: writes,
// copies, frees with reuse by another queue, queues that close in between.
func TestOrder(t *testing.T) {
	for seed := range uint64(24) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 11))
			b := newBackend(t, emulated.Config{SMs: 2}, Config{StagingBytes: minStaging, ScratchBytes: 1 << 16})
			const limit = 64 << 10
			ok(t, b.Reserve(limit))
			defer b.Release(limit)
			queues := make([]device.Queue, 4)
			for i := range queues {
				queues[i] = open(t, b)
			}
			const size = 1536
			sum := func(p []byte) []byte { // op digest of a row of bytes
				h := blake3.New(32, nil)
				h.Write([]byte{byte(device.U8), 1, 0, 0, 0, byte(len(p)), byte(len(p) >> 8), 0, 0})
				h.Write(p)
				return h.Sum(nil)
			}
			type item struct {
				m    device.Mem
				want []byte
			}
			var items []*item
			pick := func() *item { return items[rng.IntN(len(items))] }
			for range 400 {
				q := queues[rng.IntN(len(queues))]
				switch k := rng.IntN(12); {
				case len(items) < 3 || k == 0 && len(items) < 10:
					items = append(items, &item{alloc(t, q, size), make([]byte, size)})
				case k == 1:
					i := rng.IntN(len(items))
					q.Free(items[i].m)
					items = append(items[:i], items[i+1:]...)
				case k < 5:
					x, off := pick(), rng.IntN(size)
					p := make([]byte, 1+rng.IntN(size-off))
					for i := range p {
						p[i] = byte(rng.Uint32())
					}
					ok(t, q.Write(x.m, int64(off), p))
					copy(x.want[off:], p)
					clear(p) // it was the caller's again
				case k < 11:
					x, y := pick(), pick()
					if x == y {
						continue
					}
					if k > 7 { // what is kept back, to be launched at once
						at, n := 32*rng.IntN(size/32), 64
						ok(t, q.Run(task(device.OpDigest, tensor(x.m, int64(at), 32), tensor(y.m, 0, int64(n)), device.Tensor{})))
						copy(x.want[at:], sum(y.want[:n]))
						continue
					}
					n := 1 + rng.IntN(size)
					from, to := rng.IntN(size-n+1), rng.IntN(size-n+1)
					ok(t, q.Run(task(device.OpCopy, tensor(x.m, int64(to), int64(n)), tensor(y.m, int64(from), int64(n)))))
					copy(x.want[to:to+n], y.want[from:])
				default:
					if i := rng.IntN(len(queues)); rng.IntN(4) == 0 {
						ok(t, queues[i].Close())
						queues[i] = open(t, b)
						continue
					}
					x := pick()
					got := make([]byte, size)
					ok(t, q.Read(x.m, 0, got))
					if !bytes.Equal(got, x.want) {
						t.Fatal("read other bytes")
					}
				}
			}
			for _, x := range items {
				q := queues[rng.IntN(len(queues))]
				got := make([]byte, size)
				ok(t, q.Read(x.m, 0, got))
				if !bytes.Equal(got, x.want) {
					t.Error("other bytes at the end")
				}
				q.Free(x.m)
			}
			for _, q := range queues {
				ok(t, q.Close())
			}
		})
	}
}

// TestTransfers: writes and reads of all sizes around the ring's segments, from
// memory that is the caller's again at once.
func TestTransfers(t *testing.T) {
	b := newBackend(t, emulated.Config{SMs: 2}, Config{StagingBytes: minStaging})
	q := open(t, b)
	const n = 5 * minStaging
	ok(t, b.Reserve(n))
	m := alloc(t, q, n)
	want := make([]byte, n)
	rng := rand.New(rand.NewPCG(1, 2))
	const segment = minStaging / segments
	for _, size := range []int{1, 63, 64, 65, segment - 1, segment, segment + 1, minStaging - 1, minStaging, minStaging + 7, n} {
		for _, off := range []int{0, 1, 64, n - size} {
			if off+size > n {
				continue
			}
			p := make([]byte, size)
			for i := range p {
				p[i] = byte(rng.Uint32())
			}
			ok(t, q.Write(m, int64(off), p))
			copy(want[off:], p)
			clear(p)
			got := make([]byte, size)
			ok(t, q.Read(m, int64(off), got))
			if !bytes.Equal(got, want[off:off+size]) {
				t.Fatalf("%d bytes at %d differ", size, off)
			}
		}
	}
	got := make([]byte, n)
	ok(t, q.Read(m, 0, got))
	if !bytes.Equal(got, want) {
		t.Error("the whole differs")
	}
	q.Free(m)
	ok(t, q.Close())
	b.Release(n)
}

// TestZeroed: memory that was used before is zero when it is allocated again,
// whoever looks first, and where a write covers a part.
func TestZeroed(t *testing.T) {
	b := newBackend(t, emulated.Config{SMs: 2}, Config{})
	q, other := open(t, b), open(t, b)
	ok(t, b.Reserve(4<<10))
	const n = 1024
	dirty := func() device.Mem {
		m := alloc(t, q, n)
		ok(t, q.Write(m, 0, bytes.Repeat([]byte{0xee}, n)))
		q.Free(m)
		return alloc(t, q, n)
	}
	src := alloc(t, q, n)
	ok(t, q.Write(src, 0, bytes.Repeat([]byte{7}, n)))
	whole := make([]byte, n)
	for name, c := range map[string]struct {
		do   func(m device.Mem)
		want []byte
	}{
		"read":          {func(device.Mem) {}, make([]byte, n)},
		"read of other": {func(m device.Mem) { ok(t, other.Read(m, 0, whole)) }, make([]byte, n)},
		"part written":  {func(m device.Mem) { ok(t, q.Write(m, 5, []byte{1, 2})) }, append([]byte{0, 0, 0, 0, 0, 1, 2}, make([]byte, n-7)...)},
		"all written":   {func(m device.Mem) { ok(t, q.Write(m, 0, bytes.Repeat([]byte{9}, n))) }, bytes.Repeat([]byte{9}, n)},
		"part computed": {func(m device.Mem) {
			ok(t, q.Run(task(device.OpCopy, tensor(m, 0, 4), tensor(src, 0, 4))))
		}, append([]byte{7, 7, 7, 7}, make([]byte, n-4)...)},
		"all computed": {func(m device.Mem) {
			ok(t, q.Run(task(device.OpCopy, tensor(m, 0, n), tensor(src, 0, n))))
		}, bytes.Repeat([]byte{7}, n)},
	} {
		m := dirty()
		c.do(m)
		got := make([]byte, n)
		ok(t, q.Read(m, 0, got))
		if !bytes.Equal(got, c.want) {
			t.Errorf("%s: %v ...", name, got[:8])
		}
		q.Free(m)
	}
	q.Free(src)
	ok(t, other.Close())
	ok(t, q.Close())
	b.Release(4 << 10)
}

// TestReserve: memory is really set aside, refused before a job begins, and
// given back.
func TestReserve(t *testing.T) {
	const total = 64 << 20
	b := newBackend(t, emulated.Config{Memory: total}, Config{ScratchBytes: 1 << 20})
	free := func() int64 {
		f, _, err := b.ctx.MemInfo()
		ok(t, err)
		return f
	}
	ok(t, b.Reserve(20<<20))
	if f := free(); f > total-20<<20 {
		t.Errorf("%d bytes are free after 20 MiB of %d were set aside", f, total)
	}
	if err := b.Reserve(50 << 20); !errors.Is(err, device.ErrDeviceMemory) || !errors.Is(err, driver.ErrOutOfMemory) {
		t.Errorf("50 MiB more: %v", err)
	}
	ok(t, b.Reserve(20<<20))
	q := open(t, b)
	var held []device.Mem
	for n := int64(0); n+256<<10 <= 40<<20; n += 256 << 10 {
		held = append(held, alloc(t, q, 256<<10))
	}
	for _, m := range held {
		q.Free(m)
	}
	ok(t, q.Close())
	b.Release(20 << 20)
	b.Release(20 << 20)
	ok(t, b.Reserve(55<<20)) // in one piece: what was kept is given back for it
	b.Release(55 << 20)

	capped := newBackend(t, emulated.Config{}, Config{Memory: 10 << 20})
	ok(t, capped.Reserve(6<<20))
	if err := capped.Reserve(6 << 20); !errors.Is(err, device.ErrDeviceMemory) {
		t.Errorf("above --memory: %v", err)
	}
	capped.Release(6 << 20)
}

// TestImages: which kernels a GPU gets, and what an older one is told.
func TestImages(t *testing.T) {
	if _, err := NewBackend(Config{Driver: emulated.New(emulated.Config{Major: 7, Minor: 5})}); !errors.Is(err, ErrCapability) || !errors.Is(err, kernels.ErrArch) {
		t.Errorf("compute capability 7.5: %v", err)
	}
	if b := newBackend(t, emulated.Config{Major: 9}, Config{}); b.Props().Major != 9 {
		t.Errorf("Hopper is planned for as %+v", b.Props())
	}
	// Hopper under the first driver that knows it speaks PTX 7.8, not 8.0.
	b := newBackend(t, emulated.Config{Major: 9, Version: 11080}, Config{})
	if b.Props().Major != 8 {
		t.Errorf("an older driver is given %+v", b.Props())
	}
	if _, err := NewBackend(Config{Driver: emulated.New(emulated.Config{}), GPU: 1}); !errors.Is(err, driver.ErrNoDevice) {
		t.Errorf("second GPU of one: %v", err)
	}
}
