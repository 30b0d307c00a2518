package meter

import "github.com/assaynet/assay/runtime/wasmbin"

// A jump in stock Go's code is a constant put into a local and a branch to the
// loop around the whole function: a region of its own at the end of every if.
// What all the ways back to a loop cost at least, in instructions at their ends
// by which nobody can tell when they are charged, is charged with the loop's
// own region, and less of it on the way to its first turn: for most jumps
// nothing remains. The counter is the same at every check that any of them
// leads to.

// returns is what is known about the branches to a loop.
type returns struct {
	loop, around int32 // regions: its own, and the one that it begins in
	least        int64 // price that can be moved; none if it is zero or less
	some         bool  // there are branches
}

// jump is a br to a loop.
type jump struct{ returns, region int32 }

// silent follows what a trap, a call or a branch cannot come between.
func (a *analyzer) silent(op wasmbin.Op) {
	switch op {
	case wasmbin.OpI32Const, wasmbin.OpI64Const, wasmbin.OpF32Const, wasmbin.OpF64Const, wasmbin.OpV128Const,
		wasmbin.OpLocalGet, wasmbin.OpLocalSet, wasmbin.OpLocalTee, wasmbin.OpGlobalGet, wasmbin.OpNop:
		price := a.costs.Op(op)
		if a.run += price; a.lead >= 0 {
			a.lead += price
		}
	case wasmbin.OpBr: // jump looks at run
	default:
		a.lead, a.run = -1, 0
	}
}

// turn notes a loop that begins here and returns its index.
func (a *analyzer) turn() int32 {
	a.p.returns = append(a.p.returns, returns{loop: int32(len(a.p.regions)), around: a.cur, least: a.lead})
	return int32(len(a.p.returns) - 1)
}

// jump notes a br to label l.
func (a *analyzer) jump(l uint32) {
	target := &a.open[len(a.open)-1-int(l)]
	if target.op != wasmbin.OpLoop {
		return
	}
	r := &a.p.returns[target.returns]
	r.some, r.least = true, min(r.least, a.run+a.costs.Op(wasmbin.OpBr))
	a.p.jumps = append(a.p.jumps, jump{target.returns, a.cur})
}

// branchTwice notes a branch to label l that goes to other places as well. So
// nothing in front of it can be charged there alone.
func (a *analyzer) branchTwice(l uint32) {
	if target := &a.open[len(a.open)-1-int(l)]; target.op == wasmbin.OpLoop {
		a.p.returns[target.returns].least = 0
	}
	a.branch(l)
}

// settle moves the price of the ways back to loops.
func (p *plan) settle() {
	for i := range p.returns {
		if r := &p.returns[i]; r.some && r.least > 0 {
			p.regions[r.loop].cost += r.least
			p.regions[r.around].cost -= r.least
		}
	}
	for _, j := range p.jumps {
		p.regions[j.region].cost -= max(p.returns[j.returns].least, 0)
	}
}
