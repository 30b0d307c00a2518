package meter

import (
	"cmp"
	"slices"

	"github.com/assaynet/assay/runtime/wasmbin"
)

// UncheckedLeaf is the most gas that a function without loops and calls may
// cost for its entry check to be left out: its caller's next check catches
// the little that it overdraws.
const UncheckedLeaf = 1 << 14

// ids are the indexes of what the rewriter adds to a module.
type ids struct {
	gas, stack, status, reserve uint32 // globals
	helpers                     uint32 // first helper function
	pause                       uint32 // table
}

// emitter writes rewritten function bodies.
type emitter struct {
	ids
	m       *wasmbin.Module
	costs   *Schedule
	slice   int64
	results func([]wasmbin.ValType) uint32 // type index of () -> results
	out     []byte
	next    uint32 // first free local
	locals  []wasmbin.LocalGroup
	depth   uint32            // constructs that are open in what is written
	types   []wasmbin.ValType // of the locals of the original
	at      []uint32          // where the constructs of the original are among them
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
	turns []turn // loops that are open

	rare  map[int64]int     // regions of small.go by price
	made  map[string]uint32 // helper functions by what they do
	order []string          // the same, by index
}

// turn is an open loop.
type turn struct {
	depth int32 // of its end
	cost  int64 // of its first region
	apart bool  // the way to the refill is behind its code
	ends  bool  // control gets from its end to what follows
	kept  []uint32
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

	e.types = append(e.types[:0], t.Params...)
	for _, g := range b.Groups {
		e.types = append(e.types, slices.Repeat([]wasmbin.ValType{g.Type}, int(g.Count))...)
	}
	e.depth, e.at = 0, append(e.at[:0], 0)
	checked := p.regions[0].check
	if !p.counted && !checked && !p.leave {
		e.entry(p)
		e.instructions(p, false)
		return e.finish(b)
	}
	weight := int64(e.costs.FrameBase) + p.frame
	stack := func(op wasmbin.Op) {
		e.index(wasmbin.OpGlobalGet, e.stack)
		e.constant(wasmbin.OpI32Const, weight)
		e.op(op)
	}
	if p.counted {
		stack(wasmbin.OpI32Sub)
		e.index(wasmbin.OpLocalTee, e.temp(wasmbin.I32))
		e.index(wasmbin.OpGlobalSet, e.stack)
	}
	// The way to the refill, or to the end if there are no stack units left,
	// is behind the function's code, where it is in nobody's way. It leads
	// back to the entry.
	if checked {
		e.open(wasmbin.OpLoop, t.Results)
	}
	e.open(wasmbin.OpBlock, nil)
	if p.counted {
		e.index(wasmbin.OpLocalGet, e.temp(wasmbin.I32))
		e.constant(wasmbin.OpI32Const, 0)
		e.op(wasmbin.OpI32LtS)
		e.index(wasmbin.OpBrIf, 0)
	}
	e.entry(p)
	if checked {
		e.index(wasmbin.OpBrIf, 0)
	}
	e.open(wasmbin.OpBlock, t.Results)
	e.at[0] = e.depth
	e.instructions(p, true)
	// The function's own end closed the inner block: all ways out of the
	// function but traps lead here.
	if p.leave {
		e.check()
	}
	if p.counted {
		stack(wasmbin.OpI32Add)
		e.index(wasmbin.OpGlobalSet, e.stack)
	}
	e.op(wasmbin.OpReturn)
	e.op(wasmbin.OpEnd)
	if checked {
		e.mirror = false // the entry reads the counter
		e.again(p.regions[0].cost, nil)
	} else {
		e.index(wasmbin.OpCall, e.helper(more))
		e.op(wasmbin.OpUnreachable)
	}
	e.op(wasmbin.OpEnd)
	return e.finish(b)
}

// open writes the beginning of a construct without parameters.
func (e *emitter) open(op wasmbin.Op, results []wasmbin.ValType) {
	e.op(op)
	e.blockType(results)
	e.depth++
}

// again gets more gas for a region that costs n and was charged already, and
// branches to the loop around it, in which it is charged once more.
func (e *emitter) again(n int64, kept []uint32) {
	e.save(kept, n)
	if e.mirror {
		e.reload()
	}
	e.index(wasmbin.OpBr, 0)
	e.op(wasmbin.OpEnd)
	e.depth--
}

