package wasmdev

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
)

type memory struct {
	data  []byte
	limit int
}

func (m *memory) Memory() []byte { return m.data }
func (m *memory) Grow(pages uint32) error {
	if len(m.data)+int(pages)*pageSize > m.limit {
		return errors.New("limit")
	}
	m.data = append(m.data, make([]byte, int(pages)*pageSize)...)
	return nil
}

// TestArena allocates and frees at random: memory comes zeroed, keeps what was
// written while blocks move, and does not outgrow what is live by much.
func TestArena(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	mem := &memory{limit: 256 << 20}
	var a arena
	a.init(mem, 1000)
	type entry struct {
		b    *block
		fill byte
	}
	var live []entry
	check := func(e entry) {
		t.Helper()
		got := mem.data[e.b.off : e.b.off+e.b.size]
		if !bytes.Equal(got, bytes.Repeat([]byte{e.fill}, int(e.b.size))) {
			t.Fatalf("block at %d of %d bytes lost its content", e.b.off, e.b.size)
		}
	}
	moved := false
	for range 5000 {
		if len(live) > 0 && (rng.IntN(2) == 0 || len(live) > 200) {
			i := rng.IntN(len(live))
			check(live[i])
			a.free(live[i].b)
			live[i] = live[len(live)-1]
			live = live[:len(live)-1]
			continue
		}
		offs := make(map[*block]int64, len(live))
		for _, e := range live {
			offs[e.b] = e.b.off
		}
		end := a.end
		b, err := a.alloc(int64(1+rng.IntN(2000)) * align)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range live {
			moved = moved || offs[e.b] != e.b.off
		}
		if b.off%align != 0 {
			t.Fatalf("block at %d is not aligned", b.off)
		}
		e := entry{b, 0}
		check(e)
		e.fill = byte(1 + rng.IntN(255))
		for i := range b.size {
			mem.data[b.off+i] = e.fill
		}
		live = append(live, e)
		if a.end > end && a.end-a.base > 2*a.live+slack {
			t.Fatalf("%d bytes in use for %d live", a.end-a.base, a.live)
		}
	}
	for _, e := range live {
		check(e)
	}
	if !moved {
		t.Error("the test never made blocks move")
	}
	for _, e := range live {
		a.free(e.b)
	}
	if a.end != a.base || a.live != 0 {
		t.Errorf("empty arena ends at %d with %d live", a.end, a.live)
	}
}

// TestArenaRefuses: more than a memory holds is ErrDeviceMemory.
func TestArenaRefuses(t *testing.T) {
	var a arena
	a.init(&memory{limit: 1 << 20}, 0)
	if _, err := a.alloc(a.capacity() + align); !errors.Is(err, device.ErrDeviceMemory) {
		t.Errorf("above capacity: %v", err)
	}
	if _, err := a.alloc(2 << 20); !errors.Is(err, device.ErrDeviceMemory) {
		t.Errorf("host out of memory: %v", err)
	}
}
