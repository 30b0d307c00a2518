package meter_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/wasmbin"
)

// The format lets the second part of an opcode take up to five bytes. wazero reads it as if it took as
// few as can be: 0xFD 0x80 0x00, v128.load, is i16x8.abs to it. Rewritten modules hold short ones only.
func TestLongOpcodes(t *testing.T) {
	module := func(load, add, trunc []byte) []byte {
		body := join(
			[]byte{0x41, 0}, load, []byte{4, 0}, // v128.load offset=0 align=16
			[]byte{0x41, 16}, load, []byte{4, 0},
			add, []byte{0x1A}, // i16x8.add, drop
			[]byte{0x43, 0, 0, 0x80, 0x3F}, trunc, []byte{0x1A}) // f32.const 1, i32.trunc_sat_f32_s, drop
		return build([]wasmbin.FuncType{{}}, fn{body: body})
	}
	short := rewrite(t, module([]byte{0xFD, 0}, []byte{0xFD, 0x8E, 1}, []byte{0xFC, 0}))
	for name, long := range map[string][]byte{
		"load":  module([]byte{0xFD, 0x80, 0}, []byte{0xFD, 0x8E, 1}, []byte{0xFC, 0}),
		"add":   module([]byte{0xFD, 0}, []byte{0xFD, 0x8E, 0x81, 0x80, 0}, []byte{0xFC, 0}),
		"trunc": module([]byte{0xFD, 0}, []byte{0xFD, 0x8E, 1}, []byte{0xFC, 0x80, 0x80, 0x80, 0x80, 0}),
	} {
		if res := rewrite(t, long); !bytes.Equal(res.Wasm, short.Wasm) {
			t.Errorf("%s: the rewritten module differs from that of the short opcode", name)
		}
	}
}

// In a constant expression, which is not rewritten, a long opcode is refused.
func TestLongOpcodeOfAConstant(t *testing.T) {
	module := func(op ...byte) []byte {
		w := &wasmbin.Writer{}
		w.Header()
		init := join([]byte{byte(wasmbin.V128), 0}, op, make([]byte, 16), []byte{0x0B})
		w.Items(wasmbin.SecGlobal, wasmbin.Section{}, 1, init)
		return w.Bytes()
	}
	if _, err := meter.Rewrite(module(0xFD, 0x0C), config()); err != nil {
		t.Fatal(err)
	}
	var invalid *meter.InvalidModuleError
	if _, err := meter.Rewrite(module(0xFD, 0x8C, 0), config()); !errors.As(err, &invalid) {
		t.Errorf("got %v, want an invalid module", err)
	}
}
