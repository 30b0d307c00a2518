package enginetest

import (
	"fmt"
	"strings"

	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/wasmbin"
)

// Shim is a module in the host's place: its functions put their operands into
// its memory, call the host with their number, and take their results from
// there. So no value passes through an engine's calling conventions for hosts,
// where V8 changes NaNs and refuses vectors.
type Shim struct {
	Module string `json:"module"`
	Wasm   []byte `json:"wasm"`
}

// Where shims and drivers keep values: operands from 0, results from here.
const resultsAt = 64 * 16

// Names that the helper modules use.
const (
	hostModule  = "assay:host" // function "call" (i32): import number; "ref" (i32) -> externref and "unref" back
	guestModule = "assay:guest"
	buffer      = "assay:buffer" // memory of shims, driver and globals module
)

func shims(m *wasmbin.Module) []Shim {
	var out []Shim
	seen := map[string]bool{}
	for _, im := range m.Imports {
		if seen[im.Module] {
			continue
		}
		seen[im.Module] = true
		b := &builder{types: []wasmbin.FuncType{{Params: []wasmbin.ValType{wasmbin.I32}}}}
		b.importFunc(hostModule, "call", 0)
		b.memory = true
		names := map[string]bool{}
		for k, f := range m.Imports {
			if f.Module != im.Module || names[f.Name] {
				continue
			}
			names[f.Name] = true
			t := m.Types[f.Func]
			var code []byte
			for i := range t.Params {
				code = append(code, b.store(t.Params[i], 16*i, local(i))...)
			}
			code = append(code, 0x41)
			code = wasmbin.AppendS64(code, int64(k))
			code = append(code, 0x10, 0)
			for i := range t.Results {
				code = append(code, b.load(t.Results[i], resultsAt+16*i)...)
			}
			b.function(f.Name, t, nil, code)
		}
		out = append(out, Shim{im.Module, b.bytes()})
	}
	return out
}

// globalsModule exports "g", which writes every mutable global of the guest
// into its memory, 16 bytes each.
func globalsModule(m *wasmbin.Module) ([]byte, int) {
	b := &builder{memory: true}
	var code []byte
	n := 0
	for i, g := range m.AllGlobals {
		if !g.Mutable {
			continue
		}
		b.importGlobal(guestModule, fmt.Sprint(meter.GlobalPrefix, i), g.Type)
		code = append(code, b.store(g.Type, 16*n, wasmbin.AppendU32([]byte{0x23}, uint32(n)))...)
		n++
	}
	if n == 0 {
		return nil, 0
	}
	b.function("g", wasmbin.FuncType{}, nil, code)
	return b.bytes(), n
}

// driver exports "c0", "c1", … for the exports of the guest: each takes its
// operands from memory and leaves its results there.
func driver(exports []Export, types map[string]wasmbin.FuncType) []byte {
	ref := wasmbin.FuncType{Params: []wasmbin.ValType{wasmbin.I32}, Results: []wasmbin.ValType{wasmbin.ExternRef}}
	unref := wasmbin.FuncType{Params: ref.Results, Results: ref.Params}
	b := &builder{memory: true}
	b.importFunc(hostModule, "ref", b.typ(ref))
	b.importFunc(hostModule, "unref", b.typ(unref))
	for _, e := range exports {
		b.importFunc(guestModule, e.Name, b.typ(types[e.Name]))
	}
	for k, e := range exports {
		t := types[e.Name]
		var code []byte
		for i, p := range t.Params {
			code = append(code, b.load(p, 16*i)...)
		}
		code = wasmbin.AppendU32(append(code, 0x10), uint32(2+k))
		for i := len(t.Results) - 1; i >= 0; i-- { // the last result is on top
			code = wasmbin.AppendU32(append(code, 0x21), uint32(i))
		}
		for i, r := range t.Results {
			code = append(code, b.store(r, resultsAt+16*i, local(i))...)
		}
		b.function(fmt.Sprint("c", k), wasmbin.FuncType{}, t.Results, code)
	}
	return b.bytes()
}

func local(i int) []byte { return wasmbin.AppendU32([]byte{0x20}, uint32(i)) }

