package main

import (
	"fmt"

	"github.com/assaynet/assay/runtime/wasmbin"
)

// xorshift makes a random number from one that also depends on what the chain
// loaded last, so that no address is known before the load before it is done.
func xorshift(c *code) {
	for i, k := range []int32{13, 17, 5} {
		c.get(state).get(state).i32(k).op([]wasmbin.Op{0x74, 0x76, 0x74}[i]).op(0x73).set(state)
	}
}

// touched makes a function's memory real: untouched pages all share one page
// of zeros, which no cache misses.
func touched(pages uint32, v *values) code {
	var c code
	v.start(&c)
	c.op(wasmbin.OpGlobalGet, 0).op(0x50).void(wasmbin.OpIf)
	c.i32(0).i32(0).i32(int32(pages*65536)).op(wasmbin.OpMemoryFill, 0).i64(1).op(wasmbin.OpGlobalSet, 0).end()
	// The next call goes on where this one ends.
	c.op(wasmbin.OpGlobalGet, 1).op(0xA7).i32(1).op(0x72).set(state)
	return c
}

func settled(c *code) {
	c.get(state).op(wasmbin.OpI64ExtendU).op(wasmbin.OpGlobalSet, 1)
	c.get(chainI64).get(chainI32).op(wasmbin.OpI64ExtendU).op(0x85).op(wasmbin.OpGlobalSet, 2)
}

// access is an instruction that loads or stores, at an address on the stack;
// what it loads ends up in the chain's i32 as a zero.
func access(c *code, op wasmbin.Op, offset uint32) {
	in, out, _ := op.Signature()
	lane := op >= 0xFD54 && op <= 0xFD5B
	for _, t := range in[1:] {
		c.get(chainOf(t) + constI32)
	}
	c.op(op, 0, offset)
	if lane {
		c.raw(0)
	}
	if out != 0 {
		convert(c, out, i32)
	}
}

var memoryOps = func() (ops []wasmbin.Op) {
	for _, base := range []wasmbin.Op{0, 0xFD00} {
		for op := base; op < base+0x100; op++ {
			if op.Known() && op.Memory() {
				ops = append(ops, op)
			}
		}
	}
	return ops
}()

// zeros makes every operand zero, so that chains through memory read zeros.
var zeros = values{name: "zeros"}

// fixed are accesses at the same address again and again: aligned, across a
// cache line, across a page, and loads that overlap the store before them.
func fixed() (rows []row) {
	for _, op := range memoryOps {
		_, out, _ := op.Signature()
		for _, at := range []struct {
			shape  string
			offset uint32
		}{{"aligned", 128}, {"across cache lines", 128 + 61}, {"across pages", 4096 - 1}} {
			step := func(c *code) {
				if out != 0 {
					access(c, op, at.offset) // the address is what was loaded
					return
				}
				c.get(chainI32)
				access(c, op, at.offset)
			}
			t := i32
			if out == 0 {
				t = 0
			}
			rows = append(rows, row{group: "memory", op: op, name: opNames[op], shape: at.shape, steps: turns * copies,
				m: &module{globals: 1, pages: 1, funcs: []function{looped(&zeros, t, step)}}})
			if out == 0 {
				continue
			}
			rows = append(rows, row{group: "memory", op: op, name: opNames[op], shape: at.shape + ", over a store", steps: turns * copies,
				m: &module{globals: 1, pages: 1, funcs: []function{looped(&zeros, t, func(c *code) {
					c.tee(chainI32).get(constI64).op(0x37, 0, at.offset-3)
					c.get(chainI32).get(constI64).op(0x37, 0, at.offset+5)
					c.get(chainI32)
					access(c, op, at.offset)
				})}}})
		}
	}
	return rows
}