// reload makes the scratch local equal to the counter.
func (e *emitter) reload() {
	e.index(wasmbin.OpGlobalGet, e.gas)
	e.index(wasmbin.OpLocalSet, e.temp(wasmbin.I64))
}

// check stops here if the counter is below zero and no more gas is left. The
// scratch local does not mirror the counter here.
func (e *emitter) check() {
	e.index(wasmbin.OpGlobalGet, e.gas)
	e.constant(wasmbin.OpI64Const, 0)
	e.op(wasmbin.OpI64LtS)
	e.index(wasmbin.OpIf, 0x40)
	e.index(wasmbin.OpCall, e.helper(more))
	e.op(wasmbin.OpEnd)
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

// entry charges what begins with the function.
func (e *emitter) entry(p *plan) {
	e.mirror, e.fresh = false, false
	e.charge(&p.regions[0], p.outside == 0 && len(p.regions) > 1)
}

// instructions writes the function's code up to and with its end.
func (e *emitter) instructions(p *plan, wrapped bool) {
	e.arms, e.turns = e.arms[:0], e.turns[:0]
	leaf := p.outside == 0
	regions := p.regions[1:]
	var mirrored int32 // depth of the loop that turned mirror on
	for n := 0; n < len(p.steps); n++ {
		if skip := e.shorter(p.steps[n:]); skip > 0 {
			n += skip - 1
			continue
		}
		s := &p.steps[n]
		e.step(s, wrapped)
		if s.op == wasmbin.OpLoop && s.free && !e.mirror {
			e.mirror, mirrored = true, s.depth+1
		}
		e.follow(s)
		var due *region
		if len(regions) > 0 && regions[0].after == int32(n) {
			due, regions = &regions[0], regions[1:]
		}
		switch {
		case s.op == wasmbin.OpLoop:
			var kept []uint32
			if !s.free {
				kept = slices.DeleteFunc(p.kept[s.kept[0]:s.kept[1]], func(l uint32) bool { return !p.crosses[l] })
			}
			e.turn(s, due, kept)
			continue
		case s.op == wasmbin.OpEnd && len(e.turns) > 0 && e.turns[len(e.turns)-1].depth == s.depth:
			t := e.turns[len(e.turns)-1]
			e.turns = e.turns[:len(e.turns)-1]
			if t.apart {
				e.again(t.cost, t.kept)
				if t.ends {
					e.op(wasmbin.OpEnd)
					e.depth--
				}
			}
			if s.depth == mirrored && !leaf {
				e.mirror = false
			}
		}
		if s.canon != shapeNone {
			e.canonical(s.canon)
		}
		if s.check {
			e.check()
		}
		if due != nil {
			if e.charge(due, false); due.check {
				e.more()
			}
		}
	}
}

// turn begins a loop, whose instruction is written already.
func (e *emitter) turn(s *step, r *region, kept []uint32) {
	e.charge(r, false)
	e.turns = append(e.turns, turn{depth: s.depth + 1, cost: r.cost, apart: s.plain, ends: s.plain && s.ends, kept: kept})
	if s.plain {
		e.index(wasmbin.OpBrIf, 0)
	} else {
		e.more()
	}
}

// more gets more gas if the condition on the stack holds.
func (e *emitter) more() {
	e.index(wasmbin.OpIf, 0x40)
	e.index(wasmbin.OpCall, e.helper(more))
	e.reload()
	e.op(wasmbin.OpEnd)
}

// maxKept is how many locals a loop hands to the refill and gets back.
const maxKept = 40

// maxHelpers is about how many lists of locals there are helpers for: stock Go
// has about a hundred.
const maxHelpers = 1000

// save gets more gas behind a loop. The locals that the loop assigns to go
// through the helper, so that for the engine they end here: what lives on
// behind a call would be kept in memory at each turn.
func (e *emitter) save(kept []uint32, n int64) {
	if len(kept) == 0 || len(kept) > maxKept || len(e.order) > maxHelpers {
		e.constant(wasmbin.OpI64Const, n)
		e.index(wasmbin.OpCall, e.helper(refill))
		return
	}
	slices.SortFunc(kept, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(e.types[a], e.types[b]), cmp.Compare(a, b))
	})
	name := make([]byte, len(kept))
	for i, l := range kept {
		name[i] = byte(e.types[l])
		e.index(wasmbin.OpLocalGet, l)
	}
	e.constant(wasmbin.OpI64Const, n)
	e.index(wasmbin.OpCall, e.helper(string(name)))
	for i := len(kept) - 1; i >= 0; i-- {
		e.index(wasmbin.OpLocalSet, kept[i])
	}
}

