package ptx

import "math/bits"

// instructions maps an opcode to what compiles it. Each handler consumes the
// modifiers it knows and refuses the rest.
var instructions map[string]func(c *compiler, s *stmt)

func init() {
	instructions = map[string]func(c *compiler, s *stmt){
		"add": compileAdd, "sub": compileAdd, "addc": compileCarry, "subc": compileCarry,
		"mul": compileMul, "mad": compileMul, "madc": compileMul,
		"div": compileDiv, "rem": compileDiv, "abs": compileAbs, "neg": compileAbs,
		"min": compileMinMax, "max": compileMinMax, "sad": compileSad,
		"dp4a": compileDp4a, "dp2a": compileDp2a,

		"and": compileLogic, "or": compileLogic, "xor": compileLogic, "not": compileNot, "cnot": compileNot,
		"lop3": compileLop3, "shl": compileShift, "shr": compileShift, "shf": compileFunnel, "prmt": compilePrmt,
		"popc": compileCount, "clz": compileCount, "brev": compileBrev, "bfind": compileBfind,
		"bfe": compileBfe, "bfi": compileBfi,

		"mov": compileMov, "cvt": compileCvt, "selp": compileSelp, "slct": compileSlct,
		"setp": compileSetp, "set": compileSet,

		"bra": compileBra, "brx": compileBrx, "ret": compileRet, "exit": compileRet, "call": compileCall, "trap": compileTrap,
	}
	for _, more := range []map[string]func(c *compiler, s *stmt){memoryInstructions, warpInstructions, asyncInstructions} {
		for op, f := range more {
			instructions[op] = f
		}
	}
}

// sext sign-extends the low n bits of v.
func sext(v uint64, n int) int64 { return int64(v<<(64-n)) >> (64 - n) }

var wordTypes = []string{"u16", "u32", "u64", "s16", "s32", "s64"}

// lanes1, lanes2 and lanes3 emit d = f(a, b, c) for each lane. f's result is cut to mask.
func (c *compiler) lanes1(d, a int, mask uint64, f func(a uint64) uint64) {
	c.plain(func(w *warp, m uint32) {
		D, A := &w.rows[d], &w.rows[a]
		for l := range D {
			if m>>l&1 != 0 {
				D[l] = f(A[l]) & mask
			}
		}
	})
}

func (c *compiler) lanes2(d, a, b int, mask uint64, f func(a, b uint64) uint64) {
	c.plain(func(w *warp, m uint32) {
		D, A, B := &w.rows[d], &w.rows[a], &w.rows[b]
		for l := range D {
			if m>>l&1 != 0 {
				D[l] = f(A[l], B[l]) & mask
			}
		}
	})
}

func (c *compiler) lanes3(d, a, b, e int, mask uint64, f func(a, b, c uint64) uint64) {
	c.plain(func(w *warp, m uint32) {
		D, A, B, E := &w.rows[d], &w.rows[a], &w.rows[b], &w.rows[e]
		for l := range D {
			if m>>l&1 != 0 {
				D[l] = f(A[l], B[l], E[l]) & mask
			}
		}
	})
}

// compileAdd handles add and sub (PTX ISA: add, sub): wrapping, .sat.s32
// clamping, and .cc setting the carry.
func compileAdd(c *compiler, s *stmt) {
	if c.opt("cc") != "" {
		carry(c, s, true, false)
		return
	}
	sat := c.opt("sat") != ""
	t := c.typ(wordTypes...)
	if sat && (t.kind != 's' || t.bits != 32) {
		c.fail("%s.sat of another type than s32", s.op)
	}
	if !c.args(s, 3, 3) {
		return
	}
	d, a, b, mask := c.result(s.args[0], t), c.value(s.args[1], t), c.value(s.args[2], t), t.mask()
	sub := s.op == "sub"
	switch {
	case sat:
		c.lanes2(d, a, b, mask, func(a, b uint64) uint64 {
			x, y := sext(a, 32), sext(b, 32)
			if sub {
				y = -y
			}
			return uint64(clamp(x+y, -1<<31, 1<<31-1))
		})
	case sub:
		c.plain(func(w *warp, m uint32) {
			D, A, B := &w.rows[d], &w.rows[a], &w.rows[b]
			for l := range D {
				if m>>l&1 != 0 {
					D[l] = (A[l] - B[l]) & mask
				}
			}
		})
	default:
		c.plain(func(w *warp, m uint32) {
			D, A, B := &w.rows[d], &w.rows[a], &w.rows[b]
			if m == ^uint32(0) {
				for l := range D {
					D[l] = (A[l] + B[l]) & mask
				}
				return
			}
			for l := range D {
				if m>>l&1 != 0 {
					D[l] = (A[l] + B[l]) & mask
				}
			}
		})
	}
}

func clamp(v, low, high int64) int64 { return max(low, min(high, v)) }

