package meter_test

import (
	"bytes"
	"testing"

	"github.com/assaynet/assay/runtime/wasmbin"
)

// naive canonicalizes after every instruction that can make a NaN and does
// nothing else. It is the yardstick for the analysis that leaves most out.
func naive(t testing.TB, b []byte) []byte {
	m, err := wasmbin.Decode(b, wide)
	if err != nil {
		t.Fatal(err)
	}
	c := wasmbin.NewChecker(m, 1<<20)
	var code []byte
	for i, body := range m.Bodies {
		c.Begin(i)
		first := len(c.Locals())
		out := wasmbin.AppendU32(nil, uint32(len(body.Groups)+3))
		for _, g := range append(append([]wasmbin.LocalGroup(nil), body.Groups...),
			wasmbin.LocalGroup{Count: 1, Type: f32}, wasmbin.LocalGroup{Count: 1, Type: f64}, wasmbin.LocalGroup{Count: 1, Type: v128}) {
			out = append(wasmbin.AppendU32(out, g.Count), byte(g.Type))
		}
		var in wasmbin.Instr
		for !c.Done() {
			if err := c.Next(&in); err != nil {
				t.Fatal(err)
			}
			out = append(out, shortest(in.Op, b[in.Off:in.End])...)
			width, lanes := in.Op.FloatShape()
			if width == 0 {
				continue
			}
			tmp, nan := first+width/32-1, []byte{0, 0, 0xC0, 0x7F}
			if width == 64 {
				nan = []byte{0, 0, 0, 0, 0, 0, 0xF8, 0x7F}
			}
			konst, eq, choose := []byte{byte(0x43 + width/32 - 1)}, []byte{byte(0x5B + 6*(width/32-1))}, []byte{0x1B}
			if lanes > 1 {
				tmp, konst, eq, choose = first+2, []byte{0xFD, 0x0C}, []byte{0xFD, byte(0x41 + 6*(width/32-1))}, []byte{0xFD, 0x52}
			}
			get := wasmbin.AppendU32([]byte{0x20}, uint32(tmp))
			out = wasmbin.AppendU32(append(out, 0x22), uint32(tmp))
			out = append(append(out, konst...), bytes.Repeat(nan, lanes)...)
			out = append(append(append(append(out, get...), get...), eq...), choose...)
		}
		code = append(wasmbin.AppendU32(code, uint32(len(out))), out...)
	}
	w := &wasmbin.Writer{}
	w.Header()
	for _, s := range m.Sections {
		if s.ID == wasmbin.SecCode {
			w.Items(wasmbin.SecCode, wasmbin.Section{}, len(m.Bodies), code)
			continue
		}
		w.Raw(s)
	}
	return w.Bytes()
}

// shortest is an instruction with the second part of its opcode in as few bytes
// as it needs: wazero, which runs the yardstick, reads longer ones as others.
func shortest(op wasmbin.Op, code []byte) []byte {
	if op <= 0xFF {
		return code
	}
	_, n := wasmbin.U32(code[1:])
	return append(wasmbin.AppendU32([]byte{code[0]}, uint32(op&0xFF)), code[1+n:]...)
}

// checkNaN compares the rewritten module with the naive one.
func checkNaN(t testing.TB, e engines, b []byte, got outcome) {
	t.Helper()
	want := run(t, e.compiler, naive(t, b), 0)
	if got.trapped != want.trapped || got.result != want.result || !bytes.Equal(got.memory, want.memory) {
		t.Fatalf("got  %v\nwant %v", got, want)
	}
}

// TestVectors compares programs with vector instructions with the naive ones.
func TestVectors(t *testing.T) {
	e := newEngines(t)
	n := 400
	if testing.Short() {
		n = 100
	}
	for s := range uint64(n) {
		b := newGen(s, nil, true).module()
		got, _ := check(t, e, b, true)
		checkNaN(t, e, b, got)
		if t.Failed() {
			t.Fatalf("seed %d", s)
		}
	}
}

// TestForeignNaN: a NaN that no arithmetic made keeps its bits, also in a
// local that holds results of arithmetic at other times.
func TestForeignNaN(t *testing.T) {
	e := newEngines(t)
	types := []wasmbin.FuncType{{Params: []wasmbin.ValType{i32, i64, f64}, Results: []wasmbin.ValType{i64}}}
	twice := []byte{0x03, 0x40, 0x44, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 0x20, 3, 0xA0, 0x21, 3,
		0x20, 0, 0x41, 1, 0x6B, 0x22, 0, 0x0D, 0, 0x0B} // local 3 += 1, as often as the first argument
	snan := []byte{0x44, 1, 0, 0, 0, 0, 0, 0xF4, 0xFF}
	for name, c := range map[string][]byte{
		"constant":         join(twice, snan, []byte{0x21, 3, 0x20, 3, 0xBD}),
		"parameter":        join(twice, []byte{0x20, 2, 0x21, 3, 0x20, 3, 0xBD}),
		"parameter itself": join([]byte{0x20, 0, 0x04, 0x40, 0x20, 2, 0x20, 2, 0xA0, 0x1A, 0x05, 0x20, 2, 0x20, 2, 0xA0, 0x21, 2, 0x0B, 0x20, 2, 0xBD}),
		"copied twice":     join(twice, []byte{0x20, 2, 0x22, 4, 0x21, 3, 0x20, 3, 0xBD}),
		"negated":          join(twice, snan, []byte{0x9A, 0x21, 3, 0x20, 3, 0xBD}),
	} {
		b := build(types, fn{locals: []wasmbin.LocalGroup{{Count: 2, Type: f64}}, body: c})
		got, _ := check(t, e, b, false)
		if got.result == 0x7FF8<<48 || got.trapped {
			t.Errorf("%s: %v", name, got)
		}
	}
}
