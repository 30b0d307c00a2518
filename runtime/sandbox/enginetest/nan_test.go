package enginetest_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/sandbox/enginetest"
	"github.com/assaynet/assay/runtime/wasmbin"
)

// The NaNs that instructions are given: quiet and signalling, both signs,
// with and without a payload; and what makes a NaN without being one.
var (
	given32 = []uint32{0x7FC00000, 0xFFC00000, 0x7FA00001, 0xFFA00001, 0x7FFFFFFF, 0xFF800001, 0, 0x80000000, 0x7F800000, 0xFF800000, 0xBF800000}
	given64 = []uint64{0x7FF8 << 48, 0xFFF8 << 48, 0x7FF4<<48 | 1, 0xFFF4<<48 | 1, 0x7FFF<<48 | 5, 0xFFF0<<48 | 1, 0, 1 << 63, 0x7FF << 52, 0xFFF << 52, 0xBFF << 52}
)

// keepsBits says why an instruction whose result is a float or a vector makes
// no NaN, by opcode range. What is in neither this list nor wasmbin's
// Op.FloatShape makes TestNaNTable fail.
var keepsBits = []struct {
	from, to wasmbin.Op
	why      string
}{
	{0x2A, 0x2B, "load"}, {0x43, 0x44, "constant"}, {0x8B, 0x8C, "abs, neg"}, {0x98, 0x9A, "copysign, abs, neg"}, {0xA6, 0xA6, "copysign"},
	{0xB2, 0xB5, "from an integer"}, {0xB7, 0xBA, "from an integer"}, {0xBE, 0xBF, "reinterpretation"},
	{0xFD00, 0xFD0A, "load"}, {0xFD0C, 0xFD14, "constant, shuffle, swizzle, splat"}, {0xFD17, 0xFD17, "lane"}, {0xFD1A, 0xFD1A, "lane"},
	{0xFD1C, 0xFD1C, "lane"}, {0xFD1E, 0xFD22, "lane"}, {0xFD23, 0xFD4C, "comparison"}, {0xFD4D, 0xFD52, "bits"}, {0xFD54, 0xFD57, "load"}, {0xFD5C, 0xFD5D, "load"},
	{0xFD60, 0xFD66, "integers"}, {0xFD6B, 0xFD73, "integers"}, {0xFD76, 0xFD79, "integers"}, {0xFD7B, 0xFD93, "integers"}, {0xFD95, 0xFDDF, "integers"},
	{0xFDE0, 0xFDE1, "abs, neg"}, {0xFDEA, 0xFDED, "pmin, pmax, abs, neg"}, {0xFDF6, 0xFDF7, "pmin, pmax"}, {0xFDF8, 0xFDFF, "to or from integers"},
}

func keeps(op wasmbin.Op) bool {
	for _, k := range keepsBits {
		if op >= k.from && op <= k.to {
			return true
		}
	}
	return false
}

// floatOps is every instruction of the decoder's table with a fixed signature
// and a float or vector result.
func floatOps() (ops []wasmbin.Op) {
	for op := wasmbin.Op(0); op != 0xFFFF; op++ {
		_, out, fixed := op.Signature()
		if op.Known() && fixed && (out == wasmbin.F32 || out == wasmbin.F64 || out == wasmbin.V128) {
			ops = append(ops, op)
		}
	}
	return ops
}

// TestNaNTable: each of them either has its NaNs made canonical or a reason
// why it makes none.
func TestNaNTable(t *testing.T) {
	n := 0
	for _, op := range floatOps() {
		width, _ := op.FloatShape()
		if (width != 0) == keeps(op) {
			t.Errorf("%#x: canonical %v, keeps bits %v", uint16(op), width != 0, keeps(op))
		}
		if width != 0 {
			n++
		}
	}
	if n != 48 {
		t.Errorf("%d instructions can make a NaN, not 48", n)
	}
}

// nanFunction applies op to operands from its parameters' bits and stores the
// result: all in i64, so that no engine's calls change them.
func nanFunction(op wasmbin.Op, in []wasmbin.ValType, out wasmbin.ValType, operands [][]byte) []byte {
	b := []byte{0x41, 0}
	for i, t := range in {
		switch t {
		case wasmbin.I32:
			b = append(b, 0x41, 1)
		case wasmbin.I64:
			b = append(b, 0x42, 1)
		case wasmbin.F32:
			b = append(append(b, 0x43), operands[i][:4]...)
		case wasmbin.F64:
			b = append(append(b, 0x44), operands[i][:8]...)
		default:
			b = append(append(b, 0xFD, 0x0C), operands[i]...)
		}
	}
	if op > 0xFF {
		b = wasmbin.AppendU32(append(b, byte(op>>8)), uint32(op&0xFF))
	} else {
		b = append(b, byte(op))
	}
	store := map[wasmbin.ValType][]byte{wasmbin.F32: {0x38, 0, 0}, wasmbin.F64: {0x39, 0, 0}, wasmbin.V128: {0xFD, 0x0B, 0, 0}}[out]
	return append(append(b, store...), 0x0B)
}

