package meter

import (
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/wasmbin"
)

// UncheckedLeaf is the most gas that a function without loops and calls may
// cost for its entry check to be left out: its caller's next check catches
// the little that it overdraws.
const UncheckedLeaf = 1 << 14

// ids are the indexes of what the rewriter adds to a module.
type ids struct {
	gas, stack, status uint32 // globals
	stop, charge       uint32 // helper functions
}

// emitter writes rewritten function bodies.
type emitter struct {
	ids
	m       *wasmbin.Module
	costs   *Schedule
	results func([]wasmbin.ValType) uint32 // type index of () -> results
	out     []byte
	next    uint32 // first free local
	locals  []wasmbin.LocalGroup
	temps   map[wasmbin.ValType]uint32

	// mirror says that the i64 scratch local equals the gas counter: so it is
	// in functions and loops in which nothing else changes the counter.
	// Reading the local instead of the global takes the store and load of the
	// counter out of the chain of dependent instructions.
	mirror bool

	// fresh says that the local equals the counter here, though not for
	// longer: since a check, and up to the next charge, call or label.
	fresh bool
	arms  []bool // fresh at the ifs that are open
}

func (e *emitter) op(op wasmbin.Op) {
	if op > 0xFF {
		e.out = append(e.out, byte(op>>8))
		e.out = wasmbin.AppendU32(e.out, uint32(op&0xFF))
		return
	}
	e.out = append(e.out, byte(op))
}

func (e *emitter) index(op wasmbin.Op, i uint32) {
	e.op(op)
	e.out = wasmbin.AppendU32(e.out, i)
}

func (e *emitter) constant(op wasmbin.Op, v int64) {
	e.op(op)
	e.out = wasmbin.AppendS64(e.out, v)
}

// temp returns the scratch local of type t.
func (e *emitter) temp(t wasmbin.ValType) uint32 {
	if i, ok := e.temps[t]; ok {
		return i
	}
	i := e.next
	e.next++
	e.temps[t] = i
	e.locals = append(e.locals, wasmbin.LocalGroup{Count: 1, Type: t})
	return i
}

// body returns the code section entry, without its size, of function i
// rewritten by plan p. The result is valid until the next call.
func (e *emitter) body(i int, p *plan) []byte {
	t := e.m.Types[e.m.Funcs[i]]
	b := e.m.Bodies[i]
	e.out, e.locals = e.out[:0], e.locals[:0]
	e.next = uint32(len(t.Params) + b.Locals)
	clear(e.temps)

	counted := p.calls || p.frame > int64(e.costs.LeafSlots)
	wrapped := counted || p.turns || p.total > UncheckedLeaf
	if wrapped {
		e.index(wasmbin.OpBlock, 0x40)
		e.op(wasmbin.OpBlock)
		e.blockType(t.Results)
	}
	weight := int64(e.costs.FrameBase) + p.frame
	if counted {
		tmp := e.temp(wasmbin.I32)
		e.index(wasmbin.OpGlobalGet, e.stack)
		e.constant(wasmbin.OpI32Const, weight)
		e.op(wasmbin.OpI32Sub)
		e.index(wasmbin.OpLocalTee, tmp)
		e.index(wasmbin.OpGlobalSet, e.stack)
		e.index(wasmbin.OpLocalGet, tmp)
		e.constant(wasmbin.OpI32Const, 0)
		e.op(wasmbin.OpI32LtS)
		e.index(wasmbin.OpBrIf, 1)
	}
	e.instructions(p, wrapped)
	if !wrapped {
		return e.finish(b)
	}
	// The function's own end closed the inner block: all ways out of the
	// function but traps lead here.
	if counted {
		e.index(wasmbin.OpGlobalGet, e.stack)
		e.constant(wasmbin.OpI32Const, weight)
		e.op(wasmbin.OpI32Add)
		e.index(wasmbin.OpGlobalSet, e.stack)
	}
	e.op(wasmbin.OpReturn)
	e.op(wasmbin.OpEnd)
	e.index(wasmbin.OpCall, e.ids.stop)
	e.op(wasmbin.OpUnreachable)
	e.op(wasmbin.OpEnd)
	return e.finish(b)
}

// finish puts the local declarations before the instructions.
func (e *emitter) finish(b wasmbin.Body) []byte {
	head := wasmbin.AppendU32(nil, uint32(len(b.Groups)+len(e.locals)))
	for _, gs := range [][]wasmbin.LocalGroup{b.Groups, e.locals} {
		for _, g := range gs {
			head = append(wasmbin.AppendU32(head, g.Count), byte(g.Type))
		}
	}
	return append(head, e.out...)
}

func (e *emitter) blockType(results []wasmbin.ValType) {
	switch len(results) {
	case 0:
		e.out = append(e.out, 0x40)
	case 1:
		e.out = append(e.out, byte(results[0]))
	default:
		e.out = wasmbin.AppendS64(e.out, int64(e.results(results)))
	}
}

