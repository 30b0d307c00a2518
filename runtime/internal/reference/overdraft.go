package reference

// tally finds, for each place in a function, the most that can have been
// charged there since a check; below zero if there is no way to the place. It
// marks where more checks are needed, by the rules under "Overdraft" of
// docs/spec/sandbox.md.
type tally struct {
	f     *function
	costs *Costs
	ends  []int64 // by depth: the most at a branch to the end of the construct there
}

// begins is what n is behind instruction at, where a region may begin.
func (t *tally) begins(at *instr, n int64) int64 {
	if n < 0 {
		return n
	}
	if n += at.charge; n > t.costs.Overdraft {
		at.check = true
	}
	if at.check {
		return 0
	}
	return n
}

func (t *tally) branch(depth int, label uint32, n int64) {
	to := depth - int(label)
	t.ends[to] = max(t.ends[to], n)
}

// sequence goes through the instructions from index i on, up to the else or
// end that closes the construct at the given depth, and returns its index and
// the most there.
func (t *tally) sequence(i int, n int64, depth int) (stop int, most int64) {
	for ; ; i++ {
		in := &t.f.code[i]
		switch in.op {
		case opElse, opEnd:
			return i, n
		case opBlock, opLoop, opIf:
			if !in.dead {
				n = t.construct(i, n, depth+1)
			}
			i = in.end
			continue
		}
		if in.dead {
			continue
		}
		switch in.op {
		case opBr:
			t.branch(depth, in.a, n)
			n = -1
		case opBrIf:
			t.branch(depth, in.a, n)
			n = t.begins(in, n)
		case opBrTable:
			for _, l := range in.labels {
				t.branch(depth, l, n)
			}
			n = -1
		case opReturn:
			t.branch(depth, uint32(depth), n)
			n = -1
		case opUnreachable:
			n = -1
		case opCall, opCallIndirect:
			n = t.call(in, n)
		default:
			if t.costs.Operand(in.op) > 0 && n > 0 {
				n = 0
			}
		}
	}
}

// call: a host function checks. Another function is a small leaf, or it checks
// and leaves half of what there may be.
func (t *tally) call(in *instr, n int64) int64 {
	switch {
	case n < 0:
		return n
	case in.op == opCall && int(in.a) < t.f.imports:
		return 0
	}
	if n = max(n+t.costs.UncheckedLeaf, t.costs.Overdraft/2); n > t.costs.Overdraft {
		in.check = true
		return 0
	}
	return n
}

// construct goes through a block, loop or if and returns the most behind it.
func (t *tally) construct(i int, n int64, depth int) int64 {
	in := &t.f.code[i]
	t.ends = append(t.ends[:depth], -1)
	inside := n
	if in.op != opBlock {
		inside = t.begins(in, n)
	}
	_, most := t.sequence(i+1, inside, depth)
	if in.op == opIf {
		other := n
		if in.alt != 0 {
			_, other = t.sequence(in.alt+1, t.begins(&t.f.code[in.alt], n), depth)
		}
		most = max(most, other)
	}
	if in.op != opLoop {
		most = max(most, t.ends[depth])
	}
	return t.begins(&t.f.code[in.end], most)
}