// TestNaN gives every instruction that takes floats or vectors and returns one
// each NaN in each operand and lane, on every engine. What can make a NaN
// makes the positive canonical one; the others do what the oracle does with
// the bits.
func TestNaN(t *testing.T) {
	set := engines(t, enginetest.Profile())
	cases, calls := 0, 0
	for _, op := range floatOps() {
		in, out, _ := op.Signature()
		if len(in) == 0 || op.Memory() || op == wasmbin.OpShuffle || op >= 0xFD15 && op <= 0xFD22 {
			continue // constants, loads and lane moves have no NaN to make
		}
		width, lanes := op.FloatShape()
		narrow := width == 32 && op != 0xFD5E && op != 0xB6 || op == 0xFD5F || op == 0xBB || width == 0 && (op >= 0xFDE0 && op <= 0xFDEB || op >= 0xFDF8 && op <= 0xFDFB || op < 0x99)
		var bodies [][]byte
		var makesNaN []int // lanes that must be canonical, or -1
		for at := range in {
			for k := range given32 {
				for lane := range lanesOf(in[at], narrow) {
					operands := make([][]byte, len(in))
					for i := range in {
						operands[i] = vectorOf(narrow, 0x3F800000, 0x3FF<<52)
					}
					if narrow {
						binary.LittleEndian.PutUint32(operands[at][4*lane:], given32[k])
					} else {
						binary.LittleEndian.PutUint64(operands[at][8*lane:], given64[k])
					}
					bodies = append(bodies, nanFunction(op, in, out, operands))
					if k < 6 && width != 0 && lane < max(lanes, 1) && !(op == 0xFD5E && lane > 1) {
						makesNaN = append(makesNaN, lane)
					} else {
						makesNaN = append(makesNaN, -1)
					}
				}
			}
		}
		c, err := enginetest.New(fmt.Sprintf("op %#x", uint16(op)), storesModule(bodies), enginetest.Profile())
		if err != nil {
			t.Fatalf("%#x: %v", uint16(op), err)
		}
		for i := range bodies {
			c.Add(fmt.Sprint("f", i), 1<<30, meter.DefaultStack)
		}
		r, err := set.Run(c)
		if err != nil {
			t.Error(err)
			continue
		}
		cases++
		for i, o := range r.Outcomes {
			calls++
			if o.Trap != int(abi.TrapNone) {
				t.Fatalf("%#x: trap %d", uint16(op), o.Trap)
			}
			lane := makesNaN[i]
			if lane < 0 {
				continue
			}
			// The result of f_i is what its twin returns: the bits of the lane.
			got := o.Results
			if want := map[int]string{32: "0000c07f", 64: "000000000000f87f"}[width]; got[lane*width/4:lane*width/4+len(want)] != want {
				t.Errorf("%#x, case %d, lane %d: %s", uint16(op), i, lane, got)
			}
		}
	}
	t.Logf("%d instructions, %d calls on each of %d engines", cases, calls, len(set.Engines))
	if cases < 150 {
		t.Errorf("only %d instructions took part", cases)
	}
}

func lanesOf(t wasmbin.ValType, narrow bool) int {
	switch {
	case t != wasmbin.V128:
		return 1
	case narrow:
		return 4
	}
	return 2
}

func vectorOf(narrow bool, w uint32, d uint64) []byte {
	b := make([]byte, 16)
	for i := 0; i < 16; i += 8 {
		if binary.LittleEndian.PutUint64(b[i:], d); narrow {
			binary.LittleEndian.PutUint32(b[i:], w)
			binary.LittleEndian.PutUint32(b[i+4:], w)
		}
	}
	return b
}

// storesModule exports each body as f0, f1, …: it stores a result at address
// 0, which the function then returns as a vector.
func storesModule(bodies [][]byte) []byte {
	var idx []uint32
	var exports, code []byte
	for i, b := range bodies {
		b = append([]byte{0}, b[:len(b)-1]...)
		b = append(b, 0x41, 0, 0xFD, 0, 0, 0, 0x0B) // v128.load of the result
		code = append(wasmbin.AppendU32(code, uint32(len(b))), b...)
		exports = wasmbin.AppendU32(append(wasmbin.AppendName(exports, fmt.Sprint("f", i)), 0), uint32(i))
		idx = append(idx, 0)
	}
	w := &wasmbin.Writer{}
	w.Header()
	w.Types([]wasmbin.FuncType{{Results: []wasmbin.ValType{wasmbin.V128}}})
	w.Functions(idx)
	w.Memories([]wasmbin.Range{{Min: 1}})
	w.Items(wasmbin.SecExport, wasmbin.Section{}, len(bodies), exports)
	w.Items(wasmbin.SecCode, wasmbin.Section{}, len(bodies), code)
	return w.Bytes()
}
