package main

import (
	"fmt"

	"github.com/assaynet/assay/runtime/wasmbin"
)

// random makes a random number that no branch predictor knows.
func random(c *code) {
	c.get(state).i32(1664525).op(0x6C).i32(1013904223).op(0x6A).tee(state)
}

// plain is a row whose step needs nothing but the locals.
func plain(name, shape string, step func(c *code)) row {
	return row{group: "control", name: name, shape: shape, steps: turns * copies,
		m: &module{globals: 3, pages: 1, funcs: []function{looped(&valueSets[0], 0, step)}}}
}

func branches() (rows []row) {
	add := func(name, shape string, step func(c *code)) { rows = append(rows, plain(name, shape, step)) }
	bump := func(c *code) { c.get(chainI64).i64(3).op(0x7C).set(chainI64) }
	for _, shape := range []struct {
		name string
		cond func(c *code)
	}{
		{"taken", func(c *code) { c.get(constI32) }},
		{"not taken", func(c *code) { c.get(constI32).op(0x45) }},
		{"random", func(c *code) { random(c); c.i32(0).op(wasmbin.OpI32LtS) }},
	} {
		add("br_if", shape.name, func(c *code) {
			c.void(wasmbin.OpBlock)
			shape.cond(c)
			c.op(wasmbin.OpBrIf, 0)
			bump(c)
			c.end()
		})
		add("if", shape.name, func(c *code) {
			shape.cond(c)
			c.void(wasmbin.OpIf)
			bump(c)
			c.end()
		})
		add("if else", shape.name, func(c *code) {
			shape.cond(c)
			c.void(wasmbin.OpIf)
			bump(c)
			c.op(wasmbin.OpElse).get(chainI64).i64(5).op(0x7D).set(chainI64).end()
		})
		add("select", shape.name+" i64", func(c *code) {
			c.get(chainI64).get(constI64)
			shape.cond(c)
			c.op(wasmbin.OpSelect).i64(1).op(0x7C).set(chainI64)
		})
		add("select", shape.name+" v128", func(c *code) {
			c.get(chainV128).get(constV128)
			shape.cond(c)
			c.op(wasmbin.OpSelect).set(chainV128)
		})
		add("select t", shape.name+" f64", func(c *code) {
			c.get(chainF64).get(constF64)
			shape.cond(c)
			c.op(wasmbin.OpSelectT, 1).raw(byte(f64)).set(chainF64)
		})
	}
	add("loop", "one turn", func(c *code) { c.void(wasmbin.OpLoop); bump(c); c.end() })
	add("loop", "empty, turns", func(c *code) {
		c.i32(8).set(state).void(wasmbin.OpLoop).get(state).i32(1).op(0x6B).tee(state).op(wasmbin.OpBrIf, 0).end()
	})
	add("br", "", func(c *code) { c.void(wasmbin.OpBlock).op(wasmbin.OpBr, 0).end(); bump(c) })
	add("local.get, local.set", "", func(c *code) { c.get(chainI64).set(state0).get(state0).set(chainI64) })
	add("global.get, global.set", "i64", func(c *code) { c.op(wasmbin.OpGlobalGet, 1).i64(1).op(0x7C).op(wasmbin.OpGlobalSet, 1) })
	add("global.get, global.set", "v128", func(c *code) {
		c.op(wasmbin.OpGlobalGet, 4).get(constV128).op(0xFDCE).op(wasmbin.OpGlobalSet, 4)
	})
	add("ref.null, ref.is_null", "", func(c *code) {
		c.op(wasmbin.OpRefNull).raw(0x70).op(wasmbin.OpRefIsNull).get(chainI32).op(0x6A).set(chainI32)
	})
	return append(rows, append(pressure(), switches()...)...)
}

const state0 = constI64 // a scratch i64 where the constant is not needed

