package ptx

// compileBra handles bra{.uni} (PTX ISA: bra). Lanes may diverge at it whether
// or not .uni promises otherwise.
func compileBra(c *compiler, s *stmt) {
	c.opt("uni")
	if !c.args(s, 1, 1) {
		return
	}
	o := s.args[0]
	if o.kind != opLabel {
		c.fail("bra: operand must be a label")
		return
	}
	c.inst.fix = append(c.inst.fix, fixup{pc: int32(len(c.prog.code)), label: o.label, list: -1})
	c.emit(ins{kind: insBranch})
}

// compileBrx handles brx.idx: the index must be within the list of targets.
func compileBrx(c *compiler, s *stmt) {
	c.want("idx")
	c.opt("uni")
	if !c.args(s, 2, 2) {
		return
	}
	o := s.args[1]
	if o.kind != opLabel {
		c.fail("brx.idx: operand must be a list of targets")
		return
	}
	index := c.value(s.args[0], b32)
	c.inst.fix = append(c.inst.fix, fixup{pc: int32(len(c.prog.code)), list: o.label})
	c.emit(ins{kind: insIndex, index: int32(index)})
}

// compileRet handles ret{.uni} and exit. A function compiled in place returns to
// the instruction behind the call.
func compileRet(c *compiler, s *stmt) {
	if s.op == "ret" {
		c.opt("uni")
	}
	if !c.args(s, 0, 0) {
		return
	}
	if s.op == "ret" && c.inst.outer != nil {
		c.inst.rets = append(c.inst.rets, int32(len(c.prog.code)))
		c.emit(ins{kind: insBranch})
		return
	}
	c.emit(ins{kind: insExit})
}

func compileTrap(c *compiler, s *stmt) {
	if c.args(s, 0, 0) {
		c.plain(func(w *warp, m uint32) {
			if m != 0 {
				w.fault(ErrTrap, first(m), "", 0, "")
			}
		})
	}
}

// compileCall compiles the callee in place. Its parameters are the caller's
// .param variables, so nothing is copied. Recursion is not supported.
func compileCall(c *compiler, s *stmt) {
	c.opt("uni")
	f := c.p.funcs[s.callee]
	switch {
	case len(c.mods) > 0:
		c.badMod()
		return
	case f == nil || f.labels == nil || f.entry:
		c.fail("call of %s, which has no body here", s.callee)
		return
	case len(f.params) != len(s.params) || len(f.rets) != len(s.rets):
		c.fail("call of %s with %d parameters and %d results", s.callee, len(s.params), len(s.rets))
		return
	case c.depth == maxInline:
		c.fail("calls nested deeper than %d: recursion", maxInline)
		return
	}
	pass := func(formal []*variable, actual []operand) []int {
		var at []int
		for i, v := range formal {
			a := actual[i].vari
			place, ok := c.inst.places[a]
			if !ok || a.size != v.size || a.align < v.align {
				c.fail("call of %s: parameter %s", s.callee, a.name)
			}
			at = append(at, place)
		}
		return at
	}
	params, rets := pass(f.params, s.params), pass(f.rets, s.rets)
	skip := -1
	if s.guard >= 0 { // a call under a predicate is a branch around it
		skip = len(c.prog.code)
		c.emit(ins{kind: insBranch})
		c.prog.code[skip].not = !c.prog.code[skip].not
	}
	c.depth++
	c.function(f, c.inst, params, rets)
	c.depth--
	c.stmt = s
	if skip >= 0 && c.err == nil {
		c.prog.code[skip].target = int32(len(c.prog.code))
	}
}
