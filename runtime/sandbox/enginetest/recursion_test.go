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

// recursor makes modules of functions that call each other, directly, through
// the table and with a host call in between, and that leave in every way there
// is: by their end, by return, by branches to the function label from within
// constructs. The first parameter says how deep to go.
type recursor struct {
	*rand.Rand
	types  []wasmbin.FuncType
	sigs   []int // types of the functions
	locals []wasmbin.ValType
	result []wasmbin.ValType
	b      []byte
}

var valueTypes = []wasmbin.ValType{wasmbin.I32, wasmbin.I64, wasmbin.F32, wasmbin.F64, wasmbin.V128}

func (g *recursor) some(most int) (ts []wasmbin.ValType) {
	for range g.IntN(most + 1) {
		ts = append(ts, valueTypes[g.IntN(5)])
	}
	return ts
}

func (g *recursor) op(b ...byte)           { g.b = append(g.b, b...) }
func (g *recursor) idx(op byte, i int)     { g.b = wasmbin.AppendU32(append(g.b, op), uint32(i)) }
func (g *recursor) konst(op byte, v int64) { g.b = wasmbin.AppendS64(append(g.b, op), v) }

// value pushes a value: a local's, where there is one of that type.
func (g *recursor) value(t wasmbin.ValType) {
	at := g.IntN(len(g.locals))
	for k := range g.locals {
		if i := (at + k) % len(g.locals); g.locals[i] == t {
			g.idx(0x20, i)
			return
		}
	}
	switch t {
	case wasmbin.I32:
		g.konst(0x41, int64(g.Int32()))
	case wasmbin.I64:
		g.konst(0x42, int64(g.Uint64()))
	case wasmbin.F32:
		g.op(0x43, 0, 0, 0xC0, 0x7F)
	case wasmbin.F64:
		g.op(0x44, 1, 0, 0, 0, 0, 0, 0xF0, 0xFF)
	default:
		g.op(append([]byte{0xFD, 0x0C}, make([]byte, 16)...)...)
	}
}

func (g *recursor) values(ts []wasmbin.ValType) {
	for _, t := range ts {
		g.value(t)
	}
}

// leave goes to the function label from inside depth constructs.
func (g *recursor) leave(depth int) {
	switch g.IntN(4) {
	case 0:
		g.values(g.result)
		g.op(0x0F)
	case 1:
		g.values(g.result)
		g.idx(0x0C, depth)
	case 2:
		g.values(g.result)
		g.value(wasmbin.I32)
		g.idx(0x0D, depth)
		for range g.result {
			g.op(0x1A)
		}
	default:
		g.values(g.result)
		g.value(wasmbin.I32)
		g.op(0x0E, 1)
		g.b = wasmbin.AppendU32(wasmbin.AppendU32(g.b, uint32(depth)), uint32(depth))
	}
}

// call goes one deeper.
func (g *recursor) call() {
	f := g.IntN(len(g.sigs))
	t := g.types[g.sigs[f]]
	g.idx(0x20, 0)
	g.konst(0x41, 1)
	g.op(0x6B)
	g.values(t.Params[1:])
	switch g.IntN(3) {
	case 0:
		g.konst(0x41, int64(f))
		g.idx(0x11, g.sigs[f])
		g.op(0)
	default:
		g.idx(0x10, 1+f) // function 0 is imported
	}
	for range t.Results {
		g.op(0x1A)
	}
}

func (g *recursor) statement(depth int) {
	switch k := g.IntN(9); {
	case k < 4:
		g.call()
	case k == 4 && depth < 5:
		g.op(0x02, 0x40)
		g.statement(depth + 1)
		g.op(0x0B)
	case k == 5 && depth < 5:
		g.op(0x03, 0x40)
		g.statement(depth + 1)
		g.op(0x0B)
	case k == 6 && depth < 5:
		g.value(wasmbin.I32)
		g.op(0x04, 0x40)
		g.statement(depth + 1)
		g.leave(depth + 1)
		g.op(0x05)
		g.statement(depth + 1)
		g.op(0x0B)
	case k == 7:
		g.value(wasmbin.I32)
		g.op(0x10, 0) // the host
	default:
		g.value(wasmbin.I32)
		g.op(0x04, 0x40)
		g.leave(depth + 1)
		g.op(0x0B)
	}
}

