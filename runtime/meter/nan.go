package meter

import (
	"encoding/binary"
	"math"

	"github.com/assaynet/assay/runtime/wasmbin"
)

// Only the bits of a NaN differ between machines, and most instructions do not
// look at them: adding, comparing or rounding a NaN gives the same whatever
// its bits. So a result is canonicalized only if something that can tell the
// difference consumes it: a store, a call, a branch, a reinterpretation, …
//
// Every value on the operand stack has exactly one consumer. Values that pass
// through a local have several: a local is either kept clean (what is put in
// is canonicalized) or left dirty (what is read is canonicalized where it is
// observed), whichever costs less by loop depth. Only a local that holds
// nothing but zero, results of arithmetic and values that are no NaN may be
// dirty: NaNs of other origin (constants, loads, arguments) keep their bits.

// shape of a float value: how it is canonicalized.
type floatShape uint8

const (
	shapeNone floatShape = iota
	shapeF32
	shapeF64
	shapeF32x4
	shapeF64x2
	shapeMixed // a v128 local with results of both lane shapes
)

func resultShape(op wasmbin.Op) floatShape {
	switch width, lanes := op.FloatShape(); {
	case lanes == 1 && width == 32:
		return shapeF32
	case lanes == 1:
		return shapeF64
	case lanes == 4:
		return shapeF32x4
	case lanes == 2:
		return shapeF64x2
	}
	return shapeNone
}

// blindTo returns the shape of operands whose NaN bits op does not look at,
// shapeNone if it may look at all. Scalar operands have only one shape.
func blindTo(op wasmbin.Op) floatShape {
	switch {
	case op == 0xFD5E, op == 0xFDFC, op == 0xFDFD, // demote, trunc_sat of f64x2
		op >= 0xFD47 && op <= 0xFD4C: // f64x2 comparisons
		return shapeF64x2
	case op == 0xFD5F, op == 0xFDF8, op == 0xFDF9, // promote, trunc_sat of f32x4
		op >= 0xFD41 && op <= 0xFD46: // f32x4 comparisons
		return shapeF32x4
	case op == 0xB6, op >= 0x61 && op <= 0x66, op == 0xAA, op == 0xAB, op == 0xB0, op == 0xB1,
		op >= 0xFC02 && op <= 0xFC03, op >= 0xFC06 && op <= 0xFC07:
		return shapeF64 // demote, comparisons, truncations
	case op == 0xBB, op >= 0x5B && op <= 0x60, op == 0xA8, op == 0xA9, op == 0xAE, op == 0xAF,
		op >= 0xFC00 && op <= 0xFC01, op >= 0xFC04 && op <= 0xFC05:
		return shapeF32
	}
	return resultShape(op)
}

// plain labels an operand that is no NaN.
const plain int32 = -2

const (
	useBlind    int32 = -1 // the consumer does not look at NaN bits
	useObserved int32 = -2 // it may
)

// value is a result that may be a NaN with arbitrary bits: of arithmetic, or
// read from a local.
type value struct {
	step   int32
	local  int32      // read from this local; none for arithmetic
	shape  floatShape // of arithmetic; for a read, what its consumer is blind to
	use    int32      // useBlind, useObserved, or the local it is put into
	next   int32      // next copy of the same local to another
	weight uint32     // how often it runs, roughly
}

// nanLocal is what flows through a local variable.
type nanLocal struct {
	typ      wasmbin.ValType
	shape    floatShape // of what is put in
	foreign  bool       // may hold a NaN that no arithmetic made
	dirty    bool       // may hold a NaN with arbitrary bits
	clean    bool       // what is put in is canonicalized
	puts     uint64     // weight of arithmetic put in
	observed uint64     // weight of observed reads
	copies   int32      // first value that copies it to another local
}

// nanFlow decides which instructions must have their result canonicalized.
type nanFlow struct {
	types  []wasmbin.ValType // of the locals
	params int
	values []value
	locals []nanLocal // set up with the first value
	work   []int32
}

func (f *nanFlow) begin(locals []wasmbin.ValType, params int) {
	f.values, f.locals, f.types, f.params = f.values[:0], f.locals[:0], locals, params
}

