package meter_test

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/wasmbin"
)

// exits are ways out of f0, which calls itself while its argument is positive
// and then leaves: each must give its stack units back.
var exits = map[string][]byte{
	"end":               nil,
	"return":            {0x0F},
	"br to function":    {0x0C, 0},
	"br_if to function": {0x41, 1, 0x0D, 0},
	"br_table":          {0x41, 7, 0x0E, 1, 0, 0},
	"from a block":      {0x02, 0x40, 0x0C, 1, 0x0B},
	"from a loop":       {0x03, 0x40, 0x0C, 1, 0x0B},
	"from an if":        {0x41, 1, 0x04, 0x40, 0x41, 0, 0x0E, 1, 1, 0, 0x0B},
}

func recursive(exit []byte) []byte {
	body := join([]byte{0x20, 0, 0x04, 0x40, 0x20, 0, 0x41, 1, 0x6B, 0x10, 0, 0x0B}, exit)
	// f1 calls f0(p0) p1 times.
	again := []byte{0x03, 0x40, 0x20, 0, 0x10, 0, 0x20, 1, 0x41, 1, 0x6B, 0x22, 1, 0x0D, 0, 0x0B}
	return build([]wasmbin.FuncType{{Params: []wasmbin.ValType{i32}}, {Params: []wasmbin.ValType{i32, i32}}},
		fn{typ: 0, body: body}, fn{typ: 1, body: again})
}

// TestStackReleased: units are back after every way out, so a thousand calls
// of depth 1,000 fit.
func TestStackReleased(t *testing.T) {
	for name, exit := range exits {
		b := rewrite(t, recursive(exit)).Wasm
		for _, interpreter := range []bool{false, true} {
			i := load(t, b, interpreter)
			if _, _, trap, err := i.call("f1", plenty, 1000, 50); err != nil {
				t.Errorf("%s: %v (%v)", name, err, trap)
			}
			if got := int32(i.get(abi.GlobalStack)); got != meter.DefaultStack {
				t.Errorf("%s: %d units left of %d", name, got, meter.DefaultStack)
			}
		}
	}
}

// TestStackDepth: the deepest recursion is what the schedule says, on both
// engines, and one more stops with the status of a stack overflow.
func TestStackDepth(t *testing.T) {
	b := rewrite(t, recursive(nil)).Wasm
	frame := meter.DefaultSchedule().FrameBase + 1 + 2 // one parameter, two operands
	deepest := uint64(meter.DefaultStack/frame) - 1    // the first frame has argument deepest
	for _, interpreter := range []bool{false, true} {
		i := load(t, b, interpreter)
		if _, _, trap, err := i.call("f0", plenty, deepest); err != nil {
			t.Errorf("depth %d: %v (%v)", deepest, err, trap)
		}
		_, used, trap, err := i.call("f0", plenty, deepest+1)
		if err == nil || trap != abi.TrapStackOverflow {
			t.Errorf("depth %d: %v (%v)", deepest+1, err, trap)
		}
		if _, again, _, _ := i.call("f0", plenty, math.MaxInt32); again != used {
			t.Errorf("endless recursion used %d gas, %d when it is just too deep", again, used)
		}
	}
	// Frames of many locals count for more.
	wide := build([]wasmbin.FuncType{{}}, fn{locals: i32Locals(2000), body: []byte{0x10, 0}})
	i := load(t, rewrite(t, wide).Wasm, true)
	if _, _, trap, err := i.call("f0", plenty); err == nil || trap != abi.TrapStackOverflow {
		t.Errorf("wide frames: %v (%v)", err, trap)
	}
}

// TestZeroGlobals: a host that forgets to set gas and stack sees calls stop.
func TestZeroGlobals(t *testing.T) {
	i := load(t, rewrite(t, recursive(nil)).Wasm, false)
	if _, err := i.ExportedFunction("f1").Call(t.Context(), 1, 1); err == nil {
		t.Error("ran without gas and stack")
	}
}

