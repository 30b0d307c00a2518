package wasmbin

// special checks the instructions without a fixed signature.
func (c *Checker) special(in *Instr) {
	switch in.Op {
	case OpUnreachable:
		c.dead()
	case OpNop:
	case OpBlock, OpLoop, OpIf, OpElse, OpEnd:
		c.structure(in)
	case OpBr, OpBrIf, OpBrTable, OpReturn:
		c.branch(in)
	case OpCall:
		if int64(in.A) >= int64(len(c.m.FuncTypes)) {
			c.fail(in, "unknown function")
			return
		}
		c.apply(in, c.m.FuncType(in.A))
	case OpCallIndirect:
		if t, ok := c.table(in, in.B); ok && t != FuncRef {
			c.fail(in, "type mismatch: call_indirect of another table than funcref")
		}
		if int64(in.A) >= int64(len(c.m.Types)) {
			c.fail(in, "unknown type")
			return
		}
		c.pop(in, I32)
		c.apply(in, c.m.Types[in.A])
	case OpDrop:
		c.popAny(in)
	case OpSelect:
		c.selectUntyped(in)
	case OpSelectT:
		t := ValType(in.A)
		c.pop(in, I32)
		c.pop(in, t)
		c.pop(in, t)
		c.push(t)
	case OpLocalGet, OpLocalSet, OpLocalTee:
		c.local(in)
	case OpGlobalGet, OpGlobalSet:
		c.global(in)
	default:
		c.reference(in)
	}
}

func (c *Checker) apply(in *Instr, t FuncType) {
	c.popAll(in, t.Params)
	c.pushAll(t.Results)
}

func (c *Checker) structure(in *Instr) {
	switch in.Op {
	case OpEnd:
		f := c.shut(in)
		if f.op == OpIf && !sameTypes(f.params, f.results) {
			c.fail(in, "type mismatch: if without else must leave the stack as it is")
		}
		if len(c.frames) > 0 {
			c.pushAll(f.results)
		}
		return
	case OpElse:
		f := c.shut(in)
		if f.op != OpIf {
			c.fail(in, "else without if")
			return
		}
		if c.r.err == nil {
			c.open(in, f.params, f.results)
		}
		return
	}
	params, results := c.blockType(in)
	if in.Op == OpIf {
		c.pop(in, I32)
	}
	c.popAll(in, params)
	if c.r.err == nil {
		c.open(in, params, results)
	}
}

func sameTypes(a, b []ValType) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func (c *Checker) branch(in *Instr) {
	switch in.Op {
	case OpBr:
		c.popAll(in, c.label(in, in.A))
		c.dead()
	case OpBrIf:
		c.pop(in, I32)
		ts := c.label(in, in.A)
		c.popAll(in, ts)
		c.pushAll(ts)
	case OpReturn:
		c.popAll(in, c.results)
		c.dead()
	case OpBrTable:
		c.brTable(in)
	}
}

func (c *Checker) brTable(in *Instr) {
	c.pop(in, I32)
	last := c.label(in, in.Labels[len(in.Labels)-1])
	for _, l := range in.Labels[:len(in.Labels)-1] {
		ts := c.label(in, l)
		if c.r.err != nil {
			return
		}
		if len(ts) != len(last) {
			c.fail(in, "type mismatch: br_table labels of different arity")
			return
		}
		c.peekAll(in, ts)
	}
	c.popAll(in, last)
	c.dead()
}

// peekAll checks that ts could be popped, and leaves the stack as it is.
func (c *Checker) peekAll(in *Instr, ts []ValType) {
	f := &c.frames[len(c.frames)-1]
	at := len(c.stack)
	for i := len(ts) - 1; i >= 0; i-- {
		if at == f.height {
			if !f.unreachable {
				c.fail(in, "type mismatch: empty stack")
			}
			return
		}
		at--
		if got := c.stack[at].Type; got != ts[i] && got != 0 {
			c.fail(in, "type mismatch")
			return
		}
	}
}

func (c *Checker) selectUntyped(in *Instr) {
	c.pop(in, I32)
	a, b := c.popAny(in), c.popAny(in)
	if a.IsRef() || b.IsRef() {
		c.fail(in, "type mismatch: select of references needs a type")
	}
	if a != b && a != 0 && b != 0 {
		c.fail(in, "type mismatch")
	}
	if a == 0 {
		a = b
	}
	c.push(a)
}

func (c *Checker) local(in *Instr) {
	if int64(in.A) >= int64(len(c.locals)) {
		c.fail(in, "unknown local")
		return
	}
	t := c.locals[in.A]
	if in.Op != OpLocalGet {
		c.pop(in, t)
	}
	if in.Op != OpLocalSet {
		c.push(t)
	}
}

func (c *Checker) global(in *Instr) {
	if int64(in.A) >= int64(len(c.m.AllGlobals)) {
		c.fail(in, "unknown global")
		return
	}
	g := c.m.AllGlobals[in.A]
	if in.Op == OpGlobalGet {
		c.push(g.Type)
		return
	}
	if !g.Mutable {
		c.fail(in, "global is immutable")
	}
	c.pop(in, g.Type)
}

// table returns the element type of table t.
func (c *Checker) table(in *Instr, t uint32) (ValType, bool) {
	if int64(t) >= int64(len(c.m.AllTables)) {
		c.fail(in, "unknown table")
		return 0, false
	}
	return c.m.AllTables[t].Elem, true
}

func (c *Checker) reference(in *Instr) {
	switch in.Op {
	case OpRefNull:
		c.push(ValType(in.A))
		return
	case OpRefIsNull:
		if t := c.popAny(in); t != 0 && !t.IsRef() {
			c.fail(in, "type mismatch")
		}
		c.push(I32)
		return
	case OpRefFunc:
		switch {
		case int64(in.A) >= int64(len(c.m.FuncTypes)):
			c.fail(in, "unknown function")
		case c.m.declared == nil || !c.m.declared[in.A]:
			c.fail(in, "undeclared function reference")
		}
		c.push(FuncRef)
		return
	}
	t, ok := c.table(in, in.A)
	if !ok {
		return
	}
	switch in.Op {
	case OpTableGet:
		c.pop(in, I32)
		c.push(t)
	case OpTableSet:
		c.pop(in, t)
		c.pop(in, I32)
	case OpTableGrow:
		c.pop(in, I32)
		c.pop(in, t)
		c.push(I32)
	case OpTableFill:
		c.pop(in, I32)
		c.pop(in, t)
		c.pop(in, I32)
	}
}

// segment checks the indexes of bulk instructions with a fixed signature.
func (c *Checker) segment(in *Instr, kind imm) {
	switch kind {
	case immDataMem, immData:
		if !c.m.HasCount {
			c.fail(in, "data count section required")
		} else if in.A >= c.m.DataCount {
			c.fail(in, "unknown data segment")
		}
	case immTable:
		c.table(in, in.A)
	case immElem:
		c.elem(in)
	case immElemTab:
		e, ok := c.elem(in)
		if t, found := c.table(in, in.B); ok && found && t != e {
			c.fail(in, "type mismatch: segment and table")
		}
	case immTabTab:
		a, okA := c.table(in, in.A)
		b, okB := c.table(in, in.B)
		if okA && okB && a != b {
			c.fail(in, "type mismatch: tables")
		}
	}
}

func (c *Checker) elem(in *Instr) (ValType, bool) {
	if int64(in.A) >= int64(len(c.m.Elems)) {
		c.fail(in, "unknown element segment")
		return 0, false
	}
	return c.m.Elems[in.A].Type, true
}
