package ptx

import "slices"

// typ is a fundamental type of PTX: kind 'u', 's', 'b' or 'p'.
type typ struct {
	kind byte
	bits int
}

func typeOf(word string) (typ, bool) {
	switch word {
	case "pred":
		return typ{'p', 1}, true
	case "u8", "s8", "b8":
		return typ{word[0], 8}, true
	case "u16", "s16", "b16":
		return typ{word[0], 16}, true
	case "u32", "s32", "b32":
		return typ{word[0], 32}, true
	case "u64", "s64", "b64":
		return typ{word[0], 64}, true
	}
	return typ{}, false
}

func (t typ) mask() uint64 { return ^uint64(0) >> (64 - t.bits) }

// opt consumes the next modifier if it is one of words, else returns "".
func (c *compiler) opt(words ...string) string {
	if len(c.mods) > 0 && slices.Contains(words, c.mods[0]) {
		w := c.mods[0]
		c.mods = c.mods[1:]
		return w
	}
	return ""
}

// want is opt where one of words must stand.
func (c *compiler) want(words ...string) string {
	w := c.opt(words...)
	if w == "" {
		c.badMod()
	}
	return w
}

func (c *compiler) badMod() {
	if len(c.mods) == 0 {
		c.fail("%s: a modifier is missing", c.stmt.op)
	} else {
		c.fail("%s: modifier .%s", c.stmt.op, c.mods[0])
	}
}

// typ consumes a type, one of words.
func (c *compiler) typ(words ...string) typ {
	t, _ := typeOf(c.want(words...))
	if t.bits == 0 {
		t.bits = 32 // an error was kept
	}
	return t
}

func (c *compiler) args(s *stmt, low, high int) bool {
	if len(s.args) < low || len(s.args) > high {
		c.fail("%s with %d operands", s.op, len(s.args))
		return false
	}
	return c.err == nil
}

// reg returns the row of a register of this function.
func (c *compiler) reg(r int) int {
	if i, ok := c.inst.regs[r]; ok {
		return i
	}
	i := c.newRow()
	c.inst.regs[r] = i
	return i
}

func (c *compiler) newRow() int {
	if c.prog.rows >= maxRows {
		c.fail("more than %d registers", maxRows)
		return 0
	}
	c.prog.rows++
	return c.prog.rows - 1
}

func (c *compiler) pred(r int) int {
	if i, ok := c.inst.regs[r]; ok {
		return i
	}
	if c.prog.preds >= maxRows {
		c.fail("more than %d predicates", maxRows)
		return 0
	}
	c.prog.preds++
	c.inst.regs[r] = c.prog.preds - 1
	return c.prog.preds - 1
}

func (c *compiler) constant(v uint64, vari *variable) int {
	k := constKey{v, vari}
	if r, ok := c.consts[k]; ok {
		return r
	}
	r := c.newRow()
	c.consts[k] = r
	c.prog.consts = append(c.prog.consts, constant{row: r, value: v, vari: vari})
	return r
}

// immediate returns the value of a constant operand.
func (c *compiler) immediate(o operand) (uint64, bool) {
	if o.kind != opImm {
		c.fail("%s: an operand must be a constant", c.stmt.op)
		return 0, false
	}
	return o.imm, true
}

// src returns the row of a source operand whose register has low to high bits.
func (c *compiler) src(o operand, low, high int) int {
	switch o.kind {
	case opReg:
		d := c.inst.f.regs[o.reg]
		if d.bits < max(low, 2) || d.bits > high || o.not || o.imm != 0 {
			c.fail("%s: register %s of %d bits", c.stmt.op, d.name, d.bits)
			return 0
		}
		r := c.reg(o.reg)
		c.held = append(c.held, int32(r))
		return r
	case opImm:
		v := o.imm
		if high < 64 {
			v &= 1<<high - 1
		}
		return c.constant(v, nil)
	case opVar:
		return c.address(o, high)
	case opSreg:
		return c.sreg(o, low, high)
	}
	c.fail("%s: operand form", c.stmt.op)
	return 0
}

// value is src where register and type have one size.
func (c *compiler) value(o operand, t typ) int { return c.src(o, t.bits, t.bits) }

