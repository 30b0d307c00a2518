package enginetest_test

import (
	"math/rand/v2"
	"testing"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/sandbox/enginetest"
	"github.com/assaynet/assay/runtime/wasmbin"
)

// TestMoves: memory.fill and memory.copy, which rewritten code does in pieces,
// leave what the whole instruction leaves: over ranges that overlap either
// way, of any number of pieces, and beyond the end of memory.
func TestMoves(t *testing.T) {
	const size, piece = 4 << 16, 4000 // what a slice of 1,000 units pays for
	w := &wasmbin.Writer{}
	w.Header()
	w.Types([]wasmbin.FuncType{{Params: []wasmbin.ValType{wasmbin.I32, wasmbin.I32, wasmbin.I32}}})
	w.Functions([]uint32{0, 0})
	w.Memories([]wasmbin.Range{{Min: 4, Max: 4, HasMax: true}})
	exports := append(append(wasmbin.AppendName(nil, "fill"), 0, 0), append(wasmbin.AppendName(nil, "copy"), 0, 1)...)
	w.Items(wasmbin.SecExport, wasmbin.Section{}, 2, exports)
	var code []byte
	for _, op := range [][]byte{{0xFC, 11, 0}, {0xFC, 10, 0, 0}} {
		b := append(append([]byte{0, 0x20, 0, 0x20, 1, 0x20, 2}, op...), 0x0B)
		code = append(wasmbin.AppendU32(code, uint32(len(b))), b...)
	}
	w.Items(wasmbin.SecCode, wasmbin.Section{}, 2, code)
	c, err := enginetest.New("moves", w.Bytes(), enginetest.Profile())
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range 400 {
		n := uint64(max(0, piece*rng.IntN(20)+rng.IntN(5)-2))
		to := uint64(rng.IntN(size))
		if rng.IntN(8) > 0 {
			to = uint64(rng.IntN(size - int(n) + 1))
		}
		if i%2 == 0 {
			c.Add("fill", 1<<30, meter.DefaultStack, to, uint64(i), n)
			continue
		}
		from := uint64(min(size, max(0, int(to)+rng.IntN(4*piece)-2*piece)))
		c.Add("copy", 1<<30, meter.DefaultStack, to, from, n)
	}
	c.Add("fill", 1<<40, meter.DefaultStack, 1, 0, 1<<32-1)
	c.Add("copy", 1<<40, meter.DefaultStack, 0, 1, 1<<32-1)
	c.Add("copy", 1<<40, meter.DefaultStack, 1, 0, 1<<32-1)
	y := newTally(t)
	r, err := y.set.Run(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range r.Outcomes {
		y.traps[o.Trap]++
	}
	t.Logf("%d moves on each of %d engines, traps %v", len(r.Outcomes), len(y.set.Engines), y.traps)
	if y.traps[int(abi.TrapNone)] == 0 || y.traps[int(abi.TrapMemoryOutOfBounds)] == 0 {
		t.Error("nothing moved, or nothing was out of bounds")
	}
}