// pressure keeps more values alive than there are registers.
func pressure() (rows []row) {
	for _, t := range []wasmbin.ValType{i64, v128} {
		const n = 200
		var c code
		op := map[wasmbin.ValType]wasmbin.Op{i64: 0x7C, v128: 0xFDCE}[t]
		c.i32(turns).set(0).void(wasmbin.OpLoop)
		for i := range n {
			c.get(1 + i).get(1 + (i+7)%n).op(op).set(1 + (i+1)%n)
		}
		c.get(0).i32(1).op(0x6B).tee(0).op(wasmbin.OpBrIf, 0).end()
		for i := range n {
			c.get(1 + i)
			if i > 0 {
				c.op(op)
			}
		}
		convert(&c, t, i64)
		c.op(wasmbin.OpGlobalSet, 0)
		rows = append(rows, row{group: "control", name: "local.get, local.set", shape: fmt.Sprintf("%d %s alive", n, map[wasmbin.ValType]string{i64: "i64", v128: "v128"}[t]),
			steps: turns * n, m: &module{globals: 1, pages: 1, funcs: []function{{locals: []wasmbin.LocalGroup{{Count: 1, Type: i32}, {Count: n, Type: t}}, body: c}}}})
	}
	return rows
}

// switches are br_tables with random indexes.
func switches() (rows []row) {
	for _, k := range []int{2, 16, 256, 4096, 5000} {
		steps, size := 20_000, 6
		if k == 5000 {
			size = 8 // a body of nearly 1 MiB
		}
		body := func(c *code) {
			random(c)
			c.op(wasmbin.OpDrop)
			for range k + 1 {
				c.void(wasmbin.OpBlock)
			}
			c.get(state).i32(12).op(0x76).i32(int32(k)).op(0x70).op(wasmbin.OpBrTable, uint32(k-1))
			for i := range k {
				c.raw(wasmbin.AppendU32(nil, uint32(i))...)
			}
			for i := range k {
				c.end()
				for j := range size {
					c.get(chainI64).i64(int64(i*7+j) << 40).op(0x85).set(chainI64)
				}
				c.op(wasmbin.OpBr, uint32(k-i-1))
			}
			c.end()
		}
		var c code
		valueSets[0].start(&c)
		c = append(c, repeat(steps, body)...)
		finish(&c)
		rows = append(rows, row{group: "control", name: "br_table", shape: fmt.Sprintf("random among %d", k), steps: steps,
			m: &module{globals: 1, pages: 1, funcs: []function{{locals: locals, body: c}}}})
	}
	return rows
}

