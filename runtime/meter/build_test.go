package meter_test

import (
	"fmt"

	"github.com/assaynet/assay/runtime/wasmbin"
)

// fn is a function of a module built by a test: body without the final end.
type fn struct {
	typ    uint32
	locals []wasmbin.LocalGroup
	body   []byte
}

// build makes a module with one memory of a page, a table of all functions,
// two mutable i64 globals and every function exported as f0, f1, ….
func build(types []wasmbin.FuncType, fns ...fn) []byte {
	w := &wasmbin.Writer{}
	w.Header()
	w.Types(types)
	var idx []uint32
	var exports, code, elems []byte
	for i, f := range fns {
		idx = append(idx, f.typ)
		exports = append(wasmbin.AppendName(exports, fmt.Sprint("f", i)), 0)
		exports = wasmbin.AppendU32(exports, uint32(i))
		elems = wasmbin.AppendU32(elems, uint32(i))
		b := wasmbin.AppendU32(nil, uint32(len(f.locals)))
		for _, g := range f.locals {
			b = append(wasmbin.AppendU32(b, g.Count), byte(g.Type))
		}
		b = append(append(b, f.body...), 0x0B)
		code = append(wasmbin.AppendU32(code, uint32(len(b))), b...)
	}
	n := uint32(len(fns))
	w.Functions(idx)
	w.Tables([]wasmbin.TableType{{Elem: wasmbin.FuncRef, Range: wasmbin.Range{Min: n}}})
	w.Memories([]wasmbin.Range{{Min: 1, Max: 4, HasMax: true}})
	w.Items(wasmbin.SecGlobal, wasmbin.Section{}, 2, []byte{0x7E, 1, 0x42, 7, 0x0B, 0x7E, 1, 0x42, 9, 0x0B})
	w.Items(wasmbin.SecExport, wasmbin.Section{}, len(fns)+1, append(exports, 3, 'm', 'e', 'm', 2, 0))
	w.Items(wasmbin.SecElement, wasmbin.Section{}, 1, append(wasmbin.AppendU32([]byte{0, 0x41, 0, 0x0B}, n), elems...))
	w.Items(wasmbin.SecCode, wasmbin.Section{}, len(fns), code)
	return w.Bytes()
}

// repeat returns n copies of b.
func repeat(n int, b ...byte) []byte {
	out := make([]byte, 0, n*len(b))
	for range n {
		out = append(out, b...)
	}
	return out
}

func join(bs ...[]byte) []byte {
	var out []byte
	for _, b := range bs {
		out = append(out, b...)
	}
	return out
}

func i32Locals(n int) []wasmbin.LocalGroup {
	return []wasmbin.LocalGroup{{Count: uint32(n), Type: wasmbin.I32}}
}

// nested opens n blocks (op 2) or loops (op 3), runs inner and closes them.
func nested(op byte, n int, inner []byte) []byte {
	return join(repeat(n, op, 0x40), inner, repeat(n, 0x0B))
}

// touch reads and writes each of n locals, so that they live everywhere.
func touch(n int) []byte {
	var b []byte
	for i := range n {
		b = append(b, 0x20)
		b = append(wasmbin.AppendU32(b, uint32(i)), 0x41, 1, 0x6A, 0x21)
		b = wasmbin.AppendU32(b, uint32((i+1)%n))
	}
	return b
}

// switchOf is Go's shape: a loop around n blocks and a br_table to them.
func switchOf(n, locals int) []byte {
	table := append([]byte{0x20, 0, 0x0E}, wasmbin.AppendU32(nil, uint32(n-1))...)
	for i := range n {
		table = wasmbin.AppendU32(table, uint32(i))
	}
	b := append([]byte{0x03, 0x40}, repeat(n, 0x02, 0x40)...)
	b = append(b, table...)
	for i := range n {
		b = append(b, 0x0B, 0x20)
		b = append(wasmbin.AppendU32(b, uint32(i%locals)), 0x41, 3, 0x6A, 0x21)
		b = wasmbin.AppendU32(b, uint32((i+1)%locals))
		if i%3 == 0 { // jump back
			b = append(b, 0x0C)
			b = wasmbin.AppendU32(b, uint32(n-1-i))
		}
	}
	return append(b, 0x0B)
}