// builder collects a small module.
type builder struct {
	types                       []wasmbin.FuncType
	imports, exports, code      []byte
	nImports, nFuncs, nImported int
	memory                      bool
	typeIdx                     []uint32
}

func (b *builder) typ(t wasmbin.FuncType) uint32 {
	for i := range b.types {
		if b.types[i].Equal(t) {
			return uint32(i)
		}
	}
	b.types = append(b.types, t)
	return uint32(len(b.types) - 1)
}

func (b *builder) importFunc(module, name string, typ uint32) {
	b.imports = append(wasmbin.AppendName(wasmbin.AppendName(b.imports, module), name), byte(wasmbin.KindFunc))
	b.imports = wasmbin.AppendU32(b.imports, typ)
	b.nImports++
	b.nImported++
}

func (b *builder) importGlobal(module, name string, t wasmbin.ValType) {
	b.imports = append(wasmbin.AppendName(wasmbin.AppendName(b.imports, module), name), byte(wasmbin.KindGlobal), byte(t), 1)
	b.nImports++
}

func (b *builder) function(name string, t wasmbin.FuncType, locals []wasmbin.ValType, code []byte) {
	b.typeIdx = append(b.typeIdx, b.typ(t))
	b.exports = append(wasmbin.AppendName(b.exports, name), byte(wasmbin.KindFunc))
	b.exports = wasmbin.AppendU32(b.exports, uint32(b.nImported+b.nFuncs))
	body := wasmbin.AppendU32(nil, uint32(len(locals)))
	for _, l := range locals {
		body = append(body, 1, byte(l))
	}
	body = append(append(body, code...), 0x0B)
	b.code = append(wasmbin.AppendU32(b.code, uint32(len(body))), body...)
	b.nFuncs++
}

// The instruction that stores or loads each type; references are a flag or
// go through the host.
var stores = map[wasmbin.ValType]string{
	wasmbin.I32: "\x36", wasmbin.I64: "\x37", wasmbin.F32: "\x38", wasmbin.F64: "\x39", wasmbin.V128: "\xFD\x0B",
}

var loads = map[wasmbin.ValType]string{
	wasmbin.I32: "\x28", wasmbin.I64: "\x29", wasmbin.F32: "\x2A", wasmbin.F64: "\x2B", wasmbin.V128: "\xFD\x00",
}

// store is code that stores the value that code leaves at the address.
func (b *builder) store(t wasmbin.ValType, at int, code []byte) []byte {
	out := append([]byte{0x41, 0}, code...)
	switch {
	case t == wasmbin.ExternRef && b.drives():
		out = append(out, 0x10, 1)
		t = wasmbin.I32
	case t.IsRef():
		out = append(out, 0xD1, 0x45) // ref.is_null, i32.eqz
		t = wasmbin.I32
	}
	return wasmbin.AppendU32(append(append(out, stores[t]...), 0), uint32(at))
}

func (b *builder) load(t wasmbin.ValType, at int) []byte {
	switch t {
	case wasmbin.FuncRef:
		return []byte{0xD0, 0x70}
	case wasmbin.ExternRef:
		if !b.drives() {
			return []byte{0xD0, 0x6F}
		}
		return append(b.load(wasmbin.I32, at), 0x10, 0)
	}
	return wasmbin.AppendU32(append(append([]byte{0x41, 0}, loads[t]...), 0), uint32(at))
}

// drives reports whether the module can ask the host about references.
func (b *builder) drives() bool { return strings.Contains(string(b.imports), "\x05unref") }

func (b *builder) bytes() []byte {
	w := &wasmbin.Writer{}
	w.Header()
	w.Types(b.types)
	w.Items(wasmbin.SecImport, wasmbin.Section{}, b.nImports, b.imports)
	w.Functions(b.typeIdx)
	if b.memory {
		w.Memories([]wasmbin.Range{{Min: 1, Max: 1, HasMax: true}})
		b.exports = append(wasmbin.AppendName(b.exports, buffer), byte(wasmbin.KindMemory), 0)
	}
	w.Items(wasmbin.SecExport, wasmbin.Section{}, b.nFuncs+1, b.exports)
	w.Items(wasmbin.SecCode, wasmbin.Section{}, b.nFuncs, b.code)
	return w.Bytes()
}