// calls are ways to call functions.
func calls() (rows []row) {
	add := func(name, shape string, callees []function, table []int, step func(c *code)) {
		rows = append(rows, row{group: "control", name: name, shape: shape, steps: turns * copies,
			m: &module{globals: 3, pages: 1, table: table, funcs: append([]function{looped(&valueSets[0], 0, step)}, callees...)}})
	}
	bump := func(n int) function {
		var c code
		for i := range n {
			c.op(wasmbin.OpGlobalGet, 1).i64(int64(i+1)).op(0x85).op(wasmbin.OpGlobalSet, 1)
		}
		return function{body: c}
	}
	caller := function{body: *new(code).op(wasmbin.OpCall, 1)}
	add("call", "empty leaf", []function{{}}, nil, func(c *code) { c.op(wasmbin.OpCall, 1) })
	add("call", "leaf", []function{bump(1)}, nil, func(c *code) { c.op(wasmbin.OpCall, 1) })
	add("call", "counted", []function{bump(1), caller}, nil, func(c *code) { c.op(wasmbin.OpCall, 2) })
	for _, t := range []wasmbin.ValType{i64, v128} {
		wide := function{typ: wasmbin.FuncType{Params: make([]wasmbin.ValType, 60), Results: make([]wasmbin.ValType, 16)}}
		for i := range wide.typ.Params {
			wide.typ.Params[i] = t
		}
		for i := range wide.typ.Results {
			wide.typ.Results[i] = t
			wide.body.get(i + 1)
		}
		add("call", "60 parameters, 16 results "+map[wasmbin.ValType]string{i64: "i64", v128: "v128"}[t], []function{wide}, nil, func(c *code) {
			for range 60 {
				c.get(chainOf(t))
			}
			c.op(wasmbin.OpCall, 1)
			for range 16 {
				c.set(chainOf(t))
			}
		})
	}
	for _, n := range []int{8, 200, 1000, 1900} { // live locals make a frame
		f := function{locals: []wasmbin.LocalGroup{{Count: uint32(n), Type: v128}}}
		for i := range n {
			f.body.op(wasmbin.OpGlobalGet, 3).set(i)
		}
		f.body.op(wasmbin.OpCall, 2)
		for i := range n {
			f.body.get(i).op(wasmbin.OpGlobalSet, 3)
		}
		zeroed := function{locals: f.locals, body: *new(code).op(wasmbin.OpCall, 2)}
		for i := range n {
			zeroed.body.get(i).op(wasmbin.OpGlobalSet, 3)
		}
		r := row{group: "control", name: "call", shape: fmt.Sprintf("%d v128 locals", n), steps: turns,
			m: &module{globals: 3, pages: 1, funcs: []function{{locals: locals, body: repeat(turns, func(c *code) { c.op(wasmbin.OpCall, 1) })}, f, {}}}}
		rows = append(rows, r)
		r.shape += ", not set"
		r.m = &module{globals: 3, pages: 1, funcs: []function{r.m.funcs[0], zeroed, {}}}
		rows = append(rows, r)
	}
	return append(rows, append(indirect(), append(cold(), deep()...)...)...)
}

// indirect are calls through a table to random functions.
func indirect() (rows []row) {
	for _, n := range []int{1, 16, 1024, 20_000, 49_000} {
		steps, body := 20_000, 4
		if n == 20_000 {
			body = 0 // all code fits the second-level cache
		}
		m := &module{globals: 3, pages: 1}
		var c code
		valueSets[0].start(&c)
		c.op(wasmbin.OpGlobalGet, 1).op(0xA7).set(state)
		c = append(c, repeat(steps/10, func(c *code) {
			for range 10 {
				random(c)
				c.i32(9).op(0x76).i32(int32(n)).op(0x70).op(wasmbin.OpCallIndirect, 0, 0)
			}
		})...)
		c.get(state).op(wasmbin.OpI64ExtendU).op(wasmbin.OpGlobalSet, 1)
		m.funcs = append(m.funcs, function{locals: locals, body: c})
		for i := range n {
			var c code
			for j := range body {
				c.op(wasmbin.OpGlobalGet, 0).i64(int64(i*7+j)).op(0x85).op(wasmbin.OpGlobalSet, 0)
			}
			m.funcs = append(m.funcs, function{body: c})
			m.table = append(m.table, i+1)
		}
		rows = append(rows, row{group: "control", name: "call_indirect", shape: fmt.Sprintf("random among %d", n), steps: steps, m: m})
	}
	return rows
}

