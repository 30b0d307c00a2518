package sandbox

// A small Wasm encoder for hand-written guests.

const (
	i32 = 0x7F
	i64 = 0x7E
	f64 = 0x7C
)

func leb(v uint64) []byte {
	var b []byte
	for {
		c := byte(v & 0x7F)
		v >>= 7
		if v == 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func sleb(v int64) []byte {
	var b []byte
	for {
		c := byte(v & 0x7F)
		v >>= 7
		if (v == 0 && c&0x40 == 0) || (v == -1 && c&0x40 != 0) {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func cat(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case []byte:
			b = append(b, p...)
		case string:
			b = append(b, p...)
		case int:
			b = append(b, byte(p))
		case byte:
			b = append(b, p)
		}
	}
	return b
}

func name(s string) []byte { return cat(leb(uint64(len(s))), s) }

func vec(items [][]byte) []byte {
	b := leb(uint64(len(items)))
	for _, it := range items {
		b = append(b, it...)
	}
	return b
}

func section(id byte, body []byte) []byte { return cat(id, leb(uint64(len(body))), body) }

func funcType(params, results []byte) []byte {
	return cat(0x60, leb(uint64(len(params))), params, leb(uint64(len(results))), results)
}

// wasmFunc is a function of a hand-written module; Export may be empty.
type wasmFunc struct {
	Export          string
	Params, Results []byte
	Locals          []byte
	Body            []byte // without the final end
}

type wasmImport struct {
	Module, Name    string
	Params, Results []byte
}

// wasmMod is a hand-written module. Imported functions come first in the
// index space, then Funcs.
type wasmMod struct {
	Imports  []wasmImport
	Funcs    []wasmFunc
	Min, Max int // memory pages, exported as "memory"; Max < 0: none declared
	NoMemory bool
	Table    int // size of a funcref table, 0: none
	Elems    []int
	Start    int // function index, 0: none
	Data     []byte
	DataAt   int
	Passive  []byte   // a second, passive data segment
	Globals  [][]byte // encoded
}

func (m wasmMod) encode() []byte {
	var types, imports, funcs, exports, codes [][]byte
	add := func(p, r []byte) []byte {
		types = append(types, funcType(p, r))
		return leb(uint64(len(types) - 1))
	}
	for _, im := range m.Imports {
		imports = append(imports, cat(name(im.Module), name(im.Name), 0, add(im.Params, im.Results)))
	}
	if !m.NoMemory {
		exports = append(exports, cat(name("memory"), 2, 0))
	}
	for i, f := range m.Funcs {
		funcs = append(funcs, add(f.Params, f.Results))
		if f.Export != "" {
			exports = append(exports, cat(name(f.Export), 0, leb(uint64(len(m.Imports)+i))))
		}
		var locals [][]byte
		for _, l := range f.Locals {
			locals = append(locals, cat(1, l))
		}
		body := cat(vec(locals), f.Body, 0x0B)
		codes = append(codes, cat(leb(uint64(len(body))), body))
	}
	b := cat("\x00asm", 1, 0, 0, 0, section(1, vec(types)))
	if len(imports) > 0 {
		b = cat(b, section(2, vec(imports)))
	}
	b = cat(b, section(3, vec(funcs)))
	if m.Table > 0 {
		b = cat(b, section(4, cat(1, 0x70, 0, leb(uint64(m.Table)))))
	}
	if !m.NoMemory {
		if m.Max < 0 {
			b = cat(b, section(5, cat(1, 0, leb(uint64(m.Min)))))
		} else {
			b = cat(b, section(5, cat(1, 1, leb(uint64(m.Min)), leb(uint64(max(m.Max, m.Min))))))
		}
	}
	if len(m.Globals) > 0 {
		b = cat(b, section(6, vec(m.Globals)))
	}
	b = cat(b, section(7, vec(exports)))
	if m.Start > 0 {
		b = cat(b, section(8, leb(uint64(m.Start))))
	}
	if len(m.Elems) > 0 {
		e := cat(1, 0, 0x41, 0, 0x0B, leb(uint64(len(m.Elems))))
		for _, f := range m.Elems {
			e = cat(e, leb(uint64(f)))
		}
		b = cat(b, section(9, e))
	}
	var data [][]byte
	if len(m.Data) > 0 {
		data = append(data, cat(0, 0x41, sleb(int64(m.DataAt)), 0x0B, leb(uint64(len(m.Data))), m.Data))
	}
	if len(m.Passive) > 0 {
		data = append(data, cat(1, leb(uint64(len(m.Passive))), m.Passive))
		b = cat(b, section(12, leb(uint64(len(data)))))
	}
	b = cat(b, section(10, vec(codes)))
	if len(data) > 0 {
		b = cat(b, section(11, vec(data)))
	}
	return b
}

// i32c and i64c push constants; call calls.
func i32c(v int64) []byte { return cat(0x41, sleb(v)) }
func i64c(v int64) []byte { return cat(0x42, sleb(v)) }
func call(f int) []byte   { return cat(0x10, leb(uint64(f))) }
