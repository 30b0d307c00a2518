package meter

import "github.com/assaynet/assay/runtime/wasmbin"

// A region is a set of instructions of one function that run equally often
// (unless a trap cuts in): a basic block together with the blocks that are
// control-equivalent to it. It is charged as a whole where it begins.
type region struct {
	after int32 // step after which it begins; -1: function entry
	check bool  // stop here when the counter is below zero
	calls bool  // calls functions of the module
	rare  bool  // charged by a helper: see small.go
	cost  int64
}

// step is an instruction that can be reached. Others are dropped.
type step struct {
	op       wasmbin.Op
	canon    floatShape // how its result is made canonical, shapeNone if it is not
	plain    bool       // a loop without parameters
	ends     bool       // a loop whose end is reached
	host     bool       // a call of an imported function
	check    bool       // stop behind this call when the counter is below zero
	depth    int32
	label    uint32 // of br and br_if
	off, end int32
}

// plan is what the analysis of one function says about its rewriting.
type plan struct {
	shape
	steps   []step
	regions []region
	frame   int64  // slots of locals and operands
	calls   bool   // calls functions
	turns   bool   // has a loop
	total   int64  // cost of all regions
	bulk    bool   // needs the helper that prices operands
	counted bool   // the frame takes stack units
	leave   bool   // stop when the counter is below zero on the way out
	jumps   []jump // to loops
	returns []returns
}

// open is a block, loop, if or the function itself while it is analysed.
type open struct {
	op       wasmbin.Op
	live     bool  // the instruction that opened it can be reached
	entry    int32 // region around it
	lowest   int32 // outermost frame that a branch from inside goes to
	targeted bool  // a branch goes to its end
	elseArm  bool
	arm      int32 // region of the then arm
	armEnd   int32 // region at the end of the then arm; none if dead
	step     int32 // step of a loop
	returns  int32 // index in plan.returns of a loop
}

const none int32 = -1

// analyzer analyses the functions of a module one after the other and reuses
// its memory: a plan is valid until the next call.
type analyzer struct {
	m      *wasmbin.Module
	c      *wasmbin.Checker
	costs  *Schedule
	max    *Limits
	p      plan
	open   []open
	cur    int32 // region being accumulated, none when unreachable
	nan    nanFlow
	bounds bounder
	lead   int64 // price of what is in the region so far, below zero if a trap or call may be: see returns.go
	run    int64 // price of the instructions up to here that nothing can come between
}

func newAnalyzer(m *wasmbin.Module, max *Limits, costs *Schedule) *analyzer {
	return &analyzer{m: m, c: wasmbin.NewChecker(m, max.Nesting), costs: costs, max: max}
}

// function validates and analyses defined function i.
func (a *analyzer) function(i int) (*plan, error) {
	a.c.Begin(i)
	body := a.m.Bodies[i]
	locals := a.c.Locals()
	a.p = plan{
		shape:   shape{offset: body.From, locals: len(locals)},
		steps:   a.p.steps[:0],
		regions: a.p.regions[:0],
		jumps:   a.p.jumps[:0],
		returns: a.p.returns[:0],
	}
	for _, t := range locals {
		a.p.slots += t.Slots()
	}
	a.open = append(a.open[:0], open{op: wasmbin.OpBlock, live: true})
	a.nan.begin(locals, len(a.m.FuncType(uint32(a.m.ImportedFuncs+i)).Params))
	a.cur = a.begin(none, false)
	a.lead = int64(a.costs.Function) + int64(a.p.slots)/int64(a.costs.PerSlots)
	a.charge(a.lead)
	var in wasmbin.Instr
	for !a.c.Done() {
		live := a.c.Reachable() && a.open[len(a.open)-1].live
		if err := a.c.Next(&in); err != nil {
			return nil, wrap(err)
		}
		if err := a.measure(&in); err != nil {
			return nil, err
		}
		if slots := a.p.slots + a.c.MaxSlots(); slots > a.max.FrameSlots {
			return nil, &LimitError{Offset: in.Off, Limit: "frame slots", Value: uint64(slots), Max: uint64(a.max.FrameSlots)}
		}
		a.step(&in, live)
	}
	a.nan.solve(a.p.steps)
	a.p.frame = int64(a.p.slots + a.c.MaxSlots())
	for _, r := range a.p.regions {
		a.p.total += r.cost
	}
	a.p.counted = a.p.calls || a.p.frame > int64(a.costs.LeafSlots)
	a.p.regions[0].check = a.p.entryChecked()
	a.bound()
	a.p.settle()
	return &a.p, nil
}