// cold is code that is not in any cache when it runs: megabytes of it, each
// instruction once. With less of it, it fits the second-level cache.
func cold() (rows []row) {
	for _, k := range []struct {
		name  string
		fns   int
		per   int
		local wasmbin.ValType
		step  func(c *code, i int)
	}{
		{"i64.const, i64.xor", 100, 10_000, i64, func(c *code, i int) {
			c.get(0).i64(0x7123456789ABCDEF + int64(i)).op(0x85).set(0)
		}},
		{"v128.const, v128.xor", 30, 10_000, v128, func(c *code, i int) {
			c.get(0).v128(0x7123456789ABCDEF+uint64(i), uint64(i)).op(0xFD51).set(0)
		}},
		{"local.get, i64.add, local.set", 30, 10_000, i64, func(c *code, i int) {
			c.get(i % 50).get((i + 7) % 50).op(0x7C).set((i + 1) % 50)
		}},
		{"i64.const, i64.xor", 1, 8_000, i64, func(c *code, i int) {
			c.get(0).i64(0x7123456789ABCDEF + int64(i)).op(0x85).set(0)
		}},
		{"i64.load", 30, 10_000, i64, func(c *code, i int) {
			c.get(0).op(0xA7).op(0x29, 0, uint32(i%1000)).get(0).op(0x7C).set(0)
		}},
		{"i8x16.shr_s", 40, 5_000, v128, func(c *code, i int) { c.get(0).i32(int32(i)).op(0xFD6C).set(0) }},
		{"f64x2.max", 40, 5_000, v128, func(c *code, i int) { c.get(0).get(1).op(0xFDF5).op(0xFD4D).set(0) }},
		{"i8x16.popcnt", 40, 5_000, v128, func(c *code, i int) { c.get(0).op(0xFD62).set(0) }},
	} {
		m := &module{globals: 1, pages: 1}
		var c code
		for i := range k.fns {
			c.op(wasmbin.OpCall, uint32(i+1))
		}
		m.funcs = append(m.funcs, function{body: repeat(1, func(*code) {}), locals: locals})
		m.funcs[0].body = append(m.funcs[0].body, c...)
		for range k.fns {
			var c code
			for i := range k.per {
				k.step(&c, i)
			}
			c.get(0)
			convert(&c, k.local, i64)
			c.op(wasmbin.OpGlobalSet, 0)
			m.funcs = append(m.funcs, function{locals: []wasmbin.LocalGroup{{Count: 50, Type: k.local}}, body: c})
		}
		rows = append(rows, row{group: "control", name: k.name, shape: fmt.Sprintf("cold code, %d functions of %d", k.fns, k.per), steps: k.fns * k.per, m: m})
	}
	// Functions that are called once each, in order.
	const n = 40_000
	m := &module{globals: 1, pages: 1}
	var c code
	for i := range n {
		c.op(wasmbin.OpCall, uint32(i+1))
	}
	m.funcs = append(m.funcs, function{body: c})
	for i := range n {
		m.funcs = append(m.funcs, function{body: *new(code).op(wasmbin.OpGlobalGet, 0).i64(int64(i)).op(0x85).op(wasmbin.OpGlobalSet, 0)})
	}
	rows = append(rows, row{group: "control", name: "call", shape: fmt.Sprintf("each of %d functions once", n), steps: n, m: m})
	// Branches that are met once: no predictor has seen them.
	m = &module{globals: 1, pages: 1}
	c = nil
	const branchy, each = 60, 2000
	for i := range branchy {
		c.get(0).op(wasmbin.OpCall, uint32(i+1)).set(0)
	}
	m.funcs = append(m.funcs, function{locals: []wasmbin.LocalGroup{{Count: 1, Type: i32}}, body: c})
	typ := wasmbin.FuncType{Params: []wasmbin.ValType{i32}, Results: []wasmbin.ValType{i32}}
	for range branchy {
		var c code
		for range each {
			c.get(0).i32(1664525).op(0x6C).i32(1013904223).op(0x6A).tee(0).i32(0).op(wasmbin.OpI32LtS).void(wasmbin.OpIf).get(0).i32(7).op(0x73).set(0).end()
		}
		c.get(0)
		m.funcs = append(m.funcs, function{typ: typ, body: c})
	}
	rows = append(rows, row{group: "control", name: "if", shape: "cold and random", steps: branchy * each, m: m})
	return rows
}