// scattered are accesses all over a memory, each at an address that depends on
// the one before.
func scattered() (rows []row) {
	for _, pages := range []uint32{16, 64, 1024, 8192} {
		ops := []wasmbin.Op{0x28, 0x29, 0x37, 0xFD00, 0xFD0B}
		if pages == 16 {
			ops = memoryOps
		}
		for i := range 2 * len(ops) {
			op := ops[i/2]
			mask, offset, shape := int32(pages*65536-1)&^63, uint32(48), ""
			if i%2 == 1 { // the last half page of the upper half has no next one
				mask, offset, shape = int32(pages*65536/2-1)&^4095, 4095, " across pages"
			}
			_, out, _ := op.Signature()
			steps := 20_000
			c := touched(pages, &zeros)
			c = append(c, repeat(steps/10, func(c *code) {
				for range 10 {
					xorshift(c)
					c.get(state).i32(mask).op(0x71)
					if out == 0 {
						access(c, op, offset)
						continue
					}
					access(c, op, offset)
					c.get(state).op(0x6A).set(state)
				}
			})...)
			settled(&c)
			rows = append(rows, row{group: "memory", op: op, name: opNames[op], shape: fmt.Sprintf("scattered%s over %d KiB", shape, pages*64), steps: steps,
				m: &module{globals: 3, pages: pages, maxPages: pages, funcs: []function{{locals: locals, body: c}}}})
		}
	}
	return rows
}

// bulk are the operations priced by an operand, over several sizes.
func bulk() (rows []row) {
	const pages = 1024
	for _, op := range []wasmbin.Op{wasmbin.OpMemoryFill, wasmbin.OpMemoryCopy, wasmbin.OpMemoryInit} {
		for _, n := range []int32{0, 1, 64, 4096, 1 << 20, 16 << 20} {
			for _, far := range []bool{false, true} {
				if far && n > 4096 {
					continue
				}
				shape := fmt.Sprintf("%d bytes", n)
				if far {
					shape += ", scattered"
				}
				steps := int(max(10, min(20_000, 1<<26/int(n+1))))
				c := touched(pages, &zeros)
				c = append(c, repeat(steps/10, func(c *code) {
					for range 10 {
						address := func() { c.i32(4095) }
						if far {
							xorshift(c)
							address = func() { c.get(state).i32(pages*65536 - 1 - 8191).op(0x71).i32(4095).op(0x6A) }
						}
						address()
						switch op {
						case wasmbin.OpMemoryFill:
							c.i32(0).i32(n).op(op, 0)
						case wasmbin.OpMemoryCopy:
							if far {
								c.get(state).i32(16).op(0x77).i32(pages*65536 - 1 - 8191).op(0x71)
							} else {
								c.i32(1<<24 + 1)
							}
							c.i32(n).op(op, 0, 0)
						case wasmbin.OpMemoryInit:
							c.i32(0).i32(min(n, 65536)).op(op, 0, 0)
						}
					}
				})...)
				settled(&c)
				if op == wasmbin.OpMemoryInit && n > 65536 {
					continue
				}
				rows = append(rows, row{group: "bulk", name: opNames[op], shape: shape, steps: steps,
					m: &module{globals: 3, pages: pages, maxPages: pages, data: make([]byte, 65536), passive: true, funcs: []function{{locals: locals, body: c}}}})
			}
		}
	}
	return append(rows, growth()...)
}

// growth is memory that is made and then touched: the price of a page is paid
// when it is made.
func growth() (rows []row) {
	for _, n := range []int32{0, 1, 64, 4000} {
		const calls = 7 // of infer: reps and the warm-up must fit the maximum
		steps := int(max(1, min(1000, 8000/calls/int(n+1))))
		if n == 4000 {
			steps = 1
		}
		var c code
		c.i32(int32(steps)).set(counter).void(wasmbin.OpLoop)
		c.i32(n).op(wasmbin.OpMemoryGrow, 0).i32(16).op(0x74).set(state)
		if n > 0 {
			// One write a page of 4 KiB.
			c.i32(n * 16).set(state + 1).void(wasmbin.OpLoop)
			c.get(state).get(constI64).op(0x37, 0, 0).get(state).i32(4096).op(0x6A).set(state)
			c.get(state+1).i32(1).op(0x6B).tee(state+1).op(wasmbin.OpBrIf, 0).end()
		}
		c.get(counter).i32(1).op(0x6B).tee(counter).op(wasmbin.OpBrIf, 0).end()
		rows = append(rows, row{group: "bulk", name: "memory.grow", shape: fmt.Sprintf("%d pages, each touched", n), steps: steps, once: true,
			m: &module{globals: 1, pages: 1, maxPages: 8192, funcs: []function{{locals: locals, body: c}}}})
	}
	return rows
}