// entryChecked says whether the counter is checked when the function is
// entered: not in a small leaf, nor if a loop, whose turns are checked, begins
// before the function can do anything at length.
func (p *plan) entryChecked() bool {
	if !p.counted && !p.turns {
		return p.total > UncheckedLeaf
	}
	if p.regions[0].cost > UncheckedLeaf {
		return true
	}
	for i := range p.steps {
		switch p.steps[i].op {
		case wasmbin.OpLoop:
			return false
		case wasmbin.OpCall, wasmbin.OpCallIndirect, wasmbin.OpIf, wasmbin.OpElse, wasmbin.OpEnd, wasmbin.OpBr, wasmbin.OpBrIf,
			wasmbin.OpBrTable, wasmbin.OpReturn, wasmbin.OpUnreachable:
			return true
		}
	}
	return true
}

// measure keeps the shape of the function, unreachable code included, and
// stops at the first instruction that makes it too much.
func (a *analyzer) measure(in *wasmbin.Instr) error {
	s := &a.p.shape
	switch in.Op {
	case wasmbin.OpBr, wasmbin.OpBrIf, wasmbin.OpElse, wasmbin.OpReturn, wasmbin.OpUnreachable:
		s.blocks++
		return within(in.Off, []bound{{"blocks", s.blocks, a.max.Blocks}, {"blocks × locals", s.blocks * max(s.locals, 1), a.max.BlocksLocals}})
	case wasmbin.OpBlock, wasmbin.OpIf:
		s.blocks++
	case wasmbin.OpLoop:
		s.blocks++
		s.loops++
		a.p.maxOpenLoop = max(a.p.maxOpenLoop, a.p.openLoops+1)
	case wasmbin.OpBrTable:
		s.blocks++
		s.labels += int(in.A) + 1
	default:
		return nil
	}
	s.nesting = max(s.nesting, a.c.Depth())
	return s.check(a.max, in.Off)
}

// begin starts a region after the given step.
func (a *analyzer) begin(after int32, check bool) int32 {
	a.p.regions = append(a.p.regions, region{after: after, check: check})
	a.lead = 0
	return int32(len(a.p.regions) - 1)
}

func (a *analyzer) charge(n int64) { a.p.regions[a.cur].cost += n }

// emit adds in to the steps and returns its number.
func (a *analyzer) emit(in *wasmbin.Instr) int32 {
	a.p.steps = append(a.p.steps, step{op: in.Op, depth: int32(len(a.open) - 1), off: int32(in.Off), end: int32(in.End)})
	return int32(len(a.p.steps) - 1)
}

func (a *analyzer) step(in *wasmbin.Instr, live bool) {
	switch in.Op {
	case wasmbin.OpBlock, wasmbin.OpLoop, wasmbin.OpIf:
		a.enter(in, live)
		return
	case wasmbin.OpElse:
		a.otherwise(in, live)
		return
	case wasmbin.OpEnd:
		a.leave(in, live)
		return
	}
	if !live {
		return
	}
	n := a.emit(in)
	a.charge(a.costs.Op(in.Op))
	a.silent(in.Op)
	a.nan.visit(a, in, n)
	switch in.Op {
	case wasmbin.OpBr, wasmbin.OpBrIf:
		a.p.steps[n].label = in.A
	case wasmbin.OpCall:
		a.p.steps[n].host = int(in.A) < a.m.ImportedFuncs
	}
	switch in.Op {
	case wasmbin.OpBr:
		a.jump(in.A)
		a.branch(in.A)
		a.cur = none
	case wasmbin.OpBrIf:
		a.branchTwice(in.A)
		a.cur = a.begin(n, false)
	case wasmbin.OpBrTable:
		for _, l := range in.Labels {
			a.branchTwice(l)
		}
		a.cur = none
	case wasmbin.OpReturn:
		a.branch(uint32(len(a.open) - 1))
		a.cur = none
	case wasmbin.OpUnreachable:
		r := &a.p.regions[a.cur]
		r.rare = r.calls
		a.cur = none
	case wasmbin.OpCall, wasmbin.OpCallIndirect:
		a.p.calls = true
		a.p.regions[a.cur].calls = !a.p.steps[n].host
	default:
		if a.costs.Operand(in.Op) > 0 {
			a.p.bulk = true
		}
	}
}