// TestEndlessLoops stop, whatever is in them, and the counter does not wrap:
// the dearest operands at the least gas leave it just below zero.
func TestEndlessLoops(t *testing.T) {
	grow := []byte{0x41, 0x7F, 0x40, 0, 0x1A} // memory.grow of 2^32 − 1 pages
	for name, body := range map[string][]byte{
		"empty":       {0x03, 0x40, 0x0C, 0, 0x0B},
		"grow":        join([]byte{0x03, 0x40}, grow, []byte{0x0C, 0, 0x0B}),
		"call":        {0x03, 0x40, 0x10, 1, 0x0C, 0, 0x0B},
		"br_table":    {0x03, 0x40, 0x41, 0, 0x0E, 0, 0, 0x0B},
		"from inside": {0x03, 0x40, 0x02, 0x40, 0x41, 1, 0x0D, 1, 0x0B, 0x0B},
	} {
		i := load(t, rewrite(t, build(nullary, fn{body: body}, fn{})).Wasm, false)
		for _, gas := range []int64{0, 1, 1000, 1 << 20} {
			_, used, trap, err := i.call("f0", gas)
			if err == nil || trap != abi.TrapOutOfGas || used <= gas {
				t.Errorf("%s with %d gas: %v (%v), used %d", name, gas, err, trap, used)
			}
			if over := used - gas; over > 1<<50 {
				t.Errorf("%s: overdrawn by %d", name, over)
			}
		}
	}
	i := load(t, rewrite(t, build(nullary, fn{body: grow})).Wasm, false)
	if _, used, _, err := i.call("f0", meter.MaxGas); err != nil || used < meter.Sixteenths(math.MaxUint32, meter.DefaultSchedule().MemoryPage) {
		t.Errorf("grow with the most gas: %v, used %d", err, used)
	}
}

// TestNaN gives every instruction that can make a NaN quiet and signalling
// NaNs of both signs, in each operand, and 0/0 and the like: what it stores is
// the canonical NaN, in every lane.
func TestNaN(t *testing.T) {
	nan32 := []uint32{0x7FC00000, 0xFFC00000, 0x7FA00001, 0xFFA00001, 0x7FFFFFFF, 0xFF800001}
	nan64 := []uint64{0x7FF8 << 48, 0xFFF8 << 48, 0x7FF4<<48 | 1, 0xFFF4<<48 | 1, 0x7FFF<<48 | 5, 0xFFF0<<48 | 1}
	tested := 0
	for _, base := range []int{0, 0xFD00} {
		for op := wasmbin.Op(base); op < wasmbin.Op(base+0x100); op++ {
			width, lanes := op.FloatShape()
			if width == 0 {
				continue
			}
			in, out, _ := op.Signature()
			for at := range in {
				for k := range nan32 {
					body := []byte{0x41, 0} // address of the store
					for i, typ := range in {
						w32 := binary.LittleEndian.AppendUint32(nil, 0x3F800000)
						w64 := binary.LittleEndian.AppendUint64(nil, 0x3FF<<52)
						if i == at {
							w32 = binary.LittleEndian.AppendUint32(nil, nan32[k])
							w64 = binary.LittleEndian.AppendUint64(nil, nan64[k])
						}
						narrow := width == 32 && op != 0xFD5E || op == 0xFD5F
						switch {
						case typ == f32:
							body = append(append(body, 0x43), w32...)
						case typ == f64:
							body = append(append(body, 0x44), w64...)
						case narrow:
							body = join(body, []byte{0xFD, 0x0C}, w32, w32, w32, w32)
						default:
							body = join(body, []byte{0xFD, 0x0C}, w64, w64)
						}
					}
					if op > 0xFF {
						body = wasmbin.AppendU32(append(body, 0xFD), uint32(op&0xFF))
					} else {
						body = append(body, byte(op))
					}
					body = append(body, map[wasmbin.ValType][]byte{f32: {0x38, 0, 0}, f64: {0x39, 0, 0}, v128: {0xFD, 0x0B, 0, 0}}[out]...)
					i := load(t, rewrite(t, build(nullary, fn{body: body})).Wasm, k%2 == 1)
					if _, _, trap, err := i.call("f0", plenty); err != nil {
						t.Fatal(err, trap)
					}
					mem, _ := i.Memory().Read(0, 16)
					n := lanes
					if op == 0xFD5E {
						n = 2 // the upper lanes are zero
					}
					for l := range n {
						ok := width == 32 && binary.LittleEndian.Uint32(mem[4*l:]) == nan32[0] ||
							width == 64 && binary.LittleEndian.Uint64(mem[8*l:]) == nan64[0]
						if !ok {
							t.Errorf("%#x, operand %d, NaN %d: % x", uint16(op), at, k, mem)
							break
						}
					}
					tested++
				}
			}
		}
	}
	if tested < 300 {
		t.Errorf("only %d cases", tested)
	}
}