func (e *emitter) instructions(p *plan, wrapped bool) {
	e.mirror, e.fresh, e.arms = false, false, e.arms[:0]
	leaf := p.outside == 0
	regions := p.regions
	if regions[0].after == none {
		e.charge(&regions[0], 0, wrapped, leaf && len(regions) > 1)
		regions = regions[1:]
	}
	var mirrored int32 // depth of the loop that turned mirror on
	for n := range p.steps {
		s := &p.steps[n]
		switch {
		case s.op == wasmbin.OpReturn && wrapped:
			e.index(wasmbin.OpBr, uint32(s.depth))
		case e.costs.Operand(s.op) > 0:
			e.constant(wasmbin.OpI64Const, int64(e.costs.Operand(s.op)))
			e.index(wasmbin.OpCall, e.ids.charge)
			e.copy(s)
		case s.op == wasmbin.OpLoop && s.free && !e.mirror:
			e.index(wasmbin.OpGlobalGet, e.gas)
			e.index(wasmbin.OpLocalSet, e.temp(wasmbin.I64))
			e.mirror, mirrored = true, s.depth+1
			e.copy(s)
		default:
			e.copy(s)
		}
		e.follow(s)
		if s.op == wasmbin.OpEnd && s.depth == mirrored && !leaf {
			e.mirror = false
		}
		if s.canon != shapeNone {
			e.canonical(s.canon)
		}
		for len(regions) > 0 && regions[0].after == int32(n) {
			depth := s.depth
			switch s.op {
			case wasmbin.OpLoop, wasmbin.OpIf:
				depth++
			case wasmbin.OpEnd:
				depth--
			}
			e.charge(&regions[0], depth, wrapped, false)
			regions = regions[1:]
		}
	}
}

// follow keeps fresh over step s.
func (e *emitter) follow(s *step) {
	switch s.op {
	case wasmbin.OpIf:
		e.arms = append(e.arms, e.fresh)
	case wasmbin.OpBlock:
		e.arms = append(e.arms, false)
	case wasmbin.OpLoop:
		e.arms = append(e.arms, false)
		e.fresh = false // not so at the next turn
	case wasmbin.OpElse:
		e.fresh = e.arms[len(e.arms)-1]
	case wasmbin.OpEnd:
		if n := len(e.arms); n > 0 {
			e.arms = e.arms[:n-1]
		}
		e.fresh = false
	case wasmbin.OpCall, wasmbin.OpCallIndirect:
		e.fresh = false
	default:
		if e.costs.Operand(s.op) > 0 {
			e.fresh = false
		}
	}
}

func (e *emitter) copy(s *step) { e.out = append(e.out, e.m.Bytes[s.off:s.end]...) }

// charge subtracts a region's cost, and stops when it is to be checked and
// the counter went below zero. depth is the number of open blocks inside the
// function's own; mirror makes the scratch local follow the counter from here.
func (e *emitter) charge(r *region, depth int32, wrapped, mirror bool) {
	if r.cost == 0 && !r.check && !mirror {
		return
	}
	check := r.check && wrapped
	if e.mirror || e.fresh {
		e.index(wasmbin.OpLocalGet, e.temp(wasmbin.I64))
	} else {
		e.index(wasmbin.OpGlobalGet, e.gas)
	}
	e.constant(wasmbin.OpI64Const, r.cost)
	e.op(wasmbin.OpI64Sub)
	e.mirror = e.mirror || mirror
	if e.mirror || check {
		e.index(wasmbin.OpLocalTee, e.temp(wasmbin.I64))
	}
	e.index(wasmbin.OpGlobalSet, e.gas)
	if e.fresh = check; !check {
		return
	}
	e.index(wasmbin.OpLocalGet, e.temp(wasmbin.I64))
	e.constant(wasmbin.OpI64Const, 0)
	e.op(wasmbin.OpI64LtS)
	e.index(wasmbin.OpBrIf, uint32(depth)+1)
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

// stopper returns the body of stop(): it sets the status that the counters
// mean and traps. A function that finds its stack units gone stops before it
// charges gas, so the stack's status goes first.
func (e *emitter) stopper() []byte {
	e.out, e.locals = e.out[:0], e.locals[:0]
	e.constant(wasmbin.OpI32Const, int64(abi.TrapStackOverflow))
	e.constant(wasmbin.OpI32Const, int64(abi.TrapOutOfGas))
	e.index(wasmbin.OpGlobalGet, e.stack)
	e.constant(wasmbin.OpI32Const, 0)
	e.op(wasmbin.OpI32LtS)
	e.op(wasmbin.OpSelect)
	e.index(wasmbin.OpGlobalSet, e.status)
	e.op(wasmbin.OpUnreachable)
	e.op(wasmbin.OpEnd)
	return e.finish(wasmbin.Body{})
}

// helper returns the body of charge(n i32, rate i64) -> n: it takes
// ⌈n × rate / 16⌉ off the counter and stops below zero.
func (e *emitter) helper() []byte {
	e.out, e.locals = e.out[:0], e.locals[:0]
	e.next = 2
	clear(e.temps)
	tmp := e.temp(wasmbin.I64)
	e.index(wasmbin.OpGlobalGet, e.gas)
	e.index(wasmbin.OpLocalGet, 0)
	e.op(wasmbin.OpI64ExtendU)
	e.index(wasmbin.OpLocalGet, 1)
	e.op(wasmbin.OpI64Mul)
	e.constant(wasmbin.OpI64Const, 15)
	e.op(wasmbin.OpI64Add)
	e.constant(wasmbin.OpI64Const, 4)
	e.op(wasmbin.OpI64ShrU)
	e.op(wasmbin.OpI64Sub)
	e.index(wasmbin.OpLocalTee, tmp)
	e.index(wasmbin.OpGlobalSet, e.gas)
	e.index(wasmbin.OpLocalGet, tmp)
	e.constant(wasmbin.OpI64Const, 0)
	e.op(wasmbin.OpI64LtS)
	e.index(wasmbin.OpIf, 0x40)
	e.index(wasmbin.OpCall, e.ids.stop)
	e.op(wasmbin.OpEnd)
	e.index(wasmbin.OpLocalGet, 0)
	e.op(wasmbin.OpEnd)
	return e.finish(wasmbin.Body{})
}