// prepare sets up the locals, which functions without floats never need.
func (f *nanFlow) prepare() {
	for i, t := range f.types {
		f.locals = append(f.locals, nanLocal{typ: t, foreign: i < f.params})
	}
}

// neverNaN reports whether the result of in is no NaN.
func (f *nanFlow) neverNaN(a *analyzer, in *wasmbin.Instr) bool {
	code := a.m.Bytes[in.Off:in.End]
	switch op := in.Op; {
	case op == wasmbin.OpF32Const:
		v := math.Float32frombits(binary.LittleEndian.Uint32(code[1:]))
		return v == v
	case op == wasmbin.OpF64Const:
		v := math.Float64frombits(binary.LittleEndian.Uint64(code[1:]))
		return v == v
	case op == wasmbin.OpV128Const:
		for _, b := range code[len(code)-16:] {
			if b&0x7F == 0x7F { // part of the exponent of a NaN, perhaps
				return false
			}
		}
		return true
	case op >= 0xB2 && op <= 0xB5, op >= 0xB7 && op <= 0xBA: // scalars from integers
		return true // lanes of one width may look like NaNs of the other
	}
	return false
}

// visit follows the operands of in, which is step n (none if it is an else or
// end that was not emitted yet).
func (f *nanFlow) visit(a *analyzer, in *wasmbin.Instr, n int32) {
	for _, o := range a.c.Popped() {
		if o.Node >= 0 {
			f.consume(&f.values[o.Node], in)
		} else if o.Node != plain && (in.Op == wasmbin.OpLocalSet || in.Op == wasmbin.OpLocalTee) {
			f.put(in.A)
		}
	}
	if f.neverNaN(a, in) {
		a.c.Label(plain)
		return
	}
	v := value{step: n, local: none, use: useBlind, weight: 1 << min(3*a.p.openLoops, 24)}
	switch in.Op {
	case wasmbin.OpLocalGet, wasmbin.OpLocalTee:
		switch f.types[in.A] {
		case wasmbin.F32, wasmbin.F64, wasmbin.V128:
			v.local = int32(in.A)
		default:
			return
		}
	default:
		if v.shape = resultShape(in.Op); v.shape == shapeNone {
			return
		}
	}
	if len(f.locals) == 0 {
		f.prepare()
	}
	f.values = append(f.values, v)
	a.c.Label(int32(len(f.values) - 1))
}

// put notes that a value of unknown origin is put into a local.
func (f *nanFlow) put(local uint32) {
	switch f.types[local] {
	case wasmbin.F32, wasmbin.F64, wasmbin.V128:
		if len(f.locals) == 0 {
			f.prepare()
		}
		f.locals[local].foreign = true
	}
}

// consume notes that in takes v as an operand.
func (f *nanFlow) consume(v *value, in *wasmbin.Instr) {
	v.use = useObserved
	switch in.Op {
	case wasmbin.OpDrop:
		v.use = useBlind
		if v.local != none {
			v.shape = f.scalar(v.local)
		}
		return
	case wasmbin.OpLocalSet, wasmbin.OpLocalTee:
		l := &f.locals[in.A]
		if v.local == none {
			v.use = int32(in.A)
			if l.shape != shapeNone && l.shape != v.shape {
				l.shape = shapeMixed
			} else {
				l.shape = v.shape
			}
		} else if l.typ != wasmbin.V128 {
			v.use = int32(in.A)
			l.shape = f.scalar(int32(in.A))
		} else {
			l.foreign = true
		}
		return
	}
	blind := blindTo(in.Op)
	if blind == shapeNone {
		return
	}
	if v.local != none {
		v.shape, v.use = blind, useBlind // solve compares it with the local's
	} else if v.shape == blind {
		v.use = useBlind
	}
}

// scalar returns the shape of a local's type; v128 has none of its own.
func (f *nanFlow) scalar(local int32) floatShape {
	switch f.locals[local].typ {
	case wasmbin.F32:
		return shapeF32
	case wasmbin.F64:
		return shapeF64
	}
	return shapeNone
}

