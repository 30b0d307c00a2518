package ptx

var anyTypes = []string{"b16", "b32", "b64", "u16", "u32", "u64", "s16", "s32", "s64"}

// compileMov copies a register, constant, special register or address, or packs
// and unpacks vectors (PTX ISA: mov), the first element in the low bits.
func compileMov(c *compiler, s *stmt) {
	t := c.typ(append([]string{"pred"}, anyTypes...)...)
	if !c.args(s, 2, 2) {
		return
	}
	dst, src := s.args[0], s.args[1]
	switch {
	case t.kind == 'p':
		d, a := c.predDst(dst), c.predSrc(src)
		if d < 0 {
			c.fail("mov: destination must be a predicate")
		}
		c.plain(func(w *warp, m uint32) { w.preds[d] = w.preds[d]&^m | a.get(w)&m })
	case dst.kind == opVec:
		c.unpack(dst.elems, src, t)
	case src.kind == opVec:
		c.pack(dst, src.elems, t)
	case src.kind == opSreg && dynamicSreg(src.name) != nil:
		f := dynamicSreg(src.name)
		if f.bits != t.bits {
			c.fail("mov: %s has %d bits", src.name, f.bits)
		}
		d := c.result(dst, t)
		c.plain(func(w *warp, m uint32) {
			v := f.get(w) & t.mask()
			for l := range w.rows[d] {
				if m>>l&1 != 0 {
					w.rows[d][l] = v
				}
			}
		})
	default:
		c.copyRow(c.result(dst, t), c.value(src, t))
	}
}

func (c *compiler) copyRow(d, a int) {
	c.plain(func(w *warp, m uint32) {
		D, A := &w.rows[d], &w.rows[a]
		if m == ^uint32(0) {
			*D = *A
			return
		}
		for l := range D {
			if m>>l&1 != 0 {
				D[l] = A[l]
			}
		}
	})
}

func (c *compiler) pack(dst operand, elems []operand, t typ) {
	n := t.bits / len(elems)
	if t.kind != 'b' || len(elems) != 2 && (len(elems) != 4 || t.bits != 64) || n < 16 {
		c.fail("mov: %d elements in %d bits", len(elems), t.bits)
		return
	}
	var rows []int
	for _, e := range elems {
		rows = append(rows, c.src(e, n, n))
	}
	d := c.result(dst, t)
	c.plain(func(w *warp, m uint32) {
		for l := range w.rows[d] {
			if m>>l&1 != 0 {
				var v uint64
				for i, r := range rows {
					v |= w.rows[r][l] << (i * n)
				}
				w.rows[d][l] = v
			}
		}
	})
}

func (c *compiler) unpack(elems []operand, src operand, t typ) {
	n := t.bits / len(elems)
	if t.kind != 'b' || len(elems) != 2 && (len(elems) != 4 || t.bits != 64) || n < 16 {
		c.fail("mov: %d elements in %d bits", len(elems), t.bits)
		return
	}
	a := c.value(src, t)
	rows := make([]int, len(elems))
	for i, e := range elems {
		rows[i] = -1
		if e.kind != opSink {
			rows[i], _ = c.dst(e, n, n)
		}
	}
	mask := typ{'b', n}.mask()
	c.plain(func(w *warp, m uint32) {
		for l, v := range w.rows[a] {
			if m>>l&1 != 0 {
				for i, r := range rows {
					if r >= 0 {
						w.rows[r][l] = v >> (i * n) & mask
					}
				}
			}
		}
	})
}

var convertTypes = []string{"u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64"}

