package ptx

import "math/bits"

var b32, b64 = typ{'b', 32}, typ{'b', 64}

// compileLogic handles and, or and xor, of predicates too.
func compileLogic(c *compiler, s *stmt) {
	t := c.typ("pred", "b16", "b32", "b64")
	if !c.args(s, 3, 3) {
		return
	}
	op := s.op
	if t.kind == 'p' {
		d, a, b := c.predDst(s.args[0]), c.predSrc(s.args[1]), c.predSrc(s.args[2])
		if d < 0 {
			c.fail("%s: destination must be a predicate", op)
		}
		c.plain(func(w *warp, m uint32) {
			v := combine(op, a.get(w), b.get(w))
			w.preds[d] = w.preds[d]&^m | v&m
		})
		return
	}
	d, a, b := c.result(s.args[0], t), c.value(s.args[1], t), c.value(s.args[2], t)
	switch op {
	case "and":
		c.lanes2(d, a, b, t.mask(), func(a, b uint64) uint64 { return a & b })
	case "or":
		c.lanes2(d, a, b, t.mask(), func(a, b uint64) uint64 { return a | b })
	default:
		c.lanes2(d, a, b, t.mask(), func(a, b uint64) uint64 { return a ^ b })
	}
}

func combine(op string, a, b uint32) uint32 {
	switch op {
	case "and":
		return a & b
	case "or":
		return a | b
	}
	return a ^ b
}

func compileNot(c *compiler, s *stmt) {
	if s.op == "not" && c.opt("pred") != "" {
		if !c.args(s, 2, 2) {
			return
		}
		d, a := c.predDst(s.args[0]), c.predSrc(s.args[1])
		if d < 0 {
			c.fail("not: destination must be a predicate")
		}
		c.plain(func(w *warp, m uint32) { w.preds[d] = w.preds[d]&^m | ^a.get(w)&m })
		return
	}
	t := c.typ("b16", "b32", "b64")
	if !c.args(s, 2, 2) {
		return
	}
	d, a := c.result(s.args[0], t), c.value(s.args[1], t)
	if s.op == "cnot" {
		c.lanes1(d, a, 1, func(a uint64) uint64 {
			if a == 0 {
				return 1
			}
			return 0
		})
		return
	}
	c.lanes1(d, a, t.mask(), func(a uint64) uint64 { return ^a })
}

// compileLop3 looks each bit up in the table of immLut (PTX ISA: lop3), whose
// index has a's bit as the most significant.
func compileLop3(c *compiler, s *stmt) {
	c.typ("b32")
	if !c.args(s, 5, 5) {
		return
	}
	d, a, b, e := c.result(s.args[0], b32), c.value(s.args[1], b32), c.value(s.args[2], b32), c.value(s.args[3], b32)
	lut, _ := c.immediate(s.args[4])
	if lut > 255 {
		c.fail("lop3: table %d", lut)
	}
	c.lanes3(d, a, b, e, b32.mask(), func(a, b, e uint64) uint64 {
		var r uint64
		for i := range uint64(8) {
			if lut>>i&1 != 0 {
				r |= (a ^ (i>>2&1 - 1)) & (b ^ (i>>1&1 - 1)) & (e ^ (i&1 - 1))
			}
		}
		return r
	})
}

// compileShift handles shl and shr. Amounts are u32 and clamp at the width.
func compileShift(c *compiler, s *stmt) {
	var t typ
	if s.op == "shl" {
		t = c.typ("b16", "b32", "b64")
	} else {
		t = c.typ("b16", "b32", "b64", "u16", "u32", "u64", "s16", "s32", "s64")
	}
	if !c.args(s, 3, 3) {
		return
	}
	d, a, b := c.result(s.args[0], t), c.value(s.args[1], t), c.value(s.args[2], b32)
	n := uint64(t.bits)
	switch {
	case s.op == "shl": // Go's shifts give 0 at 64 and more; the mask cuts the rest
		c.lanes2(d, a, b, t.mask(), func(a, b uint64) uint64 { return a << b })
	case t.kind == 's':
		c.lanes2(d, a, b, t.mask(), func(a, b uint64) uint64 { return uint64(sext(a, int(n)) >> min(b, n)) })
	default:
		c.lanes2(d, a, b, t.mask(), func(a, b uint64) uint64 { return a >> b })
	}
}

// compileFunnel handles shf (PTX ISA: shf): the 64 bits of b:a shifted by c,
// left keeping the high half, right the low one.
func compileFunnel(c *compiler, s *stmt) {
	dir, mode := c.want("l", "r"), c.want("clamp", "wrap")
	c.typ("b32")
	if !c.args(s, 4, 4) {
		return
	}
	d, a, b, e := c.result(s.args[0], b32), c.value(s.args[1], b32), c.value(s.args[2], b32), c.value(s.args[3], b32)
	c.lanes3(d, a, b, e, b32.mask(), func(a, b, n uint64) uint64 {
		if mode == "wrap" {
			n &= 31
		} else {
			n = min(n, 32)
		}
		v := b<<32 | a
		if dir == "l" {
			return v << n >> 32
		}
		return v >> n
	})
}

