package enginetest

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/wasmbin"
)

// Case is a module and calls to make on one instance of it, in order.
type Case struct {
	ID       string   `json:"id"`
	Wasm     []byte   `json:"wasm"`  // rewritten; exports its memory as ExportMemory
	Shims    []Shim   `json:"shims"` // one a module that Wasm imports from
	Imports  []Import `json:"imports"`
	Globals  []byte   `json:"globals"`  // module that dumps the mutable globals; nil: none
	NGlobals int      `json:"nglobals"` // how many
	Driver   []byte   `json:"driver"`   // module that calls the exports, for engines that would change values on the way
	Exports  []Export `json:"exports"`
	Memory   bool     `json:"memory"` // Wasm has one
	Data     []Write  `json:"data"`   // applied to memory after instantiation
	Calls    []Call   `json:"calls"`
	Slice    int64    `json:"slice"`  // gas at a time; 0: all at once
	Sparse   bool     `json:"sparse"` // hash memory after the last call only
	original []byte
}

// Import is the type of an imported function, in letters as in Export.
type Import struct {
	Params  string `json:"params"`
	Results string `json:"results"`
}

// ExportMemory is the name under which cases export their memory.
const ExportMemory = "assay:memory"

// Export is an exported function; Params and Results are letters of value
// types: i, l, f, d, v, and c, e for funcref and externref.
type Export struct {
	Name    string `json:"name"`
	Params  string `json:"params"`
	Results string `json:"results"`
}

// Write is bytes to put into memory.
type Write struct {
	At    uint32 `json:"at"`
	Bytes []byte `json:"bytes"`
}

// Call is one call of an export.
type Call struct {
	Export int    `json:"export"` // index in Case.Exports
	Args   string `json:"args"`   // hex, 16 bytes each, little-endian
	Gas    int64  `json:"gas,string"`
	Stack  int32  `json:"stack"`
}

// Outcome is what a call did. Equal outcomes are equal structs.
type Outcome struct {
	Trap    int    `json:"trap"` // an abi.Trap, or one of the codes below
	Results string `json:"results"`
	Gas     int64  `json:"gas,string"` // left, with the reserve
	Stack   int32  `json:"stack"`      // left
	Status  int    `json:"status"`
	Pages   int    `json:"pages"`
	Hash    string `json:"hash"` // of memory
	Globals string `json:"globals"`
	Events  uint32 `json:"events"` // host calls so far
	Digest  uint32 `json:"digest"` // of them
}

// Codes that are no abi.Trap.
const (
	TrapInstantiate = 100 // a segment does not fit
	TrapEngineStack = 101 // the engine's own limit on calls: must never come first
	TrapUnknown     = 102 // the engine said something else
)

// Reply is an engine's answer to a case.
type Reply struct {
	ID       string    `json:"id"`
	Outcomes []Outcome `json:"outcomes"`
	Err      string    `json:"err"` // the engine failed, not the guest
}

// Profile is what cases are rewritten with: memory is kept small, so that no
// engine fails for want of it, and so are the slices of gas, so that guests
// get many.
func Profile() meter.Config {
	return meter.Config{
		Limits: meter.DefaultLimits(), ExportGlobals: true, MemoryPages: 32, SliceGas: 1000,
		Import: func(module, _ string, _ wasmbin.FuncType) error { return nil },
	}
}

// wide bounds the codec by nothing that a case reaches.
var wide = wasmbin.Limits{
	ModuleBytes: 1 << 30, Types: 1 << 20, Params: 1 << 10, Results: 1 << 10, Imports: 1 << 20,
	Functions: 1 << 20, Tables: 1 << 20, TableElements: 1<<32 - 1, Memories: 1 << 10, MemoryPages: 65536,
	Globals: 1 << 20, Exports: 1 << 20, NameBytes: 1 << 20, Elements: 1 << 20, ElementItems: 1 << 26,
	DataSegments: 1 << 20, BodyBytes: 1 << 26, Locals: 1 << 20, CustomBytes: 1 << 30,
}

// New makes a case of a module without calls. The errors are the rewriter's:
// the profile refuses the module.
func New(id string, wasm []byte, cfg meter.Config) (*Case, error) {
	res, err := meter.Rewrite(wasm, cfg)
	if err != nil {
		return nil, err
	}
	m, err := wasmbin.Decode(wasm, wide)
	if err != nil {
		return nil, err
	}
	c, err := Prepared(id, wasm, res.Wasm, m)
	if err == nil {
		c.Slice = cfg.SliceGas
	}
	return c, err
}

