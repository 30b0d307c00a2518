package enginetest_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/sandbox/enginetest"
	"github.com/assaynet/assay/runtime/wasmbin"
)

// dispatcher makes modules of the shape that stock Go's compiler gives its
// functions: a loop around blocks, a table that leads to each, and jumps that
// put the number of a block into local 0 and go back to the loop. What is
// charged for such jumps where they lead depends on what is in front of them
// and of the loop, so all of that varies.
type dispatcher struct {
	recursor
	blocks int
}

const (
	turns   = 1 // local that is counted down at each turn
	scratch = 2
)

// something that can stop a guest, be seen by others, or neither.
func (g *dispatcher) something() {
	switch g.IntN(9) {
	case 0: // out of bounds, sometimes
		g.konst(0x41, int64(g.IntN(4))<<14)
		g.idx(0x20, scratch)
		g.op(0x36, 0, 0)
	case 1:
		g.idx(0x20, turns)
		g.op(0x10, 0) // the host
	case 2:
		g.konst(0x41, int64(g.IntN(g.blocks)))
		g.konst(0x41, 0)
		g.op(0x10, 2, 0x1A) // a function of the same shape, without turns
	case 3:
		g.op(0x10, 3) // a leaf
	case 4: // divide, by zero now and then
		g.konst(0x41, 100)
		g.idx(0x20, turns)
		g.op(0x6D)
		g.idx(0x21, scratch)
	case 5:
		g.op(0x01)
	case 6: // an address, as Go computes it
		g.idx(0x20, scratch)
		g.op(0xAD)
		g.konst(0x42, []int64{8, -1, 1 << 31, 1 << 40, -1 << 63, 4294967295}[g.IntN(6)])
		g.op(0x7C, 0xA7)
		g.idx(0x21, scratch)
	default:
		g.op(0x23, 0)
		g.idx(0x21, scratch)
	}
}

// jump goes back to the loop, which depth constructs are around.
func (g *dispatcher) jump(depth int) {
	for g.IntN(6) == 0 {
		g.something()
	}
	g.konst(0x41, int64(g.IntN(g.blocks)))
	g.idx(0x21, 0)
	for g.IntN(8) == 0 {
		g.op(0x23, 0, 0x21, scratch)
	}
	g.idx(0x0C, depth)
}

func (g *dispatcher) block(depth int) {
	for range g.IntN(3) {
		switch g.IntN(6) {
		case 0, 1, 2:
			g.idx(0x20, scratch)
			g.konst(0x41, int64(1<<g.IntN(4)))
			g.op(0x71, 0x04, 0x40)
			g.jump(depth + 1)
			g.op(0x0B)
		case 3:
			g.idx(0x20, scratch)
			g.konst(0x41, 32)
			g.op(0x71, 0x04, 0x40)
			g.op(0x10, 3) // rarely, by its looks
			g.op(0x0B)
		default:
			g.something()
		}
	}
	switch g.IntN(6) {
	case 0, 1, 2:
		g.jump(depth)
	case 3:
		g.idx(0x20, scratch)
		g.op(0x0F)
	case 4:
		if g.IntN(3) == 0 {
			g.op(0x10, 3, 0x00)
		}
	}
}

// function is (block, turns) -> i32.
func (g *dispatcher) function() []byte {
	g.b = nil
	for g.IntN(3) == 0 {
		g.something()
	}
	g.op(0x23, 0, 0x21, scratch)
	outer := g.IntN(4)
	for range outer { // loops that begin with a loop
		g.op(0x03, 0x40)
	}
	params := g.IntN(8) == 0
	if params {
		g.op(0x23, 0, 0x03, 1) // a loop with a parameter, of type 1
	} else {
		g.op(0x03, 0x40)
	}
	if params {
		g.op(0x1A)
	}
	// turns, or out
	g.idx(0x20, turns)
	g.konst(0x41, 1)
	g.op(0x6B)
	g.idx(0x22, turns)
	g.konst(0x41, 0)
	g.op(0x48, 0x04, 0x40)
	g.idx(0x20, scratch)
	g.op(0x0F, 0x0B)
	if !params && g.IntN(6) == 0 { // back by a branch that need not be taken
		g.idx(0x20, turns)
		g.konst(0x41, 5)
		g.op(0x46, 0x0D, 0)
	}
	for range g.blocks {
		g.op(0x02, 0x40)
	}
	g.idx(0x20, 0)
	g.idx(0x0E, g.blocks-1)
	for i := range g.blocks {
		g.b = wasmbin.AppendU32(g.b, uint32(i))
	}
	for i := range g.blocks {
		g.op(0x0B)
		if params {
			// The way back takes a value; so these go on instead.
			g.something()
			continue
		}
		g.block(g.blocks - 1 - i)
	}
	for range 1 + outer {
		g.op(0x0B)
	}
	g.idx(0x20, scratch)
	return append(g.b, 0x0B)
}