func compileCarry(c *compiler, s *stmt) { carry(c, s, c.opt("cc") != "", true) }

// carry handles add.cc, addc{.cc}, sub.cc and subc{.cc} (PTX ISA: Extended-
// Precision Integer Arithmetic). CC.CF is the carry of an addition and the
// borrow of a subtraction.
func carry(c *compiler, s *stmt, out, in bool) {
	t := c.typ("u32", "s32", "u64", "s64")
	if !c.args(s, 3, 3) {
		return
	}
	d, a, b, mask := c.result(s.args[0], t), c.value(s.args[1], t), c.value(s.args[2], t), t.mask()
	sub := s.op[:3] == "sub"
	width := uint(t.bits)
	c.plain(func(w *warp, m uint32) {
		D, A, B := &w.rows[d], &w.rows[a], &w.rows[b]
		for l := range D {
			if m>>l&1 == 0 {
				continue
			}
			var cf, sum uint64
			if in {
				cf = uint64(w.carry >> l & 1)
			}
			if sub {
				sum, cf = bits.Sub64(A[l], B[l], cf)
			} else {
				sum, cf = bits.Add64(A[l], B[l], cf)
				if width == 32 {
					cf = sum >> 32
				}
			}
			D[l] = sum & mask
			if out {
				w.carry = w.carry&^(1<<l) | uint32(cf)<<l
			}
		}
	})
}

// compileMul handles mul, mad and madc (PTX ISA: mul, mad, mad.cc, madc).
func compileMul(c *compiler, s *stmt) {
	part := c.want("lo", "hi", "wide")
	cc := s.op != "mul" && part != "wide" && c.opt("cc") != ""
	in := s.op == "madc"
	sat := s.op == "mad" && part == "hi" && !cc && c.opt("sat") != ""
	t := c.typ(wordTypes...)
	if (cc || in) && (t.bits == 16 || part == "wide") || part == "wide" && t.bits == 64 || sat && (t.bits != 32 || t.kind != 's') {
		c.fail("%s.%s of type %c%d", s.op, part, t.kind, t.bits)
	}
	n := 4
	if s.op == "mul" {
		n = 3
	}
	if !c.args(s, n, n) {
		return
	}
	to := t
	if part == "wide" {
		to.bits *= 2
	}
	d, a, b := c.result(s.args[0], to), c.value(s.args[1], t), c.value(s.args[2], t)
	product := multiplier(part, t)
	mask := to.mask()
	if n == 3 {
		c.lanes2(d, a, b, mask, product)
		return
	}
	e := c.value(s.args[3], to)
	switch {
	case cc || in:
		c.plain(func(w *warp, m uint32) {
			D, A, B, E := &w.rows[d], &w.rows[a], &w.rows[b], &w.rows[e]
			for l := range D {
				if m>>l&1 == 0 {
					continue
				}
				var cf uint64
				if in {
					cf = uint64(w.carry >> l & 1)
				}
				sum, cf := bits.Add64(product(A[l], B[l])&mask, E[l], cf)
				if t.bits == 32 {
					cf = sum >> 32
				}
				D[l] = sum & mask
				if cc {
					w.carry = w.carry&^(1<<l) | uint32(cf)<<l
				}
			}
		})
	case sat:
		c.lanes3(d, a, b, e, mask, func(a, b, e uint64) uint64 {
			return uint64(clamp(sext(product(a, b), 32)+sext(e, 32), -1<<31, 1<<31-1))
		})
	case part == "lo":
		c.plain(func(w *warp, m uint32) {
			D, A, B, E := &w.rows[d], &w.rows[a], &w.rows[b], &w.rows[e]
			for l := range D {
				if m>>l&1 != 0 {
					D[l] = (A[l]*B[l] + E[l]) & mask
				}
			}
		})
	default:
		c.lanes3(d, a, b, e, mask, func(a, b, e uint64) uint64 { return product(a, b) + e })
	}
}

// multiplier returns the part of a product that an instruction asks for.
func multiplier(part string, t typ) func(a, b uint64) uint64 {
	n := t.bits
	switch {
	case part == "lo" || part == "wide" && t.kind == 'u':
		return func(a, b uint64) uint64 { return a * b }
	case part == "wide":
		return func(a, b uint64) uint64 { return uint64(sext(a, n) * sext(b, n)) }
	case n == 64 && t.kind == 'u':
		return func(a, b uint64) uint64 { hi, _ := bits.Mul64(a, b); return hi }
	case n == 64:
		return func(a, b uint64) uint64 {
			hi, _ := bits.Mul64(a, b)
			// Two's complement: subtract the other factor for each negative one.
			return hi - b&uint64(int64(a)>>63) - a&uint64(int64(b)>>63)
		}
	case t.kind == 'u':
		return func(a, b uint64) uint64 { return a * b >> n }
	}
	return func(a, b uint64) uint64 { return uint64(sext(a, n) * sext(b, n) >> n) }
}

