package main

import (
	"encoding/binary"
	"math"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/wasmbin"
)

const (
	i32, i64 = wasmbin.I32, wasmbin.I64
	f32, f64 = wasmbin.F32, wasmbin.F64
	v128     = wasmbin.V128
)

// code is a sequence of instructions.
type code []byte

func (c *code) raw(b ...byte) *code { *c = append(*c, b...); return c }

// op appends an instruction with immediates that are unsigned numbers.
func (c *code) op(op wasmbin.Op, imms ...uint32) *code {
	if op > 0xFF {
		*c = wasmbin.AppendU32(append(*c, byte(op>>8)), uint32(op&0xFF))
	} else {
		*c = append(*c, byte(op))
	}
	for _, i := range imms {
		*c = wasmbin.AppendU32(*c, i)
	}
	return c
}

func (c *code) i32(v int32) *code { *c = wasmbin.AppendS64(append(*c, 0x41), int64(v)); return c }
func (c *code) i64(v int64) *code { *c = wasmbin.AppendS64(append(*c, 0x42), v); return c }
func (c *code) f32(v float32) *code {
	*c = binary.LittleEndian.AppendUint32(append(*c, 0x43), math.Float32bits(v))
	return c
}
func (c *code) f64(v float64) *code {
	*c = binary.LittleEndian.AppendUint64(append(*c, 0x44), math.Float64bits(v))
	return c
}
func (c *code) v128(lo, hi uint64) *code {
	*c = binary.LittleEndian.AppendUint64(append(*c, 0xFD, 0x0C), lo)
	*c = binary.LittleEndian.AppendUint64(*c, hi)
	return c
}
func (c *code) get(i int) *code         { return c.op(wasmbin.OpLocalGet, uint32(i)) }
func (c *code) set(i int) *code         { return c.op(wasmbin.OpLocalSet, uint32(i)) }
func (c *code) tee(i int) *code         { return c.op(wasmbin.OpLocalTee, uint32(i)) }
func (c *code) end() *code              { return c.op(wasmbin.OpEnd) }
func (c *code) void(o wasmbin.Op) *code { return c.op(o).raw(0x40) }

// function of a module that is measured.
type function struct {
	typ    wasmbin.FuncType
	locals []wasmbin.LocalGroup
	body   code // without the closing end
}

// module is built around the function that is measured, exported as infer.
type module struct {
	imports  []string // module and name alternating, types in importTypes
	impTypes []wasmbin.FuncType
	funcs    []function
	infer    int // index among funcs
	pages    uint32
	maxPages uint32
	table    []int // functions (among funcs) of table 0
	tableMax uint32
	globals  int // i64 globals; then as many v128 ones
	data     []byte
	passive  bool // also one passive data and one passive element segment
}

func (m *module) bytes() []byte {
	var types []wasmbin.FuncType
	index := func(t wasmbin.FuncType) uint32 {
		for i := range types {
			if types[i].Equal(t) {
				return uint32(i)
			}
		}
		types = append(types, t)
		return uint32(len(types) - 1)
	}
	abiFunc := function{typ: wasmbin.FuncType{Results: []wasmbin.ValType{i32}}}
	abiFunc.body.i32(abi.Version)
	first := uint32(len(m.impTypes))
	units := function{typ: wasmbin.FuncType{Params: []wasmbin.ValType{i32}}}
	units.body.op(wasmbin.OpCall, first+uint32(m.infer))
	all := append(append([]function(nil), m.funcs...), units, abiFunc)
	var imports, code, elems []byte
	for i, t := range m.impTypes {
		imports = wasmbin.AppendName(wasmbin.AppendName(imports, m.imports[2*i]), m.imports[2*i+1])
		imports = wasmbin.AppendU32(append(imports, 0), index(t))
	}
	var idx []uint32
	for _, f := range all {
		idx = append(idx, index(f.typ))
		b := wasmbin.AppendU32(nil, uint32(len(f.locals)))
		for _, g := range f.locals {
			b = append(wasmbin.AppendU32(b, g.Count), byte(g.Type))
		}
		b = append(append(b, f.body...), 0x0B)
		code = append(wasmbin.AppendU32(code, uint32(len(b))), b...)
	}
	w := &wasmbin.Writer{}
	w.Header()
	w.Types(types)
	w.Items(wasmbin.SecImport, wasmbin.Section{}, len(m.impTypes), imports)
	w.Functions(idx)
	size := uint32(max(len(m.table), 1))
	w.Tables([]wasmbin.TableType{{Elem: wasmbin.FuncRef, Range: wasmbin.Range{Min: size, Max: max(size, m.tableMax), HasMax: true}}})
	w.Memories([]wasmbin.Range{{Min: m.pages, Max: max(m.pages, m.maxPages), HasMax: true}})
	var globals []byte
	for range m.globals {
		globals = append(globals, byte(i64), 1, 0x42, 0, 0x0B)
	}
	for range m.globals {
		globals = append(globals, byte(v128), 1, 0xFD, 0x0C)
		globals = append(append(globals, make([]byte, 16)...), 0x0B)
	}
	w.Items(wasmbin.SecGlobal, wasmbin.Section{}, 2*m.globals, globals)
	exports := wasmbin.AppendU32(append(wasmbin.AppendName(nil, abi.ExportInfer), 0), first+uint32(m.infer))
	exports = wasmbin.AppendU32(append(wasmbin.AppendName(exports, abi.ExportABI), 0), first+uint32(len(all)-1))
	exports = wasmbin.AppendU32(append(wasmbin.AppendName(exports, abi.ExportPowUnits), 0), first+uint32(len(all)-2))
	w.Items(wasmbin.SecExport, wasmbin.Section{}, 3, exports)
	n := 0
	if len(m.table) > 0 {
		elems = wasmbin.AppendU32([]byte{0, 0x41, 0, 0x0B}, uint32(len(m.table)))
		for _, f := range m.table {
			elems = wasmbin.AppendU32(elems, first+uint32(f))
		}
		n++
	}
	if m.passive {
		elems = append(elems, 1, 0)
		elems = wasmbin.AppendU32(elems, uint32(len(m.table)))
		for _, f := range m.table {
			elems = wasmbin.AppendU32(elems, first+uint32(f))
		}
		n++
	}
	w.Items(wasmbin.SecElement, wasmbin.Section{}, n, elems)
	if m.passive {
		w.Raw(wasmbin.Section{ID: wasmbin.SecDataCount, Payload: []byte{1}})
	}
	w.Items(wasmbin.SecCode, wasmbin.Section{}, len(all), code)
	if m.passive {
		w.Items(wasmbin.SecData, wasmbin.Section{}, 1, append(wasmbin.AppendU32([]byte{1}, uint32(len(m.data))), m.data...))
	}
	return w.Bytes()
}
