package meter

import "github.com/assaynet/assay/runtime/wasmbin"

// turn is a loop that is open while its function is written.
type turn struct {
	depth int32 // of its end
	plain bool  // the way to the refill is behind its code
	ends  bool  // control gets from its end to what follows
}

// open writes the beginning of a construct without parameters.
func (e *emitter) open(op wasmbin.Op, results []wasmbin.ValType) {
	e.op(op)
	e.blockType(results)
	e.depth++
}

// loop writes the instruction of loop s. The way to the refill is behind the
// loop's code, where it is in nobody's way, and leads back to the loop: so is
// what lives across the refill not kept in memory by wazero's register
// allocator.
func (e *emitter) loop(s *step) {
	if s.plain && s.ends {
		e.op(wasmbin.OpBlock)
		e.out = append(e.out, e.m.Bytes[s.off+1:s.end]...)
		e.depth++
	}
	e.depth++
	e.at = append(e.at[:s.depth+1], e.depth)
	e.copy(s)
	if s.plain {
		e.open(wasmbin.OpBlock, nil)
	}
}

// turn charges for a turn of loop s, whose instruction is written already.
func (e *emitter) turn(s *step, r *region) {
	e.turns = append(e.turns, turn{depth: s.depth + 1, plain: s.plain, ends: s.plain && s.ends})
	if !s.plain {
		e.check(r.cost)
		return
	}
	e.short(r.cost)
	e.index(wasmbin.OpBrIf, 0)
	e.take()
}

// turned ends the innermost open loop, whose end is written already.
func (e *emitter) turned() {
	t := e.turns[len(e.turns)-1]
	e.turns = e.turns[:len(e.turns)-1]
	if t.plain {
		e.again()
	}
	if t.ends {
		e.op(wasmbin.OpEnd)
		e.depth--
	}
}

// again gets more gas, branches to the loop around it and ends that.
func (e *emitter) again() {
	e.index(wasmbin.OpCall, e.helper(refill))
	e.index(wasmbin.OpBr, 0)
	e.op(wasmbin.OpEnd)
	e.depth--
}

// short leaves on the stack whether the counter does not cover n. The scratch
// local holds what is left if it does.
func (e *emitter) short(n int64) {
	e.index(wasmbin.OpGlobalGet, e.gas)
	e.constant(wasmbin.OpI64Const, n)
	e.op(wasmbin.OpI64Sub)
	e.index(wasmbin.OpLocalTee, e.temp(wasmbin.I64))
	e.constant(wasmbin.OpI64Const, 0)
	e.op(wasmbin.OpI64LtS)
}

// take charges what short was asked about.
func (e *emitter) take() {
	e.index(wasmbin.OpLocalGet, e.temp(wasmbin.I64))
	e.index(wasmbin.OpGlobalSet, e.gas)
}

// charge takes n off the counter, whatever it is.
func (e *emitter) charge(n int64) {
	if n == 0 {
		return
	}
	e.index(wasmbin.OpGlobalGet, e.gas)
	e.constant(wasmbin.OpI64Const, n)
	e.op(wasmbin.OpI64Sub)
	e.index(wasmbin.OpGlobalSet, e.gas)
}

// check takes n off the counter by a helper, which stops if it does not cover
// it. It is for the few places where there is no way behind the code.
func (e *emitter) check(n int64) {
	e.constant(wasmbin.OpI64Const, n)
	e.index(wasmbin.OpCall, e.helper(checked))
}
