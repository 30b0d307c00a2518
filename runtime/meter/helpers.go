package meter

import (
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/wasmbin"
)

// helper returns the index of the helper function that does what.
func (e *emitter) helper(what string) uint32 {
	i, ok := e.made[what]
	if !ok {
		i = e.helpers + uint32(len(e.order))
		e.made[what] = i
		e.order = append(e.order, what)
	}
	return i
}

const (
	refill = "refill"
	priced = "-" // and a decimal: takes so much off the counter
	charge = "charge"

	checked = "checked" // takes its operand off the counter, after a check
	fill    = "fill"
	copies  = "copy"
)

// refiller returns the body of refill(): called when the counter does not
// cover what comes next, or is below zero, it stops the guest if that is what
// the counters mean together. A function that finds its stack units gone stops
// before it charges gas, so the stack's status goes first. Else it adds a slice
// to the counter, and leaves compiled code for a moment, so that the host can
// run. The counter is not below zero then, but may still not cover what comes
// next: who asked looks again.
func (e *emitter) refiller() []byte {
	e.out, e.locals = e.out[:0], e.locals[:0]
	const overdrawn, more = 0, 1
	e.locals = append(e.locals, wasmbin.LocalGroup{Count: 2, Type: wasmbin.I64})
	local := func(op wasmbin.Op, l uint32) { e.index(op, l) }
	stop := func(status abi.Trap) {
		e.constant(wasmbin.OpI32Const, int64(status))
		e.index(wasmbin.OpGlobalSet, e.status)
		e.op(wasmbin.OpUnreachable)
		e.op(wasmbin.OpEnd)
	}
	e.index(wasmbin.OpGlobalGet, e.stack)
	e.constant(wasmbin.OpI32Const, 0)
	e.op(wasmbin.OpI32LtS)
	e.index(wasmbin.OpIf, 0x40)
	stop(abi.TrapStackOverflow)

	// overdrawn = min(gas, 0); stop if there is no reserve, or less than that
	e.index(wasmbin.OpGlobalGet, e.gas)
	e.index(wasmbin.OpGlobalGet, e.gas)
	e.constant(wasmbin.OpI64Const, 63)
	e.op(wasmbin.OpI64ShrS)
	e.op(wasmbin.OpI64And)
	local(wasmbin.OpLocalTee, overdrawn)
	e.index(wasmbin.OpGlobalGet, e.reserve)
	e.op(wasmbin.OpI64Add)
	e.constant(wasmbin.OpI64Const, 0)
	e.op(wasmbin.OpI64LtS)
	e.index(wasmbin.OpGlobalGet, e.reserve)
	e.op(wasmbin.OpI64Eqz)
	e.op(wasmbin.OpI32Or)
	e.index(wasmbin.OpIf, 0x40)
	local(wasmbin.OpLocalGet, overdrawn) // gas = overdrawn - 1, so that it shows
	e.constant(wasmbin.OpI64Const, 1)
	e.op(wasmbin.OpI64Sub)
	e.index(wasmbin.OpGlobalSet, e.gas)
	stop(abi.TrapOutOfGas)

	// more = min(reserve, slice - overdrawn)
	e.index(wasmbin.OpGlobalGet, e.reserve)
	e.constant(wasmbin.OpI64Const, e.slice)
	local(wasmbin.OpLocalGet, overdrawn)
	e.op(wasmbin.OpI64Sub)
	local(wasmbin.OpLocalTee, more)
	e.index(wasmbin.OpGlobalGet, e.reserve)
	local(wasmbin.OpLocalGet, more)
	e.op(wasmbin.OpI64LtS)
	e.op(wasmbin.OpSelect)
	local(wasmbin.OpLocalTee, more)
	e.index(wasmbin.OpGlobalGet, e.gas)
	e.op(wasmbin.OpI64Add)
	e.index(wasmbin.OpGlobalSet, e.gas)
	e.index(wasmbin.OpGlobalGet, e.reserve)
	local(wasmbin.OpLocalGet, more)
	e.op(wasmbin.OpI64Sub)
	e.index(wasmbin.OpGlobalSet, e.reserve)

	e.leaveCode()
	e.op(wasmbin.OpEnd)
	return e.finish(wasmbin.Body{})
}

// taker returns the body of a helper that takes n off the counter and does not
// look at it.
func (e *emitter) taker(n int64) []byte {
	e.out, e.locals = e.out[:0], e.locals[:0]
	e.charge(n)
	e.op(wasmbin.OpEnd)
	return e.finish(wasmbin.Body{})
}

// checker returns the body of checked(n): it takes n off the counter, or stops
// where that does not cover n.
func (e *emitter) checker() []byte {
	e.out, e.locals = e.out[:0], e.locals[:0]
	const n = 0
	e.index(wasmbin.OpLoop, 0x40)
	e.index(wasmbin.OpGlobalGet, e.gas)
	e.index(wasmbin.OpLocalGet, n)
	e.op(wasmbin.OpI64LtS)
	e.index(wasmbin.OpIf, 0x40)
	e.index(wasmbin.OpCall, e.helper(refill))
	e.index(wasmbin.OpBr, 1)
	e.op(wasmbin.OpEnd)
	e.op(wasmbin.OpEnd)
	e.index(wasmbin.OpGlobalGet, e.gas)
	e.index(wasmbin.OpLocalGet, n)
	e.op(wasmbin.OpI64Sub)
	e.index(wasmbin.OpGlobalSet, e.gas)
	e.op(wasmbin.OpEnd)
	return e.finish(wasmbin.Body{})
}

