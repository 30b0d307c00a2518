package main

import (
	"fmt"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/wasmbin"
)

// Sizes of what the measured job holds, in bytes.
const (
	dataBytes = 64 << 10
	hostPages = 1024
)

// hostRow calls imports, which are function 0, 1, … of the module; their types
// come from the tables.
func hostRow(name, shape string, imports []string, step func(c *code)) row {
	m := &module{globals: 3, pages: hostPages, maxPages: hostPages}
	for i := 0; i < len(imports); i += 2 {
		m.imports = append(m.imports, imports[i], imports[i+1])
		m.impTypes = append(m.impTypes, importType(imports[i], imports[i+1]))
	}
	const steps = 1000
	c := touched(hostPages, &zeros)
	c = append(c, repeat(steps/10, func(c *code) {
		for range 10 {
			step(c)
		}
	})...)
	settled(&c)
	m.funcs = []function{{locals: locals, body: c}}
	return row{group: "host", name: name, shape: shape, steps: steps, m: m}
}

func importType(mod, name string) wasmbin.FuncType {
	if mod == abi.ModuleWASI {
		t := wasmbin.FuncType{Results: []wasmbin.ValType{i32}}
		for _, p := range wasiParams[name] {
			t.Params = append(t.Params, map[rune]wasmbin.ValType{'i': i32, 'I': i64}[p])
		}
		return t
	}
	for _, c := range append(append([]abi.Call(nil), abi.Calls...), abi.TensorCalls...) {
		if c.Name != name {
			continue
		}
		var t wasmbin.FuncType
		for _, p := range c.Params {
			t.Params = append(t.Params, wasmbin.ValType(p.Type))
		}
		if c.Result != 0 {
			t.Results = []wasmbin.ValType{wasmbin.ValType(c.Result)}
		}
		return t
	}
	panic(fmt.Sprintf("%s.%s is in no table", mod, name))
}

var wasiParams = map[string]string{
	"args_get": "ii", "args_sizes_get": "ii", "environ_get": "ii", "environ_sizes_get": "ii",
	"clock_res_get": "ii", "clock_time_get": "iIi", "fd_close": "i", "fd_fdstat_get": "ii", "fd_fdstat_set_flags": "ii",
	"fd_prestat_get": "ii", "fd_read": "iiii", "fd_seek": "iIii", "fd_write": "iiii", "poll_oneoff": "iiii",
	"sched_yield": "", "random_get": "ii", "path_open": "iiiiiIIii",
}

// host are the host calls: empty, with as many bytes as the job has, and at
// addresses that miss the caches.
func host() (rows []row) {
	add := func(name, shape string, step func(c *code)) {
		rows = append(rows, hostRow(abi.ModuleAssay+"."+name, shape, []string{abi.ModuleAssay, name}, step))
	}
	scattered := func(c *code) { xorshift(c); c.get(state).i32(hostPages*65536 - 1).op(0x71).i32(-1 << 17).op(0x71) }
	result := func(c *code) { c.get(chainI32).op(0x6A).set(chainI32) }
	add("seed", "", func(c *code) { c.i32(8).op(wasmbin.OpCall, 0) })
	add("seed", "scattered", func(c *code) { scattered(c); c.op(wasmbin.OpCall, 0) })
	for _, name := range []string{"identity", "params", "request", "known", "model_config"} {
		for _, n := range []int32{0, 32, dataBytes} {
			add(name, fmt.Sprintf("%d bytes", n), func(c *code) { c.i32(8).i32(n).op(wasmbin.OpCall, 0); result(c) })
		}
		add(name, "32 bytes, scattered", func(c *code) { scattered(c); c.i32(32).op(wasmbin.OpCall, 0); result(c) })
	}
	for _, n := range []int32{0, 32, 4096} {
		add("log", fmt.Sprintf("%d bytes", n), func(c *code) { c.i32(8).i32(n).op(wasmbin.OpCall, 0) })
		add("emit", fmt.Sprintf("%d bytes", n), func(c *code) { c.i32(7).i32(8).i32(n).op(wasmbin.OpCall, 0); result(c) })
	}
	add("log", "1 byte, scattered", func(c *code) { scattered(c); c.i32(1).op(wasmbin.OpCall, 0) })
	add("emit", "1 byte, scattered", func(c *code) { c.i32(7); scattered(c); c.i32(1).op(wasmbin.OpCall, 0); result(c) })

	for _, keyed := range []bool{false, true} {
		shape := map[bool]string{false: "", true: ", keyed"}[keyed]
		unit := func(name, how string, step func(c *code)) {
			add(name, how+shape, step)
			r := &rows[len(rows)-1]
			r.units, r.keyed = true, keyed
		}
		if !keyed {
			unit("unit_index", "", func(c *code) { c.i32(0).op(wasmbin.OpCall, 0).op(0xA7); result(c) })
		}
		for _, n := range []int32{0, 64, 1024, dataBytes} {
			unit("record_bytes", fmt.Sprintf("%d bytes", n), func(c *code) { c.i32(0).i32(8).i32(n).op(wasmbin.OpCall, 0) })
		}
	}
	return append(rows, append(tensors(), wasi()...)...)
}