// Prepared makes a case of a module that is rewritten already; m is the
// original, decoded.
func Prepared(id string, original, rewritten []byte, m *wasmbin.Module) (*Case, error) {
	out, err := wasmbin.Decode(rewritten, wide)
	if err == nil {
		err = out.Check(1 << 20)
	}
	if err != nil {
		return nil, fmt.Errorf("case %s: the rewritten module is invalid: %w", id, err)
	}
	c := &Case{ID: id, Memory: len(m.AllMemories) > 0, original: original}
	c.takeData(m)
	c.Wasm = c.assemble(out)
	for _, im := range m.Imports {
		t := m.Types[im.Func]
		c.Imports = append(c.Imports, Import{letters(t.Params), letters(t.Results)})
	}
	types := map[string]wasmbin.FuncType{}
	for _, e := range m.Exports {
		if e.Kind == wasmbin.KindFunc {
			types[e.Name] = m.FuncType(e.Index)
		}
	}
	if m.HasStart {
		types[abi.ExportStart] = wasmbin.FuncType{}
	}
	for name, t := range types {
		c.Exports = append(c.Exports, Export{name, letters(t.Params), letters(t.Results)})
	}
	sort.Slice(c.Exports, func(i, j int) bool { return c.Exports[i].Name < c.Exports[j].Name })
	c.Shims = shims(m)
	c.Globals, c.NGlobals = globalsModule(m)
	c.Driver = driver(c.Exports, types)
	return c, nil
}

// Original returns the bytes that the case was made of.
func (c *Case) Original() []byte { return c.original }

// Find returns the index of an export, -1 if there is none.
func (c *Case) Find(name string) int {
	return slices.IndexFunc(c.Exports, func(e Export) bool { return e.Name == name })
}

// Add appends a call. Args are raw words, two for a v128.
func (c *Case) Add(export string, gas int64, stack int32, args ...uint64) {
	i := c.Find(export)
	c.Calls = append(c.Calls, Call{Export: i, Args: Encode(c.Exports[i].Params, args), Gas: gas, Stack: stack})
}

var letterOf = map[wasmbin.ValType]byte{
	wasmbin.I32: 'i', wasmbin.I64: 'l', wasmbin.F32: 'f', wasmbin.F64: 'd', wasmbin.V128: 'v',
	wasmbin.FuncRef: 'c', wasmbin.ExternRef: 'e',
}

func letters(ts []wasmbin.ValType) string {
	var s strings.Builder
	for _, t := range ts {
		s.WriteByte(letterOf[t])
	}
	return s.String()
}

// Encode writes raw words as the hex form of values: 16 bytes each.
func Encode(types string, words []uint64) string {
	b := make([]byte, 0, 16*len(types))
	for _, t := range types {
		lo, hi := words[0], uint64(0)
		words = words[1:]
		switch t {
		case 'i', 'f':
			lo = uint64(uint32(lo))
		case 'v':
			hi, words = words[0], words[1:]
		case 'c':
			lo = min(lo, 1)
		}
		b = append16(b, lo, hi)
	}
	return hex.EncodeToString(b)
}

func append16(b []byte, lo, hi uint64) []byte {
	for _, w := range []uint64{lo, hi} {
		for range 8 {
			b, w = append(b, byte(w)), w>>8
		}
	}
	return b
}

// decode is the inverse of Encode.
func decode(types, s string) ([]uint64, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 16*len(types) {
		return nil, fmt.Errorf("values %q of types %q: %v", s, types, err)
	}
	var words []uint64
	for i, t := range types {
		words = append(words, word(b[16*i:]))
		if t == 'v' {
			words = append(words, word(b[16*i+8:]))
		}
	}
	return words, nil
}

func word(b []byte) (v uint64) {
	for i := range 8 {
		v |= uint64(b[i]) << (8 * i)
	}
	return v
}

// takeData moves the active data segments of m into Data, as the sandbox does.
// It is more than a convenience there: wazero 1.12 does not drop active
// segments (internal/wasm/store.go, applyData), so memory.init could still
// read them.
func (c *Case) takeData(m *wasmbin.Module) {
	for i := range m.Datas {
		if d := &m.Datas[i]; d.Mode == wasmbin.Active && len(d.Init) > 0 {
			c.Data = append(c.Data, Write{At: constant(d.At.Bytes), Bytes: d.Init})
		}
	}
}

// constant evaluates an i32.const.
func constant(expr []byte) uint32 {
	var v int64
	shift := 0
	for _, b := range expr[1 : len(expr)-1] {
		v |= int64(b&0x7F) << shift
		if shift += 7; b < 0x80 && b&0x40 != 0 {
			v |= -1 << shift
		}
	}
	return uint32(v)
}

// assemble returns the rewritten module with memory 0 exported and its active
// data segments replaced by empty passive ones.
func (c *Case) assemble(m *wasmbin.Module) []byte {
	w := &wasmbin.Writer{}
	w.Header()
	for _, s := range m.Sections {
		switch {
		case s.ID == wasmbin.SecExport && c.Memory:
			w.Items(wasmbin.SecExport, s, 1, append(wasmbin.AppendName(nil, ExportMemory), byte(wasmbin.KindMemory), 0))
		case s.ID == wasmbin.SecData && !m.HasCount: // no code can name a segment
		case s.ID == wasmbin.SecData:
			var b []byte
			for i := range m.Datas {
				init := m.Datas[i].Init
				if m.Datas[i].Mode == wasmbin.Active {
					init = nil
				}
				b = append(wasmbin.AppendU32(append(b, 1), uint32(len(init))), init...)
			}
			w.Items(wasmbin.SecData, wasmbin.Section{}, len(m.Datas), b)
		default:
			w.Raw(s)
		}
	}
	return w.Bytes()
}

// String is for failures.
func (o Outcome) String() string {
	b, _ := json.Marshal(o)
	return string(b)
}