func (g *recursor) module() []byte {
	g.types = []wasmbin.FuncType{{Params: []wasmbin.ValType{wasmbin.I32}}}
	n := 1 + g.IntN(4)
	for range n {
		most := []int{2, 2, 6, 40}[g.IntN(4)]
		t := wasmbin.FuncType{Params: append([]wasmbin.ValType{wasmbin.I32}, g.some(most)...), Results: g.some(3)}
		g.sigs = append(g.sigs, len(g.types))
		g.types = append(g.types, t)
	}
	var idx []uint32
	var exports, code, elems []byte
	for i, s := range g.sigs {
		t := g.types[s]
		extra := g.some([]int{2, 10, 300}[g.IntN(3)])
		g.locals, g.result, g.b = append(append([]wasmbin.ValType(nil), t.Params...), extra...), t.Results, nil
		if g.IntN(8) > 0 { // else only the stack, or gas, ends it
			g.op(0x20, 0, 0x45, 0x04, 0x40)
			g.leave(1)
			g.op(0x0B)
		}
		for range 1 + g.IntN(3) {
			g.statement(0)
		}
		if g.IntN(2) == 0 {
			g.leave(0)
		}
		g.values(t.Results)
		body := wasmbin.AppendU32(nil, uint32(len(extra)))
		for _, l := range extra {
			body = append(body, 1, byte(l))
		}
		body = append(append(body, g.b...), 0x0B)
		code = append(wasmbin.AppendU32(code, uint32(len(body))), body...)
		idx = append(idx, uint32(s))
		exports = append(wasmbin.AppendName(exports, fmt.Sprint("f", i)), 0)
		exports = wasmbin.AppendU32(exports, uint32(1+i))
		elems = wasmbin.AppendU32(elems, uint32(1+i))
	}
	w := &wasmbin.Writer{}
	w.Header()
	w.Types(g.types)
	w.Items(wasmbin.SecImport, wasmbin.Section{}, 1, append(wasmbin.AppendName(wasmbin.AppendName(nil, "env"), "h"), 0, 0))
	w.Functions(idx)
	w.Tables([]wasmbin.TableType{{Elem: wasmbin.FuncRef, Range: wasmbin.Range{Min: uint32(n)}}})
	w.Items(wasmbin.SecExport, wasmbin.Section{}, n, exports)
	w.Items(wasmbin.SecElement, wasmbin.Section{}, 1, append(wasmbin.AppendU32([]byte{0, 0x41, 0, 0x0B}, uint32(n)), elems...))
	w.Items(wasmbin.SecCode, wasmbin.Section{}, n, code)
	return w.Bytes()
}

// TestRecursion runs random recursive programs: they stop at the same call on
// every engine, by the logical stack and never by an engine's own, and give
// back what they took.
func TestRecursion(t *testing.T) {
	n, first := number(t, "ASSAY_RECURSIVE", 100), number(t, "ASSAY_SEED", 0)
	y := newTally(t)
	y.set.Every = shares(t)
	for seed := first; seed < first+n; seed++ {
		rng := rand.New(rand.NewPCG(uint64(seed), 3))
		wasm := (&recursor{Rand: rng}).module()
		c, err := enginetest.New(fmt.Sprintf("recursion %d", seed), wasm, enginetest.Profile())
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for k, e := range c.Exports {
			for range 2 {
				args := arguments(rng, e.Params)
				args[0] = uint64([]int{0, 3, 1000, 20_000, 1 << 30}[rng.IntN(5)])
				gas := int64([]int{2_000, 200_000, 1_500_000}[rng.IntN(3)])
				stack := []int32{meter.DefaultStack, 100_000, 5_000}[rng.IntN(3)]
				c.Add(c.Exports[k].Name, gas, stack, args...)
			}
		}
		r, err := y.set.Run(c)
		if err != nil {
			keep(t, c.ID, wasm)
			t.Fatal(err)
		}
		y.modules++
		for i, o := range r.Outcomes {
			y.calls++
			y.traps[o.Trap]++
			if had := c.Calls[i].Stack; o.Trap == int(abi.TrapNone) && o.Stack != had {
				t.Fatalf("seed %d: %d units left of %d", seed, o.Stack, had)
			}
		}
		progress(t, y, seed-first)
	}
	y.report(t)
	if y.traps[int(abi.TrapStackOverflow)] < y.calls/20 {
		t.Error("hardly a program meets the stack limit")
	}
}

