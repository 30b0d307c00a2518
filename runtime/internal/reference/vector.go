package reference

import (
	"fmt"
	"math/bits"
)

// lane returns lane l of lanes of w bits, zero-extended.
func (v Value) lane(w, l int) uint64 {
	at := w * l
	word := v.Lo
	if at >= 64 {
		word, at = v.Hi, at-64
	}
	return word >> at & (^uint64(0) >> (64 - w))
}

// with returns v with lane l replaced by the low bits of x.
func (v Value) with(w, l int, x uint64) Value {
	at, mask := w*l, ^uint64(0)>>(64-w)
	word := &v.Lo
	if at >= 64 {
		word, at = &v.Hi, at-64
	}
	*word = *word&^(mask<<at) | x&mask<<at
	return v
}

// lanes makes a vector of lanes of w bits.
func lanes(w int, f func(l int) uint64) (v Value) {
	for l := range 128 / w {
		v = v.with(w, l, f(l))
	}
	return v
}

// saturate clamps n to a signed or unsigned number of w bits.
func saturate(n int64, w int, signed bool) uint64 {
	lo, hi := int64(0), int64(1)<<w-1
	if signed {
		lo, hi = -1<<(w-1), 1<<(w-1)-1
	}
	return uint64(min(max(n, lo), hi))
}

func mask(b uint64) uint64 { return -b }

// number reads lane l as signed or unsigned.
func (v Value) number(w, l int, signed bool) int64 {
	if x := v.lane(w, l); signed {
		return extend(x, w)
	} else {
		return int64(x)
	}
}

// vector runs the 0xFD instructions that touch no memory.
func (r *frame) vector(i *instr) {
	op := i.op & 0xFF
	switch s := signature(i.op); s {
	case "vvv>v":
		c, b, a := r.pop(), r.pop(), r.pop()
		r.push(Value{a.Lo&c.Lo | b.Lo&^c.Lo, a.Hi&c.Hi | b.Hi&^c.Hi})
	case "vv>v":
		b, a := r.pop(), r.pop()
		r.push(twoOperands(op, a, b, i.imm))
	case "v>v":
		r.push(oneOperand(op, r.pop()))
	case "vi>v":
		if op < 0x20 {
			r.replace(op, int(i.a))
			return
		}
		k, v := r.pop32(), r.pop()
		r.push(shift(op, v, k))
	case "vl>v", "vf>v", "vd>v":
		r.replace(op, int(i.a))
	case "i>v", "l>v", "f>v", "d>v": // splats
		x := r.pop().Lo
		r.push(lanes([]int{8, 16, 32, 64, 32, 64}[op-0x0F], func(int) uint64 { return x }))
	case "v>l", "v>f", "v>d":
		w := map[uint16]int{0x1D: 64, 0x1F: 32, 0x21: 64}[op]
		r.push(Value{Lo: r.pop().lane(w, int(i.a))})
	case "v>i":
		r.push32(toInt(op, r.pop(), int(i.a)))
	default:
		panic(fmt.Sprintf("vector instruction %#x: %s", op, s))
	}
}

func (r *frame) replace(op uint16, l int) {
	x, v := r.pop().Lo, r.pop()
	w := map[uint16]int{0x17: 8, 0x1A: 16, 0x1C: 32, 0x1E: 64, 0x20: 32, 0x22: 64}[op]
	r.push(v.with(w, l, x))
}

// toInt runs extract_lane to i32, any_true, all_true and bitmask.
func toInt(op uint16, v Value, l int) uint32 {
	switch op {
	case 0x15, 0x16:
		return uint32(v.number(8, l, op == 0x15))
	case 0x18, 0x19:
		return uint32(v.number(16, l, op == 0x18))
	case 0x1B:
		return uint32(v.lane(32, l))
	case 0x53:
		return flag(v != Value{})
	}
	w := 8 << ((op - 0x63) >> 5)
	all, set := true, uint32(0)
	for l := range 128 / w {
		x := v.lane(w, l)
		all = all && x != 0
		set |= uint32(x>>(w-1)) << l
	}
	if op&0x1F == 3 {
		return flag(all)
	}
	return set
}

// shift: shl shr_s shr_u of each width.
func shift(op uint16, v Value, k uint32) Value {
	w := 8 << ((op - 0x6B) >> 5)
	n := int(k) & (w - 1)
	return lanes(w, func(l int) uint64 {
		switch op & 0x1F {
		case 0x0B:
			return v.lane(w, l) << n
		case 0x0C:
			return uint64(extend(v.lane(w, l), w) >> n)
		}
		return v.lane(w, l) >> n
	})
}