func (g *dispatcher) module() []byte {
	i32 := wasmbin.I32
	types := []wasmbin.FuncType{{Params: []wasmbin.ValType{i32}}, {Params: []wasmbin.ValType{i32}}, {Params: []wasmbin.ValType{i32, i32}, Results: []wasmbin.ValType{i32}}, {}}
	var code []byte
	for range 2 {
		g.blocks = 1 + g.IntN(12)
		b := append([]byte{1, 1, byte(i32)}, g.function()...)
		code = append(wasmbin.AppendU32(code, uint32(len(b))), b...)
	}
	code = append(code, 9, 0, 0x41, 8, 0x23, 0, 0x36, 0, 0, 0x0B) // the leaf stores what nobody reads
	w := &wasmbin.Writer{}
	w.Header()
	w.Types(types)
	w.Items(wasmbin.SecImport, wasmbin.Section{}, 1, append(wasmbin.AppendName(wasmbin.AppendName(nil, "env"), "h"), 0, 0))
	w.Functions([]uint32{2, 2, 3})
	w.Memories([]wasmbin.Range{{Min: 1, Max: 1, HasMax: true}})
	w.Items(wasmbin.SecGlobal, wasmbin.Section{}, 1, append(wasmbin.AppendS64([]byte{byte(i32), 0, 0x41}, int64(g.IntN(64))), 0x0B))
	w.Items(wasmbin.SecExport, wasmbin.Section{}, 1, append(wasmbin.AppendName(nil, "f"), 0, 1))
	w.Items(wasmbin.SecCode, wasmbin.Section{}, 3, code)
	return w.Bytes()
}

// TestJumps runs programs of Go's shape with budgets up to what they use:
// results, traps and gas are those of the oracle, and a call succeeds exactly
// if its budget covers it.
func TestJumps(t *testing.T) {
	const most = 100_000
	n, first := number(t, "ASSAY_JUMPS", 60), number(t, "ASSAY_SEED", 0)
	y := newTally(t)
	for seed := first; seed < first+n; seed++ {
		rng := rand.New(rand.NewPCG(uint64(seed), 9))
		wasm := (&dispatcher{recursor: recursor{Rand: rng}}).module()
		c, err := enginetest.New(fmt.Sprintf("jumps %d", seed), wasm, enginetest.Profile())
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		args := []uint64{uint64(rng.IntN(12)), uint64(1 + rng.IntN(6))}
		c.Add("f", most, meter.DefaultStack, args...)
		full := y.oracle.Run(c)
		if full.Err != "" {
			t.Fatal(full.Err)
		}
		used := most - full.Outcomes[0].Gas
		if c.Calls = nil; used > most || full.Outcomes[0].Trap == int(abi.TrapAbort) {
			continue
		}
		// From each limit of some to the next, all of the last and one more.
		step := max(1, used/100)
		var limits []int64
		for l := int64(0); l <= used+1; l++ {
			if l%step == 0 || l > used-40 {
				limits = append(limits, l)
				c.Add("f", l, meter.DefaultStack, args...)
			}
		}
		y.modules++
		r, err := y.set.Run(c)
		if err != nil {
			keep(t, c.ID, wasm)
			t.Fatal(err)
		}
		for i, o := range r.Outcomes {
			y.calls++
			y.traps[o.Trap]++
			if o.Trap == int(abi.TrapAbort) { // the host's call of that number panics
				continue
			}
			// Who calls looks at the counter as well.
			got := o.Trap == full.Outcomes[0].Trap && o.Gas >= 0
			if enough := limits[i] >= used; enough != got || !enough && o.Gas >= 0 {
				t.Fatalf("seed %d, limit %d of %d: %v, with enough %v", seed, limits[i], used, o, full.Outcomes[0])
			}
		}
	}
	y.report(t)
}