// compileDiv handles div and rem (PTX ISA: div, rem). What division by zero
// yields is not specified, so it is a fault. The quotient of the least value and
// −1 wraps.
func compileDiv(c *compiler, s *stmt) {
	t := c.typ(wordTypes...)
	if !c.args(s, 3, 3) {
		return
	}
	d, a, b := c.result(s.args[0], t), c.value(s.args[1], t), c.value(s.args[2], t)
	n, rem, signed, mask := t.bits, s.op == "rem", t.kind == 's', t.mask()
	c.plain(func(w *warp, m uint32) {
		for ; m != 0; m &= m - 1 {
			l := first(m)
			x, y := w.rows[a][l], w.rows[b][l]
			if y == 0 {
				w.fault(ErrOperand, l, "", 0, "division by zero")
			}
			var v uint64
			switch {
			case signed && rem:
				v = uint64(sext(x, n) % sext(y, n))
			case signed:
				v = uint64(sext(x, n) / sext(y, n))
			case rem:
				v = x % y
			default:
				v = x / y
			}
			w.rows[d][l] = v & mask
		}
	})
}

// compileAbs handles abs and neg. The least value maps to itself.
func compileAbs(c *compiler, s *stmt) {
	t := c.typ("s16", "s32", "s64")
	if !c.args(s, 2, 2) {
		return
	}
	d, a := c.result(s.args[0], t), c.value(s.args[1], t)
	n, abs := t.bits, s.op == "abs"
	c.lanes1(d, a, t.mask(), func(a uint64) uint64 {
		if abs && sext(a, n) >= 0 {
			return a
		}
		return -a
	})
}

func compileMinMax(c *compiler, s *stmt) {
	t := c.typ(wordTypes...)
	if !c.args(s, 3, 3) {
		return
	}
	d, a, b := c.result(s.args[0], t), c.value(s.args[1], t), c.value(s.args[2], t)
	c.lanes2(d, a, b, t.mask(), chooser(s.op, t))
}

// chooser is min or max of values of type t.
func chooser(op string, t typ) func(a, b uint64) uint64 {
	n := t.bits
	switch {
	case op == "min" && t.kind == 's':
		return func(a, b uint64) uint64 { return uint64(min(sext(a, n), sext(b, n))) }
	case op == "max" && t.kind == 's':
		return func(a, b uint64) uint64 { return uint64(max(sext(a, n), sext(b, n))) }
	case op == "min":
		return func(a, b uint64) uint64 { return min(a, b) }
	}
	return func(a, b uint64) uint64 { return max(a, b) }
}

// compileSad is d = c + |a − b|.
func compileSad(c *compiler, s *stmt) {
	t := c.typ(wordTypes...)
	if !c.args(s, 4, 4) {
		return
	}
	d, a, b, e := c.result(s.args[0], t), c.value(s.args[1], t), c.value(s.args[2], t), c.value(s.args[3], t)
	high, low := chooser("max", t), chooser("min", t)
	c.lanes3(d, a, b, e, t.mask(), func(a, b, e uint64) uint64 { return e + high(a, b) - low(a, b) })
}

// compileDp4a is a dot product of four bytes (PTX ISA: dp4a).
func compileDp4a(c *compiler, s *stmt) {
	ta, tb := c.typ("u32", "s32"), c.typ("u32", "s32")
	if !c.args(s, 4, 4) {
		return
	}
	t := typ{'b', 32}
	d, a, b, e := c.result(s.args[0], t), c.value(s.args[1], t), c.value(s.args[2], t), c.value(s.args[3], t)
	c.lanes3(d, a, b, e, t.mask(), func(a, b, e uint64) uint64 {
		for i := 0; i < 32; i += 8 {
			e += extend(a>>i, 8, ta) * extend(b>>i, 8, tb)
		}
		return e
	})
}

// compileDp2a is a dot product of two halves of a with two bytes of b, the low
// or the high ones.
func compileDp2a(c *compiler, s *stmt) {
	part := c.want("lo", "hi")
	ta, tb := c.typ("u32", "s32"), c.typ("u32", "s32")
	if !c.args(s, 4, 4) {
		return
	}
	t := typ{'b', 32}
	d, a, b, e := c.result(s.args[0], t), c.value(s.args[1], t), c.value(s.args[2], t), c.value(s.args[3], t)
	c.lanes3(d, a, b, e, t.mask(), func(a, b, e uint64) uint64 {
		if part == "hi" {
			b >>= 16
		}
		return e + extend(a, 16, ta)*extend(b, 8, tb) + extend(a>>16, 16, ta)*extend(b>>8, 8, tb)
	})
}

// extend takes the low n bits of v by the sign of t.
func extend(v uint64, n int, t typ) uint64 {
	if t.kind == 's' {
		return uint64(sext(v, n))
	}
	return v & (1<<n - 1)
}
