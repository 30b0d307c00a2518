package meter

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/wasmbin"
)

// ErrSchedule says that a cost schedule cannot be used.
var ErrSchedule = errors.New("meter: unusable cost schedule")

// Result is a rewritten module and what its host must know about it.
type Result struct {
	Wasm           []byte // the rewritten binary
	HasMemory      bool
	MemoryMinPages uint32
	MemoryMaxPages uint32                      // declared or imposed
	Exports        map[string]wasmbin.FuncType // function exports of the original
	HasStart       bool                        // a start function is exported as abi.ExportStart
	Module         *wasmbin.Module             // the original, decoded and checked

	// InstanceGas is the price of making an instance: initial memory, data
	// and element segments. The start function is not in it.
	InstanceGas int64

	// MutatesTables and DropsSegments say that the module's code can change
	// state that a snapshot of memory and globals does not hold.
	MutatesTables bool
	DropsSegments bool

	// Refill is the index of the function that a guest calls for its next
	// slice of gas, and in no other case.
	Refill uint32

	// MutableGlobals are the indexes of the original's mutable globals.
	MutableGlobals []uint32
}

// Rewrite validates a module, checks that it is within the profile and
// injects metering. It is a pure function of its arguments, takes time linear
// in len(wasm) and never panics. Errors are *InvalidModuleError or
// *LimitError, or ErrSchedule.
//
// The rewritten module traps by `unreachable` after it has set the global
// abi.GlobalTrap. All injected globals start at zero, so that a host that
// forgets to set them sees every call stop.
func Rewrite(wasm []byte, cfg Config) (*Result, error) {
	costs := cfg.Costs
	if costs == nil {
		costs = DefaultSchedule()
	}
	if !costs.valid() {
		return nil, ErrSchedule
	}
	m, err := wasmbin.Decode(wasm, cfg.Limits.Limits)
	if err != nil {
		return nil, wrap(err)
	}
	if err := checkProfile(m, &cfg); err != nil {
		return nil, err
	}
	r := &rewriter{m: m, cfg: &cfg, costs: costs.Of(m, &cfg), types: append([]wasmbin.FuncType(nil), m.Types...)}
	return r.run()
}

type rewriter struct {
	m       *wasmbin.Module
	cfg     *Config
	costs   *Schedule
	types   []wasmbin.FuncType
	multi   map[string]uint32
	ids     ids
	bodies  []byte   // code section entries
	helpers []uint32 // types of the helper functions
	res     Result
}

func (r *rewriter) run() (*Result, error) {
	globals := uint32(len(r.m.AllGlobals))
	functions := uint32(len(r.m.FuncTypes))
	r.ids = ids{gas: globals, stack: globals + 1, status: globals + 2, reserve: globals + 3,
		helpers: functions, pause: uint32(len(r.m.AllTables))}
	e := &emitter{ids: r.ids, m: r.m, costs: r.costs, slice: r.cfg.slice(), results: r.resultType, temps: map[wasmbin.ValType]uint32{}, made: map[string]uint32{}, rare: map[int64]int{}}
	e.helper(refill)
	a := newAnalyzer(r.m, &r.cfg.Limits, r.costs)
	var sum totals
	for i := range r.m.Bodies {
		p, err := a.function(i)
		if err != nil {
			return nil, err
		}
		if err := sum.add(&p.shape, &r.cfg.Limits); err != nil {
			return nil, err
		}
		r.inspect(p)
		body := e.body(i, p)
		if r.bodies == nil { // not for what the first function refuses; most modules grow by less
			r.bodies = make([]byte, 0, len(r.m.Bytes)+len(r.m.Bytes)/4)
		}
		r.bodies = append(wasmbin.AppendU32(r.bodies, uint32(len(body))), body...)
	}
	for i := 0; i < len(e.order); i++ { // helpers may ask for others
		what := e.order[i]
		var body []byte
		t := wasmbin.FuncType{Params: []wasmbin.ValType{wasmbin.I64}}
		price, isPrice := strings.CutPrefix(what, priced)
		switch {
		case isPrice:
			n, _ := strconv.ParseInt(price, 10, 64)
			body, t.Params = e.taker(n), nil
		case what == refill:
			body, t.Params = e.refiller(), nil
		case what == checked:
			body = e.checker()
		case what == charge:
			body = e.charger()
			t = wasmbin.FuncType{Params: []wasmbin.ValType{wasmbin.I32, wasmbin.I64}, Results: []wasmbin.ValType{wasmbin.I32}}
		case what == fill:
			body = e.mover(wasmbin.OpMemoryFill)
			t = wasmbin.FuncType{Params: []wasmbin.ValType{wasmbin.I32, wasmbin.I32, wasmbin.I32}}
		case what == copies:
			body = e.mover(wasmbin.OpMemoryCopy)
			t = wasmbin.FuncType{Params: []wasmbin.ValType{wasmbin.I32, wasmbin.I32, wasmbin.I32}}
		}
		r.helpers = append(r.helpers, r.typeIndex(t))
		r.bodies = append(wasmbin.AppendU32(r.bodies, uint32(len(body))), body...)
	}
	r.describe()
	r.res.Wasm = r.assemble()
	return &r.res, nil
}

