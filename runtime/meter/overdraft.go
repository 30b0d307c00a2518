package meter

import "github.com/assaynet/assay/runtime/wasmbin"

// Overdraft is how much gas may be charged in a call after the counter fell
// below zero before a check must stop the guest; an unchecked leaf that is
// running by then comes on top of it.
const Overdraft = 1 << 20

// overdraftLeft is the part of Overdraft that a function may leave to its
// caller: so much may have been charged since the last check when it returns.
const overdraftLeft = Overdraft / 2

// A bounder follows the most gas that can have been charged since the counter
// was last checked, over all paths through a function, and adds checks where
// it would exceed Overdraft. Functions on the way are accounted for by what
// they may leave: so the sum over all open functions is bounded, however many
// there are.
type bounder struct {
	a    *analyzer
	acc  int64 // since the last check, at most; below zero: not reached
	open []joint
}

// joint is an open construct.
type joint struct {
	op    wasmbin.Op
	start int64 // acc where an else begins
	end   int64 // most of the branches to its end; below zero: none
	arms  int   // of an if
}

const unreached int64 = -1

// bound adds the checks to the plan of the current function.
func (a *analyzer) bound() {
	b := &a.bounds
	*b = bounder{a: a, open: append(b.open[:0], joint{op: wasmbin.OpBlock, end: unreached})}
	regions := a.p.regions
	// What is charged at entry without a check is the caller's: see step.
	regions = regions[1:]
	for n := range a.p.steps {
		b.step(&a.p.steps[n])
		for ; len(regions) > 0 && regions[0].after == int32(n); regions = regions[1:] {
			b.add(regions[0].cost, &regions[0].check)
		}
	}
	a.p.leave = b.acc > overdraftLeft
}

// add counts n more units, and asks for a check if that makes too many.
func (b *bounder) add(n int64, check *bool) {
	if b.acc == unreached {
		return
	}
	b.acc += n
	if *check = *check || b.acc > Overdraft; *check {
		b.acc = 0
	}
}

func (b *bounder) step(s *step) {
	top := len(b.open) - 1
	switch s.op {
	case wasmbin.OpBlock, wasmbin.OpLoop, wasmbin.OpIf:
		b.open = append(b.open, joint{op: s.op, start: b.acc, end: unreached, arms: 1})
	case wasmbin.OpElse:
		b.meet(0)
		b.acc = b.open[top].start
		b.open[top].arms = 2
	case wasmbin.OpEnd:
		j := b.open[top]
		b.open = b.open[:top]
		b.acc = max(b.acc, j.end)
		if j.op == wasmbin.OpIf && j.arms == 1 {
			b.acc = max(b.acc, j.start)
		}
	case wasmbin.OpBr:
		b.meet(s.label)
		b.acc = unreached
	case wasmbin.OpBrIf:
		b.meet(s.label)
	case wasmbin.OpBrTable:
		b.a.labels(s, b.meet)
		b.acc = unreached
	case wasmbin.OpReturn:
		b.meet(uint32(top))
		b.acc = unreached
	case wasmbin.OpUnreachable:
		b.acc = unreached
	case wasmbin.OpCall, wasmbin.OpCallIndirect:
		if s.host { // checks before it acts
			b.acc = min(b.acc, 0)
			return
		}
		// Either a leaf that is not checked, or a function that is checked
		// when it is entered, or soon after, and leaves no more than it may.
		b.add(max(UncheckedLeaf, overdraftLeft-b.acc), &s.check)
	default:
		if b.a.costs.Operand(s.op) > 0 { // checked by the helper
			b.acc = min(b.acc, 0)
		}
	}
}

// meet notes that control may get from here to where label l leads. The
// header of a loop is checked in any case.
func (b *bounder) meet(l uint32) {
	j := &b.open[len(b.open)-1-int(l)]
	if j.op != wasmbin.OpLoop {
		j.end = max(j.end, b.acc)
	}
}

// labels calls f with each label of the br_table s.
func (a *analyzer) labels(s *step, f func(uint32)) {
	eachLabel(a.m.Bytes[s.off:s.end], f)
}

// eachLabel calls f with each label of an encoded br_table, the default last.
func eachLabel(code []byte, f func(uint32)) {
	code = code[1:]
	u32 := func() uint32 {
		v, n := wasmbin.U32(code)
		code = code[n:]
		return v
	}
	for n := u32() + 1; n > 0; n-- {
		f(u32())
	}
}