// TestWidestFrames recurses through the functions whose frames take most of an
// engine's stack for what they weigh: many values that live across the call,
// many operands that are passed in memory, and almost nothing at all.
func TestWidestFrames(t *testing.T) {
	y := newTally(t)
	for _, typ := range []wasmbin.ValType{wasmbin.I32, wasmbin.F64, wasmbin.V128} {
		for _, n := range []int{0, 15, 63} {
			for _, live := range []int{0, 16, 1000} {
				wasm := wideFrames(typ, n, live)
				c, err := enginetest.New(fmt.Sprintf("%d parameters and %d locals of %#x", n, live, byte(typ)), wasm, enginetest.Profile())
				if err != nil {
					t.Fatal(err)
				}
				args := make([]uint64, 1+2*n)
				args[0] = 1 << 30
				c.Add("f", 1<<40, meter.DefaultStack, args[:1+n*slots(typ)]...)
				r, err := y.set.Run(c)
				if err != nil {
					t.Fatal(err)
				}
				if trap := abi.Trap(r.Outcomes[0].Trap); trap != abi.TrapStackOverflow {
					t.Errorf("%s: %v", c.ID, trap)
				}
			}
		}
	}
}

func slots(t wasmbin.ValType) int { return t.Slots() }

// wideFrames is a function of n parameters that loads live values, calls
// itself and uses the values behind the call.
func wideFrames(typ wasmbin.ValType, n, live int) []byte {
	g := &recursor{Rand: rand.New(rand.NewPCG(1, 1))}
	params := []wasmbin.ValType{wasmbin.I32}
	for range n {
		params = append(params, typ)
	}
	load := map[wasmbin.ValType][]byte{wasmbin.I32: {0x28}, wasmbin.I64: {0x29}, wasmbin.F32: {0x2A}, wasmbin.F64: {0x2B}, wasmbin.V128: {0xFD, 0}}[typ]
	store := map[wasmbin.ValType][]byte{wasmbin.I32: {0x36}, wasmbin.I64: {0x37}, wasmbin.F32: {0x38}, wasmbin.F64: {0x39}, wasmbin.V128: {0xFD, 0x0B}}[typ]
	for i := range live {
		g.op(0x41, 0)
		g.op(load...)
		g.b = wasmbin.AppendU32(append(g.b, 0), uint32(16*i))
		g.idx(0x21, 1+n+i)
	}
	g.op(0x20, 0, 0x41, 1, 0x6B)
	for i := range n {
		g.idx(0x20, 1+i)
	}
	g.op(0x10, 0)
	for i := range live {
		g.op(0x41, 0)
		g.idx(0x20, 1+n+i)
		g.op(store...)
		g.b = wasmbin.AppendU32(append(g.b, 0), uint32(16*i+32768))
	}
	for i := range n {
		g.op(0x41, 0)
		g.idx(0x20, 1+i)
		g.op(store...)
		g.b = wasmbin.AppendU32(append(g.b, 0), uint32(16*i))
	}
	body := wasmbin.AppendU32([]byte{1}, uint32(live))
	body = append(append(append(body, byte(typ)), g.b...), 0x0B)
	w := &wasmbin.Writer{}
	w.Header()
	w.Types([]wasmbin.FuncType{{Params: params}})
	w.Functions([]uint32{0})
	w.Memories([]wasmbin.Range{{Min: 1}})
	w.Items(wasmbin.SecExport, wasmbin.Section{}, 1, append(wasmbin.AppendName(nil, "f"), 0, 0))
	w.Items(wasmbin.SecCode, wasmbin.Section{}, 1, append(wasmbin.AppendU32(nil, uint32(len(body))), body...))
	return w.Bytes()
}