// tensors are the calls that manage tensors.
func tensors() (rows []row) {
	T := abi.ModuleTensor
	alloc := func(c *code, rows int32) { c.i32(int32(device.U8)).i32(rows).i32(1024).op(wasmbin.OpCall, 0) }
	for _, n := range []int32{1, 1024} {
		rows = append(rows, hostRow("tensor.alloc, free", fmt.Sprintf("%d KiB", n), []string{T, "alloc", T, "free"}, func(c *code) {
			alloc(c, n)
			c.op(wasmbin.OpCall, 1)
		}))
	}
	rows = append(rows, hostRow("tensor.alloc, view, free", "", []string{T, "alloc", T, "free", T, "view"}, func(c *code) {
		alloc(c, 1)
		c.tee(chainI32)
		for range 8 {
			c.get(chainI32).i32(0).i32(1).i32(512).op(wasmbin.OpCall, 2).op(wasmbin.OpCall, 1)
		}
		c.op(wasmbin.OpCall, 1)
	}))
	for _, name := range []string{"read", "write"} {
		for _, n := range []int32{0, 64, 64 << 10} {
			rows = append(rows, hostRow("tensor.alloc, "+name+", free", fmt.Sprintf("%d bytes eight times", n), []string{T, "alloc", T, "free", T, name}, func(c *code) {
				alloc(c, 64)
				c.tee(chainI32)
				for range 8 {
					c.get(chainI32).i64(0).i32(8).i32(n).op(wasmbin.OpCall, 2)
				}
				c.op(wasmbin.OpCall, 1)
			}))
		}
	}
	for _, n := range []int32{1, 64} {
		for _, keyed := range []bool{false, true} {
			shape := fmt.Sprintf("%d KiB eight times", n)
			if keyed {
				shape += ", keyed"
			}
			r := hostRow("tensor.alloc, assay.record, free", shape, []string{T, "alloc", T, "free", abi.ModuleAssay, "record"}, func(c *code) {
				alloc(c, n)
				c.set(chainI32)
				for range 8 {
					c.i32(0).get(chainI32).op(wasmbin.OpCall, 2)
				}
				c.get(chainI32).op(wasmbin.OpCall, 1)
			})
			r.units, r.keyed = true, keyed
			rows = append(rows, r)
		}
	}
	rows = append(rows, hostRow("assay.model_tensor, tensor.free", "a name of 6 bytes", []string{abi.ModuleAssay, "model_tensor", T, "free"}, func(c *code) {
		c.i32(16).i64(0x726F736E6574).op(0x37, 0, 0) // "tensor"
		c.i32(16).i32(6).op(wasmbin.OpCall, 0).op(wasmbin.OpCall, 1)
	}))
	return rows
}

// wasi are the calls of stock Go's library.
func wasi() (rows []row) {
	add := func(name, shape string, step func(c *code)) {
		rows = append(rows, hostRow("wasi "+name, shape, []string{abi.ModuleWASI, name}, func(c *code) {
			step(c)
			c.op(wasmbin.OpCall, 0).get(chainI32).op(0x6A).set(chainI32)
		}))
	}
	for _, name := range []string{"args_sizes_get", "environ_sizes_get", "args_get", "clock_res_get", "fd_close", "fd_fdstat_get", "fd_prestat_get",
		"sched_yield", "fd_read", "fd_seek", "path_open", "clock_time_get"} {
		add(name, "", func(c *code) {
			for i, p := range wasiParams[name] {
				switch {
				case p == 'I':
					c.i64(0)
				case i == 0 && name[0] != 'a' && name[0] != 'e':
					c.i32(1)
				default:
					c.i32(int32(64 * i))
				}
			}
		})
	}
	for _, n := range []int32{0, 64, 4096} {
		add("random_get", fmt.Sprintf("%d bytes", n), func(c *code) { c.i32(8).i32(n) })
	}
	// Memory is all zeros: vectors of no bytes, subscriptions to clock 0.
	for _, n := range []int32{0, 1, 1024} {
		add("fd_write", fmt.Sprintf("%d vectors", n), func(c *code) { c.i32(1).i32(1 << 16).i32(n).i32(8) })
		if n > 0 {
			add("poll_oneoff", fmt.Sprintf("%d subscriptions", n), func(c *code) { c.i32(1 << 16).i32(1 << 20).i32(n).i32(8) })
		}
	}
	add("fd_write", "4096 bytes", func(c *code) {
		c.i32(16).i32(4096).op(0x36, 2, 4)
		c.i32(1).i32(16).i32(1).i32(8)
	})
	return rows
}