// charger returns the body of charge(n i32, rate i64) -> n: it takes
// ⌈n × rate / 16⌉ off the counter and stops below zero.
func (e *emitter) charger() []byte {
	e.out, e.locals = e.out[:0], e.locals[:0]
	e.next = 2
	clear(e.temps)
	e.items(func() { e.index(wasmbin.OpLocalGet, 0) }, func() { e.index(wasmbin.OpLocalGet, 1) })
	e.index(wasmbin.OpLocalGet, 0)
	e.op(wasmbin.OpEnd)
	return e.finish(wasmbin.Body{})
}

// items charges for n items at a rate, both of which are put on the stack by
// functions.
func (e *emitter) items(n, rate func()) {
	e.index(wasmbin.OpGlobalGet, e.gas)
	n()
	e.op(wasmbin.OpI64ExtendU)
	rate()
	e.op(wasmbin.OpI64Mul)
	e.constant(wasmbin.OpI64Const, 15)
	e.op(wasmbin.OpI64Add)
	e.constant(wasmbin.OpI64Const, 4)
	e.op(wasmbin.OpI64ShrU)
	e.op(wasmbin.OpI64Sub)
	e.index(wasmbin.OpGlobalSet, e.gas)
	e.look()
}

// leaveCode leaves compiled code for a moment: growing a table by nothing does
// that on wazero's compiler, and nothing else on any engine.
func (e *emitter) leaveCode() {
	e.index(wasmbin.OpRefNull, uint32(wasmbin.FuncRef))
	e.constant(wasmbin.OpI32Const, 0)
	e.index(wasmbin.OpTableGrow, e.pause)
	e.op(wasmbin.OpDrop)
}

// piece is how many bytes of memory are moved at a time: a slice of gas, and
// no more than what takes a millisecond where each page is touched first.
func (e *emitter) piece(rate uint32) int64 {
	return max(64, min(1<<22, e.slice*16/int64(rate)))
}

// mover returns the body of memory.fill(to, value, n) or memory.copy(to, from,
// n): it charges for n bytes, then moves them piece by piece. Out of bounds,
// the instruction is left to trap before anything is moved.
func (e *emitter) mover(op wasmbin.Op) []byte {
	e.out, e.locals = e.out[:0], e.locals[:0]
	const to, from, n = 0, 1, 2
	rate := e.costs.Operand(op)
	piece := e.piece(rate)
	get := func(l uint32) { e.index(wasmbin.OpLocalGet, l) }
	move := func() {
		e.op(op)
		e.out = append(e.out, 0)
		if op == wasmbin.OpMemoryCopy {
			e.out = append(e.out, 0)
		}
	}
	add := func(l uint32, v int64) {
		get(l)
		e.constant(wasmbin.OpI32Const, v)
		e.op(wasmbin.OpI32Add)
		e.index(wasmbin.OpLocalSet, l)
	}
	// n bytes from address l lie in memory
	within := func(l uint32) {
		get(l)
		e.op(wasmbin.OpI64ExtendU)
		get(n)
		e.op(wasmbin.OpI64ExtendU)
		e.op(wasmbin.OpI64Add)
		e.index(wasmbin.OpMemorySize, 0)
		e.op(wasmbin.OpI64ExtendU)
		e.constant(wasmbin.OpI64Const, 16)
		e.op(wasmbin.OpI64Shl)
		e.op(wasmbin.OpI64LeU)
	}
	large := func() {
		get(n)
		e.constant(wasmbin.OpI32Const, piece)
		e.op(wasmbin.OpI32GtU)
	}
	e.next = 3
	clear(e.temps)
	e.items(func() { get(n) }, func() { e.constant(wasmbin.OpI64Const, int64(rate)) })
	large()
	e.index(wasmbin.OpIf, 0x40)
	within(to)
	if op == wasmbin.OpMemoryCopy {
		within(from)
		e.op(wasmbin.OpI32And)
	}
	e.index(wasmbin.OpIf, 0x40)
	if op == wasmbin.OpMemoryCopy {
		// Upwards, as below, what is still to be read must not be below what
		// is written: else downwards, from the end.
		get(from)
		get(to)
		e.op(wasmbin.OpI32LtU)
		e.index(wasmbin.OpIf, 0x40)
		e.index(wasmbin.OpLoop, 0x40)
		add(n, -piece)
		for _, l := range []uint32{to, from} {
			get(l)
			get(n)
			e.op(wasmbin.OpI32Add)
		}
		e.constant(wasmbin.OpI32Const, piece)
		move()
		e.leaveCode()
		large()
		e.index(wasmbin.OpBrIf, 0)
		e.op(wasmbin.OpEnd)
		e.op(wasmbin.OpElse)
	}
	e.index(wasmbin.OpLoop, 0x40)
	get(to)
	get(from)
	e.constant(wasmbin.OpI32Const, piece)
	move()
	add(to, piece)
	if op == wasmbin.OpMemoryCopy {
		add(from, piece)
	}
	add(n, -piece)
	e.leaveCode()
	large()
	e.index(wasmbin.OpBrIf, 0)
	e.op(wasmbin.OpEnd)
	if op == wasmbin.OpMemoryCopy {
		e.op(wasmbin.OpEnd)
	}
	e.op(wasmbin.OpEnd)
	e.op(wasmbin.OpEnd)
	get(to)
	get(from)
	get(n)
	move()
	e.op(wasmbin.OpEnd)
	return e.finish(wasmbin.Body{})
}