// branch notes a branch to label l.
func (a *analyzer) branch(l uint32) {
	top := len(a.open) - 1
	target := top - int(l)
	a.open[target].targeted = true
	a.open[top].lowest = min(a.open[top].lowest, int32(target))
}

func (a *analyzer) enter(in *wasmbin.Instr, live bool) {
	a.run = 0
	if in.Op == wasmbin.OpLoop {
		a.p.openLoops++
	}
	f := open{op: in.Op, live: live, lowest: int32(len(a.open))}
	if live {
		n := a.emit(in)
		a.nan.visit(a, in, n)
		f.entry, f.step = a.cur, n
		switch in.Op {
		case wasmbin.OpBlock:
			a.charge(a.costs.Op(in.Op))
			if a.lead >= 0 {
				a.lead += a.costs.Op(in.Op)
			}
		case wasmbin.OpIf:
			a.charge(a.costs.Op(in.Op))
			a.cur = a.begin(n, false)
			f.arm = a.cur
		case wasmbin.OpLoop:
			// A loop's own price is paid at each turn.
			a.p.steps[n].plain = in.Block() < 0 || len(a.m.Types[in.Block()].Params) == 0
			a.p.turns = true
			f.returns = a.turn()
			a.cur = a.begin(n, true)
			a.charge(a.costs.Op(in.Op)) // not in lead: it runs before the region is checked
		}
	}
	a.open = append(a.open, f)
}

func (a *analyzer) otherwise(in *wasmbin.Instr, live bool) {
	f := &a.open[len(a.open)-1]
	if !f.live {
		return
	}
	if live {
		a.nan.visit(a, in, none)
	}
	n := a.emit(in)
	a.run = 0
	f.elseArm, f.armEnd = true, a.cur
	a.cur = a.begin(n, false)
}

func (a *analyzer) leave(in *wasmbin.Instr, live bool) {
	top := len(a.open) - 1
	f := a.open[top]
	if live {
		a.nan.visit(a, in, none)
	}
	if f.op == wasmbin.OpLoop {
		a.p.openLoops--
		if f.live {
			a.p.steps[f.step].ends = a.cur != none
		}
	}
	if f.op == wasmbin.OpIf && f.live && !f.elseArm {
		r := &a.p.regions[f.arm]
		r.rare = r.rare || r.calls
	}
	a.lead, a.run = -1, 0
	var n int32
	if f.live {
		n = a.emit(in)
	}
	a.open = a.open[:top]
	if top == 0 {
		return
	}
	parent := &a.open[top-1]
	parent.lowest = min(parent.lowest, f.lowest)
	if f.live {
		a.cur = a.after(&f, top, n)
	}
}

// after returns the region of the code behind the end (step n) of frame f.
func (a *analyzer) after(f *open, index int, n int32) int32 {
	// Ways to get there, and the region of the only one if it is one.
	ways, only := 0, none
	add := func(r int32) {
		if r != none {
			ways, only = ways+1, r
		}
	}
	add(a.cur)
	if f.op == wasmbin.OpIf && !f.elseArm {
		ways, only = ways+1, none
	}
	if f.elseArm {
		add(f.armEnd)
	}
	if f.targeted && f.op != wasmbin.OpLoop {
		ways, only = ways+1, none
	}
	switch {
	case ways > 0 && f.lowest >= int32(index):
		// Nothing inside leaves but through this end, so what follows runs
		// as often as what comes before.
		return f.entry
	case ways == 1 && only != none:
		return only
	}
	return a.begin(n, false)
}