// compilePrmt picks four of the eight bytes of b:a (PTX ISA: prmt).
func compilePrmt(c *compiler, s *stmt) {
	c.typ("b32")
	mode := c.opt("f4e", "b4e", "rc8", "ecl", "ecr", "rc16")
	if !c.args(s, 4, 4) {
		return
	}
	d, a, b, e := c.result(s.args[0], b32), c.value(s.args[1], b32), c.value(s.args[2], b32), c.value(s.args[3], b32)
	c.lanes3(d, a, b, e, b32.mask(), func(a, b, sel uint64) uint64 {
		v := b<<32 | a
		var r uint64
		for i := range uint64(4) {
			n := prmtByte(mode, sel, i)
			x := v >> (n & 7 * 8) & 255
			if n&8 != 0 { // replicate the sign
				x = uint64(int64(int8(x))>>7) & 255
			}
			r |= x << (8 * i)
		}
		return r
	})
}

// prmtByte is the selector of byte i of the result: bits 0 to 2 the source
// byte, bit 3 the sign mode of the default mode.
func prmtByte(mode string, sel, i uint64) uint64 {
	n := sel & 3
	switch mode {
	case "f4e": // forward 4 extract
		return (n + i) & 7
	case "b4e": // backward 4 extract
		return (n - i) & 7
	case "rc8":
		return n
	case "ecl": // edge clamp left
		return max(n, i)
	case "ecr": // edge clamp right
		return min(n, i)
	case "rc16":
		return n&1*2 + i&1
	}
	return sel >> (4 * i) & 15
}

func compileCount(c *compiler, s *stmt) {
	t := c.typ("b32", "b64")
	if !c.args(s, 2, 2) {
		return
	}
	d, a := c.result(s.args[0], b32), c.value(s.args[1], t)
	if s.op == "popc" {
		c.lanes1(d, a, b32.mask(), func(a uint64) uint64 { return uint64(bits.OnesCount64(a)) })
		return
	}
	n := t.bits
	c.lanes1(d, a, b32.mask(), func(a uint64) uint64 { return uint64(bits.LeadingZeros64(a) - 64 + n) })
}

func compileBrev(c *compiler, s *stmt) {
	t := c.typ("b32", "b64")
	if !c.args(s, 2, 2) {
		return
	}
	d, a := c.result(s.args[0], t), c.value(s.args[1], t)
	n := t.bits
	c.lanes1(d, a, t.mask(), func(a uint64) uint64 { return bits.Reverse64(a) >> (64 - n) })
}

// compileBfind finds the most significant bit that is not the sign (PTX ISA:
// bfind); 0xffffffff if there is none.
func compileBfind(c *compiler, s *stmt) {
	amount := c.opt("shiftamt") != ""
	t := c.typ("u32", "u64", "s32", "s64")
	if !c.args(s, 2, 2) {
		return
	}
	d, a := c.result(s.args[0], b32), c.value(s.args[1], t)
	n := t.bits
	c.lanes1(d, a, b32.mask(), func(a uint64) uint64 {
		if t.kind == 's' && sext(a, n) < 0 {
			a = ^a & t.mask()
		}
		if a == 0 {
			return ^uint64(0)
		}
		p := bits.Len64(a) - 1
		if amount {
			p = n - 1 - p
		}
		return uint64(p)
	})
}

// compileBfe extracts len bits from pos (PTX ISA: bfe). pos and len count from
// 0 to 255; bits above the most significant one are the field's sign, or the
// value's where the field reaches beyond it.
func compileBfe(c *compiler, s *stmt) {
	t := c.typ("u32", "u64", "s32", "s64")
	if !c.args(s, 4, 4) {
		return
	}
	d, a := c.result(s.args[0], t), c.value(s.args[1], t)
	b, e := c.value(s.args[2], b32), c.value(s.args[3], b32)
	msb := uint64(t.bits - 1)
	c.lanes3(d, a, b, e, t.mask(), func(a, pos, length uint64) uint64 {
		pos, length = pos&255, length&255
		var sign uint64
		if t.kind == 's' && length != 0 {
			sign = a >> min(pos+length-1, msb) & 1
		}
		field := ^uint64(0) // where the field is in the result
		if length < 64 {
			field = 1<<length - 1
		}
		// Bits of the field beyond the value count as above it: the sign.
		if pos > msb {
			field = 0
		} else if rest := msb - pos + 1; rest < 64 {
			field &= 1<<rest - 1
		}
		return a>>pos&field | -sign&^field
	})
}

// compileBfi inserts the low len bits of a into b at pos (PTX ISA: bfi).
func compileBfi(c *compiler, s *stmt) {
	t := c.typ("b32", "b64")
	if !c.args(s, 5, 5) {
		return
	}
	d, a, b := c.result(s.args[0], t), c.value(s.args[1], t), c.value(s.args[2], t)
	pos, length := c.value(s.args[3], b32), c.value(s.args[4], b32)
	c.plain(func(w *warp, m uint32) {
		D, A, B, P, L := &w.rows[d], &w.rows[a], &w.rows[b], &w.rows[pos], &w.rows[length]
		for l := range D {
			if m>>l&1 == 0 {
				continue
			}
			p, n := P[l]&255, L[l]&255
			field := ^uint64(0)
			if n < 64 {
				field = 1<<n - 1
			}
			field = field << p & t.mask()
			D[l] = B[l]&^field | A[l]<<p&field
		}
	})
}