// inspect notes what a function's instructions mean for the result.
func (r *rewriter) inspect(p *plan) {
	for i := range p.steps {
		switch p.steps[i].op {
		case wasmbin.OpTableSet, wasmbin.OpTableGrow, wasmbin.OpTableFill, wasmbin.OpTableCopy, wasmbin.OpTableInit:
			r.res.MutatesTables = true
		case wasmbin.OpDataDrop, wasmbin.OpElemDrop:
			r.res.DropsSegments = true
		}
	}
}

func (r *rewriter) describe() {
	m, res := r.m, &r.res
	res.Refill = r.ids.helpers
	res.HasStart, res.Module = m.HasStart, m
	res.Exports = make(map[string]wasmbin.FuncType)
	for _, e := range m.Exports {
		if e.Kind == wasmbin.KindFunc {
			res.Exports[e.Name] = m.FuncType(e.Index)
		}
	}
	for i, g := range m.AllGlobals {
		if g.Mutable {
			res.MutableGlobals = append(res.MutableGlobals, uint32(i))
		}
	}
	for _, mem := range r.m.Memories {
		res.HasMemory = true
		res.MemoryMinPages = mem.Min
		res.MemoryMaxPages = r.cfg.memoryMax(mem)
		res.InstanceGas += Sixteenths(uint64(mem.Min), r.costs.InitialPage)
	}
	for _, t := range m.Tables {
		res.InstanceGas += Sixteenths(uint64(t.Range.Min), r.costs.ElementItem)
	}
	for i := range m.Elems {
		res.InstanceGas += Sixteenths(uint64(m.Elems[i].Len()), r.costs.ElementItem)
	}
	for i := range m.Datas {
		res.InstanceGas += Sixteenths(uint64(len(m.Datas[i].Init)), r.costs.DataByte)
	}
}

// typeIndex returns the index of t, which is appended if need be.
func (r *rewriter) typeIndex(t wasmbin.FuncType) uint32 {
	for i := range r.types {
		if r.types[i].Equal(t) {
			return uint32(i)
		}
	}
	r.types = append(r.types, t)
	return uint32(len(r.types) - 1)
}

// resultType returns the index of the type () -> results.
func (r *rewriter) resultType(results []wasmbin.ValType) uint32 {
	key := make([]byte, len(results))
	for i, t := range results {
		key[i] = byte(t)
	}
	if i, ok := r.multi[string(key)]; ok {
		return i
	}
	if r.multi == nil {
		r.multi = make(map[string]uint32)
	}
	i := r.typeIndex(wasmbin.FuncType{Results: results})
	r.multi[string(key)] = i
	return i
}