// address returns the row that holds a variable's address in its space.
func (c *compiler) address(o operand, bits int) int {
	if bits != 32 && bits != 64 {
		c.fail("%s: address as a value of %d bits", c.stmt.op, bits)
		return 0
	}
	v := o.vari
	switch v.space {
	case spaceShared:
		return c.constant(o.imm, v)
	case spaceLocal, spaceParam:
		for in := c.inst; in != nil; in = in.outer {
			if at, ok := in.places[v]; ok {
				return c.constant(uint64(at)+o.imm, nil)
			}
		}
	case spaceGlobal, spaceConst:
		if bits == 64 {
			return c.constant(o.imm, v)
		}
	}
	c.fail("%s: address of %s", c.stmt.op, v.name)
	return 0
}

// dst returns the row of a destination whose register has low to high bits, and
// the mask of that register's width.
func (c *compiler) dst(o operand, low, high int) (r int, mask uint64) {
	if o.kind != opReg || o.not || o.imm != 0 {
		c.fail("%s: destination must be a register", c.stmt.op)
		return 0, 0
	}
	d := c.inst.f.regs[o.reg]
	if d.bits < max(low, 2) || d.bits > high {
		c.fail("%s: register %s of %d bits", c.stmt.op, d.name, d.bits)
		return 0, 0
	}
	r = c.reg(o.reg)
	c.held = append([]int32{int32(r)}, c.held...)
	c.writes++
	return r, typ{'b', d.bits}.mask()
}

// result is dst where register and type have one size.
func (c *compiler) result(o operand, t typ) int {
	r, _ := c.dst(o, t.bits, t.bits)
	return r
}

// predDst returns a destination predicate, or -1 for the sink.
func (c *compiler) predDst(o operand) int {
	if o.kind == opSink {
		return -1
	}
	if o.kind != opReg || o.not || c.inst.f.regs[o.reg].bits != 1 {
		c.fail("%s: destination must be a predicate", c.stmt.op)
		return -1
	}
	return c.pred(o.reg)
}

// A predSrc is a source predicate, or a constant; the zero value is false.
type predSrc struct {
	number int // of the predicate, from 1; 0: constant
	flip   uint32
}

func (p predSrc) get(w *warp) uint32 {
	if p.number == 0 {
		return p.flip
	}
	return w.preds[p.number-1] ^ p.flip
}

func (c *compiler) predSrc(o operand) predSrc {
	switch {
	case o.kind == opReg && c.inst.f.regs[o.reg].bits == 1 && o.imm == 0:
		p := predSrc{number: c.pred(o.reg) + 1}
		if o.not {
			p.flip = ^uint32(0)
		}
		return p
	case o.kind == opImm && (o.imm <= 1 || o.imm == ^uint64(0)): // clang writes true as −1
		return predSrc{flip: -uint32(o.imm & 1)}
	}
	c.fail("%s: operand must be a predicate", c.stmt.op)
	return predSrc{}
}

// An address is a memory operand: row + offset in a space.
type addr struct {
	row int
	off uint64
}

// addr returns a memory operand [..]. Variables in it must be of that space.
func (c *compiler) addr(o operand, sp space) addr {
	if o.kind != opAddr {
		c.fail("%s: operand must be an address", c.stmt.op)
		return addr{}
	}
	e := o.elems[0]
	if e.kind == opVar {
		if v := e.vari.space; v != sp {
			c.fail("%s: %s is in .%v", c.stmt.op, e.vari.name, v)
			return addr{}
		}
		e.imm = o.imm
		return addr{row: c.address(e, 64)}
	}
	return addr{row: c.src(e, 32, 64), off: o.imm}
}

// vector returns the elements of {a, b}, or the operand itself, if it has n.
func (c *compiler) vector(o operand, n int) []operand {
	if o.kind != opVec {
		if n == 1 {
			return []operand{o}
		}
		c.fail("%s: a vector of %d belongs here", c.stmt.op, n)
		return nil
	}
	if len(o.elems) != n {
		c.fail("%s: a vector of %d where one of %d belongs", c.stmt.op, len(o.elems), n)
		return nil
	}
	return o.elems
}