// compileCvt converts between integers (PTX ISA: cvt). Registers may be wider
// than the types: the source is cut, the result is extended by the sign of its
// type. .sat clamps to the range of the destination's type.
func compileCvt(c *compiler, s *stmt) {
	if c.opt("pack") != "" {
		compileCvtPack(c, s)
		return
	}
	sat := c.opt("sat") != ""
	to, from := c.typ(convertTypes...), c.typ(convertTypes...)
	if sat && (to.kind == from.kind && to.bits >= from.bits || to.kind == 's' && from.kind == 'u' && to.bits > from.bits) {
		c.fail("cvt.sat where nothing can saturate")
	}
	if !c.args(s, 2, 2) {
		return
	}
	d, mask := c.dst(s.args[0], max(to.bits, 16), 64)
	a := c.src(s.args[1], max(from.bits, 16), 64)
	c.lanes1(d, a, mask, func(a uint64) uint64 {
		a = extend64(a, from)
		if sat {
			a = saturate(a, from, to)
		}
		return extend64(a, to)
	})
}

// extend64 takes the low bits of v as a value of type t.
func extend64(v uint64, t typ) uint64 {
	if t.kind == 's' {
		return uint64(sext(v, t.bits))
	}
	return v & t.mask()
}

// saturate clamps the value v of type from to the range of to.
func saturate(v uint64, from, to typ) uint64 {
	negative := from.kind == 's' && int64(v) < 0
	if to.kind == 'u' {
		if negative {
			return 0
		}
		return min(v, to.mask())
	}
	high := to.mask() >> 1
	if negative {
		return uint64(max(int64(v), -int64(high)-1))
	}
	return min(v, high)
}

// compileCvtPack saturates two s32 and packs them behind each other above the
// low bits of c, or to fill 32 bits (PTX ISA: cvt.pack).
func compileCvtPack(c *compiler, s *stmt) {
	c.need(65, 72, false)
	c.want("sat")
	to := c.typ("u16", "s16", "u8", "s8")
	c.want("s32")
	n := 3
	if to.bits == 8 {
		c.want("b32")
		n = 4
	}
	if !c.args(s, n, n) {
		return
	}
	i32 := typ{'s', 32}
	d, a, b, e := c.result(s.args[0], b32), c.value(s.args[1], i32), c.value(s.args[2], i32), c.constant(0, nil)
	if n == 4 {
		e = c.value(s.args[3], b32)
	}
	narrow := func(v uint64) uint64 { return saturate(uint64(sext(v, 32)), i32, to) & to.mask() }
	c.lanes3(d, a, b, e, b32.mask(), func(a, b, e uint64) uint64 {
		return narrow(b) | narrow(a)<<to.bits | e<<(2*to.bits)
	})
}

func compileSelp(c *compiler, s *stmt) {
	t := c.typ(anyTypes...)
	if !c.args(s, 4, 4) {
		return
	}
	d, a, b, p := c.result(s.args[0], t), c.value(s.args[1], t), c.value(s.args[2], t), c.predSrc(s.args[3])
	c.plain(func(w *warp, m uint32) {
		D, A, B, q := &w.rows[d], &w.rows[a], &w.rows[b], p.get(w)
		for l := range D {
			if m>>l&1 != 0 {
				v := B[l]
				if q>>l&1 != 0 {
					v = A[l]
				}
				D[l] = v
			}
		}
	})
}

// compileSlct picks a where c >= 0, else b.
func compileSlct(c *compiler, s *stmt) {
	t := c.typ(anyTypes...)
	c.want("s32")
	if !c.args(s, 4, 4) {
		return
	}
	d, a, b, e := c.result(s.args[0], t), c.value(s.args[1], t), c.value(s.args[2], t), c.value(s.args[3], b32)
	c.lanes3(d, a, b, e, t.mask(), func(a, b, e uint64) uint64 {
		if sext(e, 32) >= 0 {
			return a
		}
		return b
	})
}

