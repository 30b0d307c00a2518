package meter

import "github.com/assaynet/assay/runtime/wasmbin"

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
	depth   uint32   // constructs that are open in what is written
	at      []uint32 // where the constructs of the original are among them
	temps   map[wasmbin.ValType]uint32
	turns   []turn // loops that are open

	rare  map[int64]int     // regions of small.go by price
	made  map[string]uint32 // helper functions by what they do
	order []string          // the same, by index
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

	e.depth, e.at, e.turns = 0, append(e.at[:0], 0), e.turns[:0]
	checked := p.regions[0].check
	if !p.counted && !p.leave && !checked {
		e.charge(p.regions[0].cost)
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
	if checked {
		e.short(p.regions[0].cost)
		e.index(wasmbin.OpBrIf, 0)
		e.take()
	} else {
		e.charge(p.regions[0].cost)
	}
	e.open(wasmbin.OpBlock, t.Results)
	e.at[0] = e.depth
	e.instructions(p, true)
	// The function's own end closed the inner block: all ways out of the
	// function but traps lead here.
	if p.leave {
		e.look()
	}
	if p.counted {
		stack(wasmbin.OpI32Add)
		e.index(wasmbin.OpGlobalSet, e.stack)
	}
	e.op(wasmbin.OpReturn)
	e.op(wasmbin.OpEnd)
	if checked {
		e.again()
	} else {
		e.index(wasmbin.OpCall, e.helper(refill))
		e.op(wasmbin.OpUnreachable)
	}
	e.op(wasmbin.OpEnd)
	return e.finish(b)
}

// look stops here if the counter is below zero and no more gas is left.
func (e *emitter) look() {
	e.index(wasmbin.OpGlobalGet, e.gas)
	e.constant(wasmbin.OpI64Const, 0)
	e.op(wasmbin.OpI64LtS)
	e.index(wasmbin.OpIf, 0x40)
	e.index(wasmbin.OpCall, e.helper(refill))
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

// instructions writes the function's code up to and with its end.
func (e *emitter) instructions(p *plan, wrapped bool) {
	regions := p.regions[1:]
	for n := 0; n < len(p.steps); n++ {
		if skip := e.shorter(p.steps[n:]); skip > 0 {
			n += skip - 1
			continue
		}
		s := &p.steps[n]
		e.step(s, wrapped)
		var due *region
		if len(regions) > 0 && regions[0].after == int32(n) {
			due, regions = &regions[0], regions[1:]
		}
		switch {
		case s.op == wasmbin.OpLoop:
			e.turn(s, due)
			continue
		case s.op == wasmbin.OpEnd && len(e.turns) > 0 && e.turns[len(e.turns)-1].depth == s.depth:
			e.turned()
		}
		if s.canon != shapeNone {
			e.canonical(s.canon)
		}
		if s.check {
			e.look()
		}
		if due != nil {
			switch {
			case due.check:
				e.check(due.cost)
			case !e.rarely(due):
				e.charge(due.cost)
			}
		}
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
		e.loop(s)
		return
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