func oneOperand(op uint16, v Value) Value {
	float := func(w int, which uint16) Value {
		return lanes(w, func(l int) uint64 { return floatUnary(which, v.lane(w, l), w) })
	}
	widen := func(w int, signed, high bool) Value {
		from := 0
		if high {
			from = 64 / w
		}
		return lanes(2*w, func(l int) uint64 { return uint64(v.number(w, from+l, signed)) })
	}
	switch op {
	case 0x4D:
		return Value{^v.Lo, ^v.Hi}
	case 0x5E: // demote: two lanes, two zeros
		return Value{Lo: canon32(float32(as64(v.Lo))) | canon32(float32(as64(v.Hi)))<<32}
	case 0x5F:
		return lanes(64, func(l int) uint64 { return canon64(float64(as32(v.lane(32, l)))) })
	case 0x62:
		return lanes(8, func(l int) uint64 { return uint64(bits.OnesCount64(v.lane(8, l))) })
	case 0x67, 0x68, 0x69, 0x6A:
		return float(32, op-0x67+2)
	case 0x74, 0x75:
		return float(64, op-0x74+2)
	case 0x7A:
		return float(64, 4)
	case 0x94:
		return float(64, 5)
	case 0xE0, 0xE1:
		return float(32, op-0xE0)
	case 0xE3:
		return float(32, 6)
	case 0xEC, 0xED:
		return float(64, op-0xEC)
	case 0xEF:
		return float(64, 6)
	case 0x7C, 0x7D, 0x7E, 0x7F: // pairwise sums
		w := 8 << ((op - 0x7C) / 2)
		return lanes(2*w, func(l int) uint64 {
			return uint64(v.number(w, 2*l, op%2 == 0) + v.number(w, 2*l+1, op%2 == 0))
		})
	case 0x87, 0x88, 0x89, 0x8A, 0xA7, 0xA8, 0xA9, 0xAA, 0xC7, 0xC8, 0xC9, 0xCA:
		which := op&0x1F - 7
		return widen(8<<((op-0x87)>>5), which < 2, which%2 == 1)
	case 0x60, 0x61, 0x80, 0x81, 0xA0, 0xA1, 0xC0, 0xC1:
		w := 8 << ((op - 0x60) >> 5)
		return lanes(w, func(l int) uint64 {
			if n := v.number(w, l, true); op&1 == 1 || n < 0 {
				return uint64(-n)
			} else {
				return uint64(n)
			}
		})
	case 0xF8, 0xF9:
		return lanes(32, func(l int) uint64 { return integral(float64(as32(v.lane(32, l))), 32, op == 0xF8, true) })
	case 0xFA, 0xFB:
		return lanes(32, func(l int) uint64 { return canon32(float32(v.number(32, l, op == 0xFA))) })
	case 0xFC, 0xFD:
		return Value{Lo: integral(as64(v.Lo), 32, op == 0xFC, true) | integral(as64(v.Hi), 32, op == 0xFC, true)<<32}
	case 0xFE, 0xFF:
		return lanes(64, func(l int) uint64 { return canon64(float64(v.number(32, l, op == 0xFE))) })
	}
	panic(fmt.Sprintf("unary vector instruction %#x", op))
}

func twoOperands(op uint16, a, b, imm Value) Value {
	float := func(w int, which uint16) Value {
		return lanes(w, func(l int) uint64 { return floatBinary(which, a.lane(w, l), b.lane(w, l), w) })
	}
	compare := func(w int, which uint16) Value {
		return lanes(w, func(l int) uint64 { return mask(compareInt(which, a.lane(w, l), b.lane(w, l), w)) })
	}
	switch {
	case op == 0x0D:
		return lanes(8, func(l int) uint64 {
			if k := int(imm.lane(8, l)); k < 16 {
				return a.lane(8, k)
			} else {
				return b.lane(8, k-16)
			}
		})
	case op == 0x0E:
		return lanes(8, func(l int) uint64 {
			if k := int(b.lane(8, l)); k < 16 {
				return a.lane(8, k)
			}
			return 0
		})
	case op <= 0x2C:
		return compare(8, op-0x23)
	case op <= 0x36:
		return compare(16, op-0x2D)
	case op <= 0x40:
		return compare(32, op-0x37)
	case op <= 0x46:
		return lanes(32, func(l int) uint64 {
			return mask(compareFloat(op-0x41, float64(as32(a.lane(32, l))), float64(as32(b.lane(32, l)))))
		})
	case op <= 0x4C:
		return lanes(64, func(l int) uint64 { return mask(compareFloat(op-0x47, as64(a.lane(64, l)), as64(b.lane(64, l)))) })
	case op == 0x4E:
		return Value{a.Lo & b.Lo, a.Hi & b.Hi}
	case op == 0x4F:
		return Value{a.Lo &^ b.Lo, a.Hi &^ b.Hi}
	case op == 0x50:
		return Value{a.Lo | b.Lo, a.Hi | b.Hi}
	case op == 0x51:
		return Value{a.Lo ^ b.Lo, a.Hi ^ b.Hi}
	case op >= 0xD6 && op <= 0xDB:
		return compare(64, []uint16{0, 1, 2, 4, 6, 8}[op-0xD6])
	case op >= 0xE4 && op <= 0xE9:
		return float(32, op-0xE4)
	case op >= 0xF0 && op <= 0xF5:
		return float(64, op-0xF0)
	case op == 0xEA, op == 0xEB:
		return lanes(32, func(l int) uint64 {
			return pseudo(a.lane(32, l), b.lane(32, l), float64(as32(a.lane(32, l))), float64(as32(b.lane(32, l))), op == 0xEA)
		})
	case op == 0xF6, op == 0xF7:
		return lanes(64, func(l int) uint64 {
			return pseudo(a.lane(64, l), b.lane(64, l), as64(a.lane(64, l)), as64(b.lane(64, l)), op == 0xF6)
		})
	}
	return integers(op, a, b)
}