// comparison consumes the comparison, the boolean operator and the type of setp
// and set. The comparison of a register pair is done lane by lane.
func (c *compiler) comparison(to ...string) (cmp func(a, b uint64) bool, boolOp string, t, result typ) {
	op := c.want("eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs")
	boolOp = c.opt("and", "or", "xor")
	if to != nil {
		result = c.typ(to...)
	}
	t = c.typ(anyTypes...)
	n := t.bits
	switch op {
	case "eq":
		return func(a, b uint64) bool { return a == b }, boolOp, t, result
	case "ne":
		return func(a, b uint64) bool { return a != b }, boolOp, t, result
	}
	unsigned := map[string]string{"lo": "lt", "ls": "le", "hi": "gt", "hs": "ge"}[op]
	if t.kind == 'b' || unsigned != "" && t.kind != 'u' {
		c.fail("%s.%s of type %c%d", c.stmt.op, op, t.kind, n)
	}
	if unsigned != "" {
		op = unsigned
	}
	shift := 0 // sign-extension, done by moving the sign to the top
	if t.kind == 's' {
		shift = 64 - n
		switch op {
		case "lt":
			cmp = func(a, b uint64) bool { return int64(a<<shift) < int64(b<<shift) }
		case "le":
			cmp = func(a, b uint64) bool { return int64(a<<shift) <= int64(b<<shift) }
		case "gt":
			cmp = func(a, b uint64) bool { return int64(a<<shift) > int64(b<<shift) }
		case "ge":
			cmp = func(a, b uint64) bool { return int64(a<<shift) >= int64(b<<shift) }
		}
		return cmp, boolOp, t, result
	}
	switch op {
	case "lt":
		cmp = func(a, b uint64) bool { return a < b }
	case "le":
		cmp = func(a, b uint64) bool { return a <= b }
	case "gt":
		cmp = func(a, b uint64) bool { return a > b }
	case "ge":
		cmp = func(a, b uint64) bool { return a >= b }
	}
	return cmp, boolOp, t, result
}

// compileSetp compares and combines with a predicate (PTX ISA: setp); the
// second destination gets the negated comparison, combined likewise.
func compileSetp(c *compiler, s *stmt) {
	cmp, boolOp, t, _ := c.comparison()
	n := 3
	if boolOp != "" {
		n = 4
	}
	if !c.args(s, n, n) {
		return
	}
	p, q := -1, -1
	if o := s.args[0]; o.kind == opPair {
		p, q = c.predDst(o.elems[0]), c.predDst(o.elems[1])
	} else {
		p = c.predDst(o)
	}
	a, b := c.value(s.args[1], t), c.value(s.args[2], t)
	var e predSrc
	if n == 4 {
		e = c.predSrc(s.args[3])
	}
	c.plain(func(w *warp, m uint32) {
		A, B := &w.rows[a], &w.rows[b]
		var r uint32
		for l := range A {
			if cmp(A[l], B[l]) {
				r |= 1 << l
			}
		}
		not := ^r
		if boolOp != "" {
			x := e.get(w)
			r, not = combine(boolOp, r, x), combine(boolOp, not, x)
		}
		if p >= 0 {
			w.preds[p] = w.preds[p]&^m | r&m
		}
		if q >= 0 {
			w.preds[q] = w.preds[q]&^m | not&m
		}
	})
}

// compileSet is setp whose result is all ones or zero.
func compileSet(c *compiler, s *stmt) {
	cmp, boolOp, t, _ := c.comparison("u32", "s32")
	n := 3
	if boolOp != "" {
		n = 4
	}
	if !c.args(s, n, n) {
		return
	}
	d, a, b := c.result(s.args[0], b32), c.value(s.args[1], t), c.value(s.args[2], t)
	var e predSrc
	if n == 4 {
		e = c.predSrc(s.args[3])
	}
	c.plain(func(w *warp, m uint32) {
		x := e.get(w)
		for l := range w.rows[a] {
			if m>>l&1 == 0 {
				continue
			}
			var r uint32
			if cmp(w.rows[a][l], w.rows[b][l]) {
				r = 1
			}
			if boolOp != "" {
				r = combine(boolOp, r, x>>l&1)
			}
			w.rows[d][l] = uint64(-r)
		}
	})
}
