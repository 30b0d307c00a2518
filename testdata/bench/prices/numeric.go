package main

import (
	"github.com/assaynet/assay/runtime/wasmbin"
)

// turns × copies is how often a measured step runs in a call of infer.
const (
	turns  = 2000
	copies = 25
)

// row is a way to spend gas.
type row struct {
	group, name, shape string
	op                 wasmbin.Op // 0: the row is about more than one
	steps              int        // the figures are divided by it
	m                  *module
	units              bool // run by pow_units with one unit, not by infer
	keyed              bool // and with a key
	mayFail            bool // some of these trap
	once               bool // each run needs a new instance
}

// repeat is a loop of n turns around body.
func repeat(n int, body func(c *code)) code {
	var c code
	c.i32(int32(n)).set(counter).void(wasmbin.OpLoop)
	body(&c)
	c.get(counter).i32(1).op(wasmbin.OpI32Sub).tee(counter).op(wasmbin.OpBrIf, 0).end()
	return c
}

// looped is a function that runs step turns × copies times. A step finds the
// chain's value of type t on the stack and leaves it there; t 0 is none.
func looped(v *values, t wasmbin.ValType, step func(c *code)) function {
	var c code
	v.start(&c)
	c = append(c, repeat(turns, func(c *code) {
		if t != 0 {
			c.get(chainOf(t))
		}
		for range copies {
			step(c)
		}
		if t != 0 {
			c.set(chainOf(t))
		}
	})...)
	finish(&c)
	return function{locals: locals, body: c}
}

// numeric are the instructions that compute results from operands alone: each
// step takes the result of the one before.
func numeric() (rows []row) {
	for _, base := range []wasmbin.Op{0, 0xFC00, 0xFD00} {
		for op := base; op < base+0x100; op++ {
			in, out, fixed := op.Signature()
			if !op.Known() || !fixed || out == 0 || op.Memory() || op == wasmbin.OpMemoryGrow || op == wasmbin.OpTableSize {
				continue
			}
			if width, lanes := op.FloatShape(); width > 0 {
				rows = append(rows, observed(op, in, out, lanes))
			}
			for i := range valueSets {
				if i > 0 && len(in) == 0 {
					continue
				}
				v := &valueSets[i]
				rows = append(rows, row{group: "compute", op: op, name: opNames[op], shape: v.name, steps: turns * copies, mayFail: i > 0,
					m: &module{globals: 1, pages: 1, funcs: []function{looped(v, first(in, out), func(c *code) { chain(c, op, in, out) })}}})
			}
		}
	}
	return rows
}

// observed is a chain in which each result is looked at, so that a NaN must be
// made canonical.
func observed(op wasmbin.Op, in []wasmbin.ValType, out wasmbin.ValType, lanes int) row {
	return row{group: "compute", op: op, name: opNames[op], shape: "observed", steps: turns * copies,
		m: &module{globals: 1, pages: 1, funcs: []function{looped(&valueSets[0], in[0], func(c *code) {
			for _, t := range in[1:] {
				c.get(chainOf(t) + constI32)
			}
			c.op(op)
			if lanes > 1 {
				c.op(0xFD4D)
			} else {
				c.op(map[wasmbin.ValType]wasmbin.Op{f32: 0x8B, f64: 0x99}[out])
			}
			convert(c, out, in[0])
		})}}}
}

// first is the type of the chain through an instruction.
func first(in []wasmbin.ValType, out wasmbin.ValType) wasmbin.ValType {
	if len(in) == 0 {
		return out
	}
	return in[0]
}

// chain is one step of op.
func chain(c *code, op wasmbin.Op, in []wasmbin.ValType, out wasmbin.ValType) {
	if len(in) == 0 { // a constant: combined with the chain
		constant(c, op)
		c.op(map[wasmbin.ValType]wasmbin.Op{i32: 0x73, i64: 0x85, f32: 0x92, f64: 0xA0, v128: 0xFD51}[out])
		return
	}
	switch { // quotients of full width
	case op >= 0x6D && op <= 0x70:
		c.i32(0x7F000000).op(0x72)
	case op >= 0x7F && op <= 0x82:
		c.i64(0x7F00000000000000).op(0x84)
	}
	for _, t := range in[1:] {
		c.get(chainOf(t) + constI32)
	}
	c.op(op)
	switch {
	case op == wasmbin.OpShuffle:
		c.raw(8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23)
	case op >= 0xFD15 && op <= 0xFD22:
		c.raw(1)
	}
	convert(c, out, in[0])
}

func constant(c *code, op wasmbin.Op) {
	switch op {
	case wasmbin.OpI32Const:
		c.i32(0x12345678)
	case wasmbin.OpI64Const:
		c.i64(0x123456789ABCDEF0)
	case wasmbin.OpF32Const:
		c.f32(1.25)
	case wasmbin.OpF64Const:
		c.f64(1.25)
	case wasmbin.OpV128Const:
		c.v128(0x0123456789ABCDEF, 0xFEDCBA9876543210)
	default:
		c.op(op, 0) // memory.size
	}
}