// step writes one instruction of the original.
func (e *emitter) step(s *step, wrapped bool) {
	label := func(l uint32) uint32 { return e.depth - e.at[uint32(s.depth)-l] }
	switch s.op {
	case wasmbin.OpReturn:
		if wrapped {
			e.index(wasmbin.OpBr, label(uint32(s.depth)))
			return
		}
	case wasmbin.OpBr, wasmbin.OpBrIf:
		e.index(s.op, label(s.label))
		return
	case wasmbin.OpBrTable:
		code := e.m.Bytes[s.off:s.end]
		n, _ := wasmbin.U32(code[1:])
		e.index(s.op, n)
		eachLabel(code, func(l uint32) { e.out = wasmbin.AppendU32(e.out, label(l)) })
		return
	case wasmbin.OpLoop:
		if s.free && !e.mirror {
			e.reload()
		}
		if s.plain {
			// The way to the refill is behind the loop's code, where it is in
			// nobody's way, and leads back to the loop.
			if s.ends {
				e.op(wasmbin.OpBlock)
				e.out = append(e.out, e.m.Bytes[s.off+1:s.end]...)
				e.depth++
			}
			e.depth++
			e.at = append(e.at[:s.depth+1], e.depth)
			e.copy(s)
			e.open(wasmbin.OpBlock, nil)
			return
		}
		fallthrough
	case wasmbin.OpBlock, wasmbin.OpIf:
		e.depth++
		e.at = append(e.at[:s.depth+1], e.depth)
	case wasmbin.OpEnd:
		if t := e.turns; len(t) > 0 && t[len(t)-1].depth == s.depth && t[len(t)-1].ends {
			e.index(wasmbin.OpBr, 2)
		}
		e.depth--
	default:
		rate := e.costs.Operand(s.op)
		if rate > 0 && s.op == wasmbin.OpMemoryFill {
			e.index(wasmbin.OpCall, e.helper(fill))
			return
		}
		if rate > 0 && s.op == wasmbin.OpMemoryCopy {
			e.index(wasmbin.OpCall, e.helper(copies))
			return
		}
		if rate > 0 {
			e.constant(wasmbin.OpI64Const, int64(rate))
			e.index(wasmbin.OpCall, e.helper(charge))
		}
	}
	e.copy(s)
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

// copy writes one instruction as it is, but for the second part of an opcode: wazero reads it as if
// it were always in as few bytes as can be, and another instruction where it is not.
func (e *emitter) copy(s *step) {
	code := e.m.Bytes[s.off:s.end]
	if s.op > 0xFF {
		e.out = wasmbin.AppendU32(append(e.out, code[0]), uint32(s.op&0xFF))
		_, n := wasmbin.U32(code[1:])
		code = code[1+n:]
	}
	e.out = append(e.out, code...)
}

// charge subtracts a region's cost. If it is to be checked, whether the
// counter went below zero is left on the stack. mirror makes the scratch local
// follow the counter from here.
func (e *emitter) charge(r *region, mirror bool) {
	if r.cost == 0 && !r.check && !mirror || e.rarely(r) {
		return
	}
	if e.mirror || e.fresh {
		e.index(wasmbin.OpLocalGet, e.temp(wasmbin.I64))
	} else {
		e.index(wasmbin.OpGlobalGet, e.gas)
	}
	e.constant(wasmbin.OpI64Const, r.cost)
	e.op(wasmbin.OpI64Sub)
	e.mirror = e.mirror || mirror
	if e.mirror || r.check {
		e.index(wasmbin.OpLocalTee, e.temp(wasmbin.I64))
	}
	e.index(wasmbin.OpGlobalSet, e.gas)
	if e.fresh = r.check; !r.check {
		return
	}
	e.index(wasmbin.OpLocalGet, e.temp(wasmbin.I64))
	e.constant(wasmbin.OpI64Const, 0)
	e.op(wasmbin.OpI64LtS)
}