// deep is recursion, to the depth that the stack allows.
func deep() (rows []row) {
	typ := wasmbin.FuncType{Params: []wasmbin.ValType{i32}}
	for _, n := range []int{0, 1000} {
		depth := 1_500
		if n > 0 {
			depth = 300
		}
		f := function{typ: typ, locals: []wasmbin.LocalGroup{{Count: uint32(n), Type: v128}}}
		for i := range n {
			f.body.op(wasmbin.OpGlobalGet, 3).set(1 + i)
		}
		f.body.get(0).void(wasmbin.OpIf).get(0).i32(1).op(0x6B).op(wasmbin.OpCall, 1).end()
		for i := range n {
			f.body.get(1+i).op(wasmbin.OpGlobalSet, 3)
		}
		rows = append(rows, row{group: "control", name: "call", shape: fmt.Sprintf("%d deep, %d v128 locals", depth, n), steps: depth * 10,
			m: &module{globals: 3, pages: 1, funcs: []function{{locals: locals, body: repeat(10, func(c *code) { c.i32(int32(depth)).op(wasmbin.OpCall, 1) })}, f}}})
	}
	return rows
}

// tables are the instructions that work on tables and references.
func tables() (rows []row) {
	const size = 50_000
	add := func(name, shape string, steps int, step func(c *code)) {
		var c code
		valueSets[0].start(&c)
		per := copies
		if steps < 1000 {
			per = 1
		}
		c = append(c, repeat(max(1, steps/per), func(c *code) {
			for range per {
				step(c)
			}
		})...)
		m := &module{globals: 3, pages: 1, tableMax: 1 << 16, passive: true, funcs: []function{{locals: locals, body: c}, {}}}
		for range size {
			m.table = append(m.table, 1)
		}
		rows = append(rows, row{group: "table", name: name, shape: shape, steps: max(1, steps/per) * per, m: m})
	}
	add("ref.func", "", turns, func(c *code) { c.op(wasmbin.OpRefFunc, 0).op(wasmbin.OpRefIsNull).get(chainI32).op(0x6A).set(chainI32) })
	scattered := func(c *code) { random(c); c.i32(9).op(0x76).i32(size).op(0x70) }
	add("table.get", "", turns*10, func(c *code) {
		c.i32(5).op(wasmbin.OpTableGet, 0).op(wasmbin.OpRefIsNull).get(chainI32).op(0x6A).set(chainI32)
	})
	add("table.get", "scattered", turns*10, func(c *code) {
		scattered(c)
		c.op(wasmbin.OpTableGet, 0).op(wasmbin.OpRefIsNull).get(chainI32).op(0x6A).set(chainI32)
	})
	add("table.set", "scattered", turns*10, func(c *code) { scattered(c); c.op(wasmbin.OpRefNull).raw(0x70).op(wasmbin.OpTableSet, 0) })
	add("table.size", "", turns*10, func(c *code) { c.op(wasmbin.OpTableSize, 0).get(chainI32).op(0x6A).set(chainI32) })
	for _, n := range []int32{0, 1, 100, 49_000} {
		shape := fmt.Sprintf("%d elements", n)
		steps := max(20, min(turns, 4_000_000/int(n+1)))
		add("table.fill", shape, steps, func(c *code) { c.i32(1).op(wasmbin.OpRefNull).raw(0x70).i32(n).op(wasmbin.OpTableFill, 0) })
		add("table.copy", shape, steps, func(c *code) { c.i32(1).i32(3).i32(n).op(wasmbin.OpTableCopy, 0, 0) })
		add("table.init", shape, steps, func(c *code) { c.i32(1).i32(3).i32(n).op(wasmbin.OpTableInit, 1, 0) })
		if n < 49_000 {
			add("table.grow", shape, max(20, min(turns, 200_000/7/int(n+1)/20)), func(c *code) { c.op(wasmbin.OpRefNull).raw(0x70).i32(n).op(wasmbin.OpTableGrow, 0).op(wasmbin.OpDrop) })
		}
	}
	add("data.drop", "", turns, func(c *code) { c.op(wasmbin.OpDataDrop, 0) })
	add("elem.drop", "", turns, func(c *code) { c.op(wasmbin.OpElemDrop, 1) })
	return rows
}