// solve marks the steps to canonicalize.
func (f *nanFlow) solve(steps []step) {
	for i := range f.values {
		v := &f.values[i]
		if v.local != none && v.use == useBlind && v.shape != shapeNone && v.shape != f.locals[v.local].shape {
			v.use = useObserved
		}
		if v.use >= 0 && v.local == none {
			f.locals[v.use].puts += uint64(v.weight)
			f.locals[v.use].dirty = true
		}
		if v.use == useObserved && v.local != none {
			f.locals[v.local].observed += uint64(v.weight)
		}
	}
	f.link()
	f.spread(func(l *nanLocal) bool { return l.foreign }, func(l *nanLocal) bool {
		changed := !l.foreign
		l.foreign = true
		return changed
	})
	for i := range f.locals {
		l := &f.locals[i]
		l.clean = l.foreign || l.shape == shapeMixed || l.puts <= l.observed
	}
	f.spread(func(l *nanLocal) bool { return l.dirty && !l.clean }, func(l *nanLocal) bool {
		changed := !l.dirty && !l.clean
		l.dirty = l.dirty || !l.clean
		return changed
	})
	for i := range f.values {
		v := &f.values[i]
		observed := v.use == useObserved || v.use >= 0 && f.locals[v.use].clean
		if !observed {
			continue
		}
		if v.local == none {
			steps[v.step].canon = v.shape
		} else if l := &f.locals[v.local]; l.dirty && !l.clean {
			steps[v.step].canon = l.shape
		}
	}
}

// link chains the copies from each local to others.
func (f *nanFlow) link() {
	for i := range f.locals {
		f.locals[i].copies = none
	}
	for i := range f.values {
		if v := &f.values[i]; v.local != none && v.use >= 0 {
			v.next, f.locals[v.local].copies = f.locals[v.local].copies, int32(i)
		}
	}
}

// spread marks the locals that locals with a property are copied to, and so
// on: mark reports whether the property is new to one.
func (f *nanFlow) spread(has, mark func(*nanLocal) bool) {
	f.work = f.work[:0]
	for i := range f.locals {
		if has(&f.locals[i]) {
			f.work = append(f.work, int32(i))
		}
	}
	for len(f.work) > 0 {
		from := f.work[len(f.work)-1]
		f.work = f.work[:len(f.work)-1]
		for c := f.locals[from].copies; c != none; c = f.values[c].next {
			to := f.values[c].use
			if mark(&f.locals[to]) {
				f.work = append(f.work, to)
			}
		}
	}
}

// Canonical NaNs: positive, quiet, empty payload.
var (
	nan32 = []byte{0, 0, 0xC0, 0x7F}
	nan64 = []byte{0, 0, 0, 0, 0, 0, 0xF8, 0x7F}
)

// canonical replaces every NaN on top of the stack by the canonical one.
func (e *emitter) canonical(shape floatShape) {
	var (
		t                   wasmbin.ValType
		constOp, eq, choose wasmbin.Op
		nan                 []byte
		lanes               = 1
	)
	switch shape {
	case shapeF32:
		t, constOp, eq, choose, nan = wasmbin.F32, wasmbin.OpF32Const, wasmbin.OpF32Eq, wasmbin.OpSelect, nan32
	case shapeF64:
		t, constOp, eq, choose, nan = wasmbin.F64, wasmbin.OpF64Const, wasmbin.OpF64Eq, wasmbin.OpSelect, nan64
	case shapeF32x4:
		t, constOp, eq, choose, nan = wasmbin.V128, wasmbin.OpV128Const, wasmbin.OpF32x4Eq, wasmbin.OpV128Select, nan32
		lanes = 4
	default:
		t, constOp, eq, choose, nan = wasmbin.V128, wasmbin.OpV128Const, wasmbin.OpF64x2Eq, wasmbin.OpV128Select, nan64
		lanes = 2
	}
	tmp := e.temp(t)
	e.index(wasmbin.OpLocalTee, tmp)
	e.op(constOp)
	for range lanes {
		e.out = append(e.out, nan...)
	}
	e.index(wasmbin.OpLocalGet, tmp)
	e.index(wasmbin.OpLocalGet, tmp)
	e.op(eq)
	e.op(choose)
}
