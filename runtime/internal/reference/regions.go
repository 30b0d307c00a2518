package reference

// Costs is the price table, as data. Units are those of docs/spec/sandbox.md.
type Costs struct {
	Op      func(op uint16) int64  // fixed price of an instruction
	Operand func(op uint16) uint32 // sixteenths of a unit for each item of the topmost operand; 0: not priced so

	Function, PerSlots   int // entering a function; slots that cost one unit
	FrameBase, LeafSlots int64
	UncheckedLeaf        int64 // most that a function without calls and loops may cost to go unchecked
	Overdraft            int64 // most that may be charged since the last check before there must be one
}

// regions writes into the code what is charged where, by the rules under
// "Gas" of docs/spec/sandbox.md: each instruction is a member of a region, and
// the whole of a region is charged at the point where it begins.
func (f *function) regions(costs *Costs) {
	g := &grouping{f: f, targeted: []bool{false}, at: []*loop{nil}}
	for i := range f.code {
		in := &f.code[i]
		if in.op != opElse && in.op != opEnd {
			in.price = costs.Op(in.op)
		}
	}
	entry := g.begin(nil, true)
	entry.sum = f.local
	g.before = f.local
	g.sequence(0, entry, 0)
	total, calls, loops := int64(0), false, false
	for _, r := range g.all {
		total += r.sum
	}
	for i := range f.code {
		if in := &f.code[i]; !in.dead {
			calls = calls || in.op == opCall || in.op == opCallIndirect
			loops = loops || in.op == opLoop
		}
	}
	f.counted = calls || f.frame > costs.LeafSlots
	switch {
	case !f.counted && !loops:
		f.checked = total > costs.UncheckedLeaf
	default:
		f.checked = entry.sum > costs.UncheckedLeaf || !f.loopFirst()
	}
	f.frame += costs.FrameBase
	for _, r := range g.all {
		if r.at != nil {
			r.at.charge, r.at.check = r.sum, r.check
		}
	}
	t := &tally{f: f, costs: costs, ends: []int64{-1}}
	_, rest := t.sequence(0, 0, 0)
	f.leave = max(rest, t.ends[0]) > costs.Overdraft/2

	// What may run unchecked is known, so prices can go where they are paid.
	g.wayBack()
	f.entry = entry.sum
	for _, r := range g.all {
		if r.at != nil {
			r.at.charge = r.sum
		}
	}
}

// loopFirst says that a loop begins before anything else can branch or call.
func (f *function) loopFirst() bool {
	for i := range f.code {
		switch f.code[i].op {
		case opLoop:
			return true
		case opIf, opElse, opEnd, opBr, opBrIf, opBrTable, opReturn, opUnreachable, opCall, opCallIndirect:
			return false
		}
	}
	return false
}

// region is a set of instructions that is charged at one point: behind the
// instruction at, or at function entry if that is nil.
type region struct {
	at    *instr
	check bool
	sum   int64
}

type grouping struct {
	f        *function
	all      []*region
	targeted []bool // by depth: a branch goes to the end of the construct there

	loops  []*loop // all of them
	at     []*loop // by depth: the loop there, nil if it is another construct
	before int64   // price of the region up to here; below zero behind what can stop
	silent int64   // price of the instructions that end here and cannot stop
}

func (g *grouping) begin(at *instr, check bool) *region {
	r := &region{at: at, check: check}
	g.all = append(g.all, r)
	g.before, g.silent = 0, 0
	return r
}

// ending describes how a sequence of instructions ends.
type ending struct {
	stop     int     // index of the else or end that closes it
	last     *region // region there; nil if it is not reached from above
	farthest int     // least depth that a branch from inside goes to
}

// branch notes a branch from depth to a label and returns the depth it goes to.
func (g *grouping) branch(depth int, label uint32) int {
	to := depth - int(label)
	g.targeted[to] = true
	return to
}

// sequence places the instructions from index i on, up to the else or end that
// closes the construct at the given depth; cur is the region they start in.
func (g *grouping) sequence(i int, cur *region, depth int) ending {
	e := ending{farthest: depth}
	for ; ; i++ {
		in := &g.f.code[i]
		switch in.op {
		case opElse, opEnd:
			e.stop, e.last = i, cur
			return e
		case opBlock, opLoop, opIf:
			if !in.dead {
				var farthest int
				cur, farthest = g.construct(i, cur, depth+1)
				e.farthest = min(e.farthest, farthest)
			}
			i = in.end
			continue
		}
		if in.dead {
			continue
		}
		cur.sum += in.price
		g.count(in)
		switch in.op {
		case opBr:
			e.farthest = min(e.farthest, g.branch(depth, in.a))
			g.back(depth, in.a, cur)
			cur = nil
		case opBrIf:
			g.back(depth, in.a, nil)
			e.farthest = min(e.farthest, g.branch(depth, in.a))
			cur = g.begin(in, false)
		case opBrTable:
			for _, l := range in.labels {
				e.farthest = min(e.farthest, g.branch(depth, l))
				g.back(depth, l, nil)
			}
			cur = nil
		case opReturn:
			e.farthest = min(e.farthest, g.branch(depth, uint32(depth)))
			cur = nil
		case opUnreachable:
			cur = nil
		}
	}
}

// construct places a block, loop or if, whose inside is at depth, and returns
// the region of the code behind it.
func (g *grouping) construct(i int, cur *region, depth int) (behind *region, farthest int) {
	in := &g.f.code[i]
	g.targeted = append(g.targeted[:depth], false)
	g.at = append(g.at[:depth], nil)
	var ways []*region // by which the end is reached; nil for a way that is nobody's end
	inside := cur
	switch in.op {
	case opBlock:
		cur.sum += in.price
		g.before, g.silent = plus(g.before, in.price), 0
	case opLoop:
		l := &loop{around: cur, least: g.before}
		inside = g.begin(in, true)
		inside.sum += in.price
		l.own = inside
		g.at[depth] = l
		g.loops = append(g.loops, l)
	case opIf:
		cur.sum += in.price
		inside = g.begin(in, false)
	}
	e := g.sequence(i+1, inside, depth)
	farthest = e.farthest
	if e.last != nil {
		ways = append(ways, e.last)
	}
	if in.op == opIf {
		if in.alt == 0 {
			ways = append(ways, nil)
		} else {
			e = g.sequence(in.alt+1, g.begin(&g.f.code[in.alt], false), depth)
			farthest = min(farthest, e.farthest)
			if e.last != nil {
				ways = append(ways, e.last)
			}
		}
	}
	if in.op != opLoop && g.targeted[depth] {
		ways = append(ways, nil)
	}
	g.before, g.silent = -1, 0
	switch {
	case len(ways) > 0 && farthest >= depth:
		return cur, farthest // rule 1
	case len(ways) == 1 && ways[0] != nil:
		return ways[0], farthest // rule 2
	}
	return g.begin(&g.f.code[in.end], false), farthest // rule 3
}
