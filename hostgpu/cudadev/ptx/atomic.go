package ptx

// compileAtom handles atom and red (PTX ISA: atom, red) on global and shared
// memory.
func compileAtom(c *compiler, s *stmt) {
	if c.opt("relaxed", "acquire", "release", "acq_rel") != "" {
		c.opt(scopes...)
	} else {
		c.opt(scopes...)
	}
	sp := c.space(spaceGlobal, spaceShared)
	op := c.want("and", "or", "xor", "cas", "exch", "add", "inc", "dec", "min", "max")
	c.hints()
	t := c.typ(map[string][]string{
		"and": {"b32", "b64"}, "or": {"b32", "b64"}, "xor": {"b32", "b64"}, "cas": {"b32", "b64"}, "exch": {"b32", "b64"},
		"add": {"u32", "s32", "u64"}, "inc": {"u32"}, "dec": {"u32"},
		"min": {"u32", "s32", "u64", "s64"}, "max": {"u32", "s32", "u64", "s64"},
	}[op]...)
	args := s.args
	if s.op == "red" {
		if op == "cas" || op == "exch" {
			c.fail("red.%s", op)
		}
		args = append([]operand{{kind: opSink}}, args...)
	}
	n := 3
	if op == "cas" {
		n = 4
	}
	if len(args) != n {
		c.fail("%s.%s with %d operands", s.op, op, len(s.args))
		return
	}
	d := -1
	if args[0].kind != opSink {
		d = c.result(args[0], t)
	}
	a, b := c.addr(args[1], sp), c.value(args[2], t)
	e := b
	if n == 4 {
		e = c.value(args[3], t)
	}
	size, f, mask := t.bits/8, atomicOp(op, t), t.mask()
	c.plain(func(w *warp, m uint32) {
		rotate := 0
		if w.random != nil {
			rotate = w.random.IntN(32)
		}
		for i := range 32 {
			l := (i + rotate) % 32
			if m>>l&1 == 0 {
				continue
			}
			at := w.rows[a.row][l] + a.off
			var old uint64
			w.ordered(sp, l, at, size, size, reads|writes, func(p []byte) {
				old = get(p, size)
				poke(p, size, f(old, w.rows[b][l], w.rows[e][l])&mask)
			})
			if d >= 0 {
				w.rows[d][l] = old
			}
		}
	})
}

// atomicOp returns what an atomic stores: of the old value and the operands.
func atomicOp(op string, t typ) func(old, b, c uint64) uint64 {
	switch op {
	case "and":
		return func(old, b, _ uint64) uint64 { return old & b }
	case "or":
		return func(old, b, _ uint64) uint64 { return old | b }
	case "xor":
		return func(old, b, _ uint64) uint64 { return old ^ b }
	case "exch":
		return func(_, b, _ uint64) uint64 { return b }
	case "cas":
		return func(old, b, c uint64) uint64 {
			if old == b {
				return c
			}
			return old
		}
	case "add":
		return func(old, b, _ uint64) uint64 { return old + b }
	case "inc":
		return func(old, b, _ uint64) uint64 {
			if old >= b {
				return 0
			}
			return old + 1
		}
	case "dec":
		return func(old, b, _ uint64) uint64 {
			if old == 0 || old > b {
				return b
			}
			return old - 1
		}
	}
	choose := chooser(op, t)
	return func(old, b, _ uint64) uint64 { return choose(old, b) }
}