// pseudo is pmin or pmax: one of its operands, bit for bit.
func pseudo(a, b uint64, x, y float64, least bool) uint64 {
	if least && y < x || !least && x < y {
		return b
	}
	return a
}

// integers runs the integer lane instructions 0x65 to 0xDF with two operands.
// Those of one kind are 0x20 apart for each doubling of the lane's width.
func integers(op uint16, a, b Value) Value {
	w := 8 << ((op - 0x60) >> 5)
	each := func(f func(x, y uint64) uint64) Value {
		return lanes(w, func(l int) uint64 { return f(a.lane(w, l), b.lane(w, l)) })
	}
	pick := func(signed bool, f func(x, y int64) int64) Value {
		return lanes(w, func(l int) uint64 { return uint64(f(a.number(w, l, signed), b.number(w, l, signed))) })
	}
	sat := func(signed, sub bool) Value {
		return lanes(w, func(l int) uint64 {
			x, y := a.number(w, l, signed), b.number(w, l, signed)
			if sub {
				y = -y
			}
			return saturate(x+y, w, signed)
		})
	}
	least := func(x, y int64) int64 { return min(x, y) }
	most := func(x, y int64) int64 { return max(x, y) }
	switch op {
	case 0x82: // q15mulr_sat_s
		return lanes(16, func(l int) uint64 {
			return saturate((a.number(16, l, true)*b.number(16, l, true)+0x4000)>>15, 16, true)
		})
	case 0xBA: // dot product
		return lanes(32, func(l int) uint64 {
			return uint64(a.number(16, 2*l, true)*b.number(16, 2*l, true) + a.number(16, 2*l+1, true)*b.number(16, 2*l+1, true))
		})
	}
	switch op & 0x1F {
	case 0x05, 0x06: // narrow: both operands' lanes of twice the width
		signed := op&0x1F == 5
		n := 128 / w
		return lanes(w, func(l int) uint64 {
			if l < n/2 {
				return saturate(a.number(2*w, l, true), w, signed)
			}
			return saturate(b.number(2*w, l-n/2, true), w, signed)
		})
	case 0x0E:
		return each(func(x, y uint64) uint64 { return x + y })
	case 0x0F, 0x10:
		return sat(op&0x1F == 0x0F, false)
	case 0x11:
		return each(func(x, y uint64) uint64 { return x - y })
	case 0x12, 0x13:
		return sat(op&0x1F == 0x12, true)
	case 0x15:
		return each(func(x, y uint64) uint64 { return x * y })
	case 0x16, 0x17:
		return pick(op&0x1F == 0x16, least)
	case 0x18, 0x19:
		return pick(op&0x1F == 0x18, most)
	case 0x1B:
		return pick(false, func(x, y int64) int64 { return (x + y + 1) / 2 })
	case 0x1C, 0x1D, 0x1E, 0x1F: // extmul: lanes of half the width
		which := op & 3
		half, from := w/2, 0
		if which%2 == 1 {
			from = 128 / w
		}
		return lanes(w, func(l int) uint64 {
			return uint64(a.number(half, from+l, which < 2)) * uint64(b.number(half, from+l, which < 2))
		})
	}
	panic(fmt.Sprintf("binary vector instruction %#x", op))
}