// assemble writes the sections: the original's, with what was added at the
// ends of the index spaces. Custom sections are dropped.
func (r *rewriter) assemble() []byte {
	raw := map[byte]wasmbin.Section{}
	for _, s := range r.m.Sections {
		raw[s.ID] = s
	}
	w := &wasmbin.Writer{}
	w.Grow(len(r.bodies) + len(r.m.Bytes))
	w.Header()
	w.Types(r.types)
	w.Raw(raw[wasmbin.SecImport])
	w.Functions(append(slices.Clone(r.m.Funcs), r.helpers...))
	w.Tables(r.tables())
	w.Memories(r.memories())
	w.Items(wasmbin.SecGlobal, raw[wasmbin.SecGlobal], 4, r.globals())
	n, exports := r.exports()
	w.Items(wasmbin.SecExport, raw[wasmbin.SecExport], n, exports)
	w.Raw(raw[wasmbin.SecElement])
	w.Raw(raw[wasmbin.SecDataCount])
	w.Items(wasmbin.SecCode, wasmbin.Section{}, len(r.m.Bodies)+len(r.helpers), r.bodies)
	w.Raw(raw[wasmbin.SecData])
	return w.Bytes()
}

func (r *rewriter) tables() []wasmbin.TableType {
	ts := append([]wasmbin.TableType(nil), r.m.Tables...)
	for i := range ts {
		if max := r.cfg.Limits.TableSize / uint32(len(ts)); !ts[i].Range.HasMax || ts[i].Range.Max > max {
			ts[i].Range.HasMax, ts[i].Range.Max = true, max
		}
		ts[i].Range.Max = max(ts[i].Range.Max, ts[i].Range.Min)
	}
	// Growing a table by nothing leaves compiled code and does nothing else.
	return append(ts, wasmbin.TableType{Elem: wasmbin.FuncRef, Range: wasmbin.Range{HasMax: true}})
}

func (r *rewriter) memories() []wasmbin.Range {
	ms := append([]wasmbin.Range(nil), r.m.Memories...)
	for i := range ms {
		ms[i].HasMax, ms[i].Max = true, r.cfg.memoryMax(ms[i])
	}
	return ms
}

// globals returns the entries of the gas, stack, status and reserve globals.
func (r *rewriter) globals() []byte {
	var b []byte
	for _, g := range []struct {
		t  wasmbin.ValType
		op wasmbin.Op
	}{{wasmbin.I64, wasmbin.OpI64Const}, {wasmbin.I32, wasmbin.OpI32Const}, {wasmbin.I32, wasmbin.OpI32Const}, {wasmbin.I64, wasmbin.OpI64Const}} {
		b = append(b, byte(g.t), 1, byte(g.op), 0, byte(wasmbin.OpEnd))
	}
	return b
}

func (r *rewriter) exports() (int, []byte) {
	var b []byte
	n := 0
	add := func(name string, kind wasmbin.Kind, index uint32) {
		b = append(wasmbin.AppendName(b, name), byte(kind))
		b = wasmbin.AppendU32(b, index)
		n++
	}
	add(abi.GlobalGas, wasmbin.KindGlobal, r.ids.gas)
	add(abi.GlobalStack, wasmbin.KindGlobal, r.ids.stack)
	add(abi.GlobalTrap, wasmbin.KindGlobal, r.ids.status)
	add(abi.GlobalReserve, wasmbin.KindGlobal, r.ids.reserve)
	if r.m.HasStart {
		add(abi.ExportStart, wasmbin.KindFunc, r.m.Start)
	}
	if r.cfg.ExportGlobals {
		for _, g := range r.res.MutableGlobals {
			add(GlobalPrefix+strconv.FormatUint(uint64(g), 10), wasmbin.KindGlobal, g)
		}
	}
	return n, b
}
