package ptx

import (
	"math/big"
	"math/bits"
	"strings"
)

// An opCase is an instruction and a formula written on its own: with math/big
// or the integers of Go, where the emulator shifts and masks.
type opCase struct {
	ptx  string
	want func(a, b, c, d uint64) uint64
}

const (
	out32 = "\n\tcvt.u64.u32 %rd10, %r10;"
	out16 = "\n\tcvt.u64.u16 %rd10, %rs10;"
	outP  = "\n\tselp.u64 %rd10, 1, 0, %p1;"
)

func u(v uint32) uint64      { return uint64(v) }
func flag(b bool) uint64     { return map[bool]uint64{true: 1}[b] }
func big64(v int64) *big.Int { return big.NewInt(v) }
func bigU(v uint64) *big.Int { return new(big.Int).SetUint64(v) }

// low takes 64 bits of x from bit n up, in two's complement.
func low(x *big.Int, n uint) uint64 {
	y := new(big.Int).Rsh(x, n)
	return y.And(y, bigU(^uint64(0))).Uint64()
}

func mul(x, y *big.Int) *big.Int  { return new(big.Int).Mul(x, y) }
func plus(x, y *big.Int) *big.Int { return new(big.Int).Add(x, y) }

func clampBig(x *big.Int, low, high int64) uint64 {
	switch {
	case x.Cmp(big64(low)) < 0:
		return uint64(low)
	case x.Cmp(big64(high)) > 0:
		return uint64(high)
	}
	return uint64(x.Int64())
}

var arithmetic = []opCase{
	{"add.u16 %rs10, %rs1, %rs2;" + out16, func(a, b, c, d uint64) uint64 { return uint64(uint16(a) + uint16(b)) }},
	{"add.s32 %r10, %r1, %r2;" + out32, func(a, b, c, d uint64) uint64 { return u(uint32(a) + uint32(b)) }},
	{"add.s32 %r10, %r1, -5;" + out32, func(a, b, c, d uint64) uint64 { return u(uint32(a) - 5) }},
	{"add.s64 %rd10, %rd1, %rd2;", func(a, b, c, d uint64) uint64 { return a + b }},
	{"add.sat.s32 %r10, %r1, %r2;" + out32, func(a, b, c, d uint64) uint64 {
		return u(uint32(clampBig(plus(big64(int64(int32(a))), big64(int64(int32(b)))), -1<<31, 1<<31-1)))
	}},
	{"sub.sat.s32 %r10, %r1, %r2;" + out32, func(a, b, c, d uint64) uint64 {
		return u(uint32(clampBig(plus(big64(int64(int32(a))), big64(-int64(int32(b)))), -1<<31, 1<<31-1)))
	}},
	{"sub.u16 %rs10, %rs1, %rs2;" + out16, func(a, b, c, d uint64) uint64 { return uint64(uint16(a) - uint16(b)) }},
	{"sub.u32 %r10, %r1, %r2;" + out32, func(a, b, c, d uint64) uint64 { return u(uint32(a) - uint32(b)) }},
	{"sub.u64 %rd10, %rd1, %rd2;", func(a, b, c, d uint64) uint64 { return a - b }},
	{"add.cc.u32 %r11, %r1, %r3;\naddc.u32 %r10, %r2, %r4;" + out32, func(a, b, c, d uint64) uint64 {
		x := plus(bigU(u(uint32(b))<<32|u(uint32(a))), bigU(u(uint32(d))<<32|u(uint32(c))))
		return u(uint32(low(x, 32)))
	}},
	{"sub.cc.u32 %r11, %r1, %r3;\nsubc.u32 %r10, %r2, %r4;" + out32, func(a, b, c, d uint64) uint64 {
		return ((u(uint32(b))<<32 | u(uint32(a))) - (u(uint32(d))<<32 | u(uint32(c)))) >> 32
	}},
	{"add.cc.s64 %rd11, %rd1, %rd3;\naddc.cc.s64 %rd12, %rd2, %rd4;\naddc.s64 %rd10, 0, 0;", func(a, b, c, d uint64) uint64 {
		x := plus(plus(new(big.Int).Lsh(bigU(b), 64), bigU(a)), plus(new(big.Int).Lsh(bigU(d), 64), bigU(c)))
		return low(x, 128)
	}},
	{"sub.cc.s64 %rd11, %rd1, %rd3;\nsubc.s64 %rd10, %rd2, %rd4;", func(a, b, c, d uint64) uint64 {
		x := plus(plus(new(big.Int).Lsh(bigU(b), 64), bigU(a)), new(big.Int).Neg(plus(new(big.Int).Lsh(bigU(d), 64), bigU(c))))
		return low(x, 64)
	}},
	{"mad.lo.cc.u32 %r11, %r1, %r2, %r3;\nmadc.hi.u32 %r10, %r1, %r2, %r4;" + out32, func(a, b, c, d uint64) uint64 {
		x := plus(mul(bigU(u(uint32(a))), bigU(u(uint32(b)))), bigU(u(uint32(d))<<32|u(uint32(c))))
		return u(uint32(low(x, 32)))
	}},
	{"mul.lo.u16 %rs10, %rs1, %rs2;" + out16, func(a, b, c, d uint64) uint64 { return uint64(uint16(a) * uint16(b)) }},
	{"mul.hi.u16 %rs10, %rs1, %rs2;" + out16, func(a, b, c, d uint64) uint64 {
		return uint64(uint16(low(mul(bigU(uint64(uint16(a))), bigU(uint64(uint16(b)))), 16)))
	}},
	{"mul.hi.s16 %rs10, %rs1, %rs2;" + out16, func(a, b, c, d uint64) uint64 {
		return uint64(uint16(low(mul(big64(int64(int16(a))), big64(int64(int16(b)))), 16)))
	}},
	{"mul.wide.s16 %r10, %rs1, %rs2;" + out32, func(a, b, c, d uint64) uint64 { return u(uint32(int32(int16(a)) * int32(int16(b)))) }},
	{"mul.wide.u16 %r10, %rs1, %rs2;" + out32, func(a, b, c, d uint64) uint64 { return u(uint32(uint16(a)) * uint32(uint16(b))) }},
	{"mul.lo.s32 %r10, %r1, %r2;" + out32, func(a, b, c, d uint64) uint64 { return u(uint32(a) * uint32(b)) }},
	{"mul.hi.s32 %r10, %r1, %r2;" + out32, func(a, b, c, d uint64) uint64 {
		return u(uint32(low(mul(big64(int64(int32(a))), big64(int64(int32(b)))), 32)))
	}},
	{"mul.hi.u32 %r10, %r1, %r2;" + out32, func(a, b, c, d uint64) uint64 {
		return u(uint32(low(mul(bigU(u(uint32(a))), bigU(u(uint32(b)))), 32)))
	}},
	{"mul.wide.s32 %rd10, %r1, %r2;", func(a, b, c, d uint64) uint64 { return uint64(int64(int32(a)) * int64(int32(b))) }},
	{"mul.wide.u32 %rd10, %r1, %r2;", func(a, b, c, d uint64) uint64 { return u(uint32(a)) * u(uint32(b)) }},
	{"mul.lo.s64 %rd10, %rd1, %rd2;", func(a, b, c, d uint64) uint64 { return a * b }},
	{"mul.hi.s64 %rd10, %rd1, %rd2;", func(a, b, c, d uint64) uint64 { return low(mul(big64(int64(a)), big64(int64(b))), 64) }},
	{"mul.hi.u64 %rd10, %rd1, %rd2;", func(a, b, c, d uint64) uint64 { return low(mul(bigU(a), bigU(b)), 64) }},
	{"mad.lo.s32 %r10, %r1, %r2, %r3;" + out32, func(a, b, c, d uint64) uint64 { return u(uint32(a)*uint32(b) + uint32(c)) }},
	{"mad.lo.u16 %rs10, %rs1, %rs2, %rs3;" + out16, func(a, b, c, d uint64) uint64 { return uint64(uint16(a)*uint16(b) + uint16(c)) }},
	{"mad.hi.s32 %r10, %r1, %r2, %r3;" + out32, func(a, b, c, d uint64) uint64 {
		return u(uint32(low(mul(big64(int64(int32(a))), big64(int64(int32(b)))), 32)) + uint32(c))
	}},
	{"mad.hi.sat.s32 %r10, %r1, %r2, %r3;" + out32, func(a, b, c, d uint64) uint64 {
		hi := new(big.Int).Rsh(mul(big64(int64(int32(a))), big64(int64(int32(b)))), 32)
		return u(uint32(clampBig(plus(hi, big64(int64(int32(c)))), -1<<31, 1<<31-1)))
	}},
	{"mad.wide.s32 %rd10, %r1, %r2, %rd3;", func(a, b, c, d uint64) uint64 { return uint64(int64(int32(a))*int64(int32(b))) + c }},
	{"mad.wide.u32 %rd10, %r1, %r2, %rd3;", func(a, b, c, d uint64) uint64 { return u(uint32(a))*u(uint32(b)) + c }},
	{"mad.lo.s64 %rd10, %rd1, %rd2, %rd3;", func(a, b, c, d uint64) uint64 { return a*b + c }},
	{"mad.hi.u64 %rd10, %rd1, %rd2, %rd3;", func(a, b, c, d uint64) uint64 { return low(mul(bigU(a), bigU(b)), 64) + c }},
	{"or.b32 %r2, %r2, 1;\ndiv.u32 %r10, %r1, %r2;" + out32, func(a, b, c, d uint64) uint64 { return u(uint32(a) / uint32(b|1)) }},
	{"or.b32 %r2, %r2, 1;\nrem.u32 %r10, %r1, %r2;" + out32, func(a, b, c, d uint64) uint64 { return u(uint32(a) % uint32(b|1)) }},
	{"or.b32 %r2, %r2, 1;\ndiv.s32 %r10, %r1, %r2;" + out32, func(a, b, c, d uint64) uint64 { return u(uint32(int32(a) / int32(b|1))) }},
	{"or.b32 %r2, %r2, 1;\nrem.s32 %r10, %r1, %r2;" + out32, func(a, b, c, d uint64) uint64 { return u(uint32(int32(a) % int32(b|1))) }},
	{"or.b64 %rd2, %rd2, 1;\ndiv.s64 %rd10, %rd1, %rd2;", func(a, b, c, d uint64) uint64 { return uint64(int64(a) / int64(b|1)) }},
	{"or.b64 %rd2, %rd2, 1;\nrem.s64 %rd10, %rd1, %rd2;", func(a, b, c, d uint64) uint64 { return uint64(int64(a) % int64(b|1)) }},
	{"or.b64 %rd2, %rd2, 1;\ndiv.u64 %rd10, %rd1, %rd2;", func(a, b, c, d uint64) uint64 { return a / (b | 1) }},
	{"or.b64 %rd2, %rd2, 1;\nrem.u64 %rd10, %rd1, %rd2;", func(a, b, c, d uint64) uint64 { return a % (b | 1) }},
	{"or.b16 %rs2, %rs2, 1;\ndiv.s16 %rs10, %rs1, %rs2;" + out16, func(a, b, c, d uint64) uint64 { return uint64(uint16(int16(a) / int16(b|1))) }},
	{"abs.s32 %r10, %r1;" + out32, func(a, b, c, d uint64) uint64 { return u(uint32(new(big.Int).Abs(big64(int64(int32(a)))).Uint64())) }},
	{"abs.s64 %rd10, %rd1;", func(a, b, c, d uint64) uint64 {
		if int64(a) < 0 {
			return -a
		}
		return a
	}},
	{"abs.s16 %rs10, %rs1;" + out16, func(a, b, c, d uint64) uint64 {
		if int16(a) < 0 {
			return uint64(uint16(-int16(a)))
		}
		return uint64(uint16(a))
	}},
	{"neg.s32 %r10, %r1;" + out32, func(a, b, c, d uint64) uint64 { return u(-uint32(a)) }},
	{"neg.s64 %rd10, %rd1;", func(a, b, c, d uint64) uint64 { return -a }},
	{"min.s32 %r10, %r1, %r2;" + out32, func(a, b, c, d uint64) uint64 { return u(uint32(min(int32(a), int32(b)))) }},
	{"max.s32 %r10, %r1, %r2;" + out32, func(a, b, c, d uint64) uint64 { return u(uint32(max(int32(a), int32(b)))) }},
	{"min.u32 %r10, %r1, %r2;" + out32, func(a, b, c, d uint64) uint64 { return u(min(uint32(a), uint32(b))) }},
	{"max.u32 %r10, %r1, %r2;" + out32, func(a, b, c, d uint64) uint64 { return u(max(uint32(a), uint32(b))) }},
	{"min.s16 %rs10, %rs1, %rs2;" + out16, func(a, b, c, d uint64) uint64 { return uint64(uint16(min(int16(a), int16(b)))) }},
	{"max.u16 %rs10, %rs1, %rs2;" + out16, func(a, b, c, d uint64) uint64 { return uint64(max(uint16(a), uint16(b))) }},
	{"min.s64 %rd10, %rd1, %rd2;", func(a, b, c, d uint64) uint64 { return uint64(min(int64(a), int64(b))) }},
	{"max.s64 %rd10, %rd1, %rd2;", func(a, b, c, d uint64) uint64 { return uint64(max(int64(a), int64(b))) }},
	{"min.u64 %rd10, %rd1, %rd2;", func(a, b, c, d uint64) uint64 { return min(a, b) }},
	{"sad.s32 %r10, %r1, %r2, %r3;" + out32, func(a, b, c, d uint64) uint64 {
		x := new(big.Int).Abs(plus(big64(int64(int32(a))), big64(-int64(int32(b)))))
		return u(uint32(low(x, 0)) + uint32(c))
	}},
	{"sad.u32 %r10, %r1, %r2, %r3;" + out32, func(a, b, c, d uint64) uint64 {
		x := new(big.Int).Abs(plus(big64(int64(uint32(a))), big64(-int64(uint32(b)))))
		return u(uint32(low(x, 0)) + uint32(c))
	}},
	{"dp4a.s32.s32 %r10, %r1, %r2, %r3;" + out32, func(a, b, c, d uint64) uint64 { return dot(a, b, c, 4, 8, true, true, 0) }},
	{"dp4a.u32.s32 %r10, %r1, %r2, %r3;" + out32, func(a, b, c, d uint64) uint64 { return dot(a, b, c, 4, 8, false, true, 0) }},
	{"dp4a.s32.u32 %r10, %r1, %r2, %r3;" + out32, func(a, b, c, d uint64) uint64 { return dot(a, b, c, 4, 8, true, false, 0) }},
	{"dp4a.u32.u32 %r10, %r1, %r2, %r3;" + out32, func(a, b, c, d uint64) uint64 { return dot(a, b, c, 4, 8, false, false, 0) }},
	{"dp2a.lo.s32.s32 %r10, %r1, %r2, %r3;" + out32, func(a, b, c, d uint64) uint64 { return dot(a, b, c, 2, 16, true, true, 0) }},
	{"dp2a.hi.u32.s32 %r10, %r1, %r2, %r3;" + out32, func(a, b, c, d uint64) uint64 { return dot(a, b, c, 2, 16, false, true, 2) }},
}

// dot is c plus the products of n elements of a, each of width bits, with the
// bytes of b from the one at skip.
func dot(a, b, c uint64, n, width int, sa, sb bool, skip int) uint64 {
	sum := int64(int32(c))
	for i := range n {
		x := int64(a >> (i * width) & (1<<width - 1))
		if sa && x >= 1<<(width-1) {
			x -= 1 << width
		}
		y := int64(b >> ((i + skip) * 8) & 255)
		if sb && y > 127 {
			y -= 256
		}
		sum += x * y
	}
	return u(uint32(sum))
}

// bit returns bit i of v, 0 beyond it.
func bit(v uint64, i int) uint64 {
	if i > 63 {
		return 0
	}
	return v >> i & 1
}

func fromBits(n int, f func(i int) uint64) (v uint64) {
	for i := range n {
		v |= f(i) << i
	}
	return v
}

// bfeRule is the pseudo code of the manual, bit by bit.
func bfeRule(a, b, c uint64, n int, signed bool) uint64 {
	pos, length, msb := int(b&255), int(c&255), n-1
	var sbit uint64
	if signed && length > 0 {
		sbit = bit(a, min(pos+length-1, msb))
	}
	return fromBits(n, func(i int) uint64 {
		if i < length && pos+i <= msb {
			return bit(a, pos+i)
		}
		return sbit
	})
}

func bfiRule(a, b, c, d uint64, n int) uint64 {
	pos, length := int(c&255), int(d&255)
	return fromBits(n, func(i int) uint64 {
		if i >= pos && i-pos < length {
			return bit(a, i-pos)
		}
		return bit(b, i)
	})
}

var logic = []opCase{
	{"and.b32 %r10, %r1, %r2;" + out32, func(a, b, c, d uint64) uint64 { return u(uint32(a & b)) }},
	{"and.b32 %r10, %r1, -4294901761;" + out32, func(a, b, c, d uint64) uint64 { return u(uint32(a) & 0xffff) }},
	{"or.b64 %rd10, %rd1, %rd2;", func(a, b, c, d uint64) uint64 { return a | b }},
	{"xor.b16 %rs10, %rs1, %rs2;" + out16, func(a, b, c, d uint64) uint64 { return uint64(uint16(a ^ b)) }},
	{"not.b32 %r10, %r1;" + out32, func(a, b, c, d uint64) uint64 { return u(^uint32(a)) }},
	{"not.b64 %rd10, %rd1;", func(a, b, c, d uint64) uint64 { return ^a }},
	{"cnot.b32 %r10, %r1;" + out32, func(a, b, c, d uint64) uint64 { return flag(uint32(a) == 0) }},
	{"shl.b32 %r10, %r1, %r2;" + out32, func(a, b, c, d uint64) uint64 {
		return fromBits(32, func(i int) uint64 { return bit(a<<32, i+32-int(min(u(uint32(b)), 32))) })
	}},
	{"shl.b64 %rd10, %rd1, %r2;", func(a, b, c, d uint64) uint64 { return a << u(uint32(b)) }},
	{"shl.b16 %rs10, %rs1, %r2;" + out16, func(a, b, c, d uint64) uint64 { return uint64(uint16(a) << u(uint32(b))) }},
	{"shr.u32 %r10, %r1, %r2;" + out32, func(a, b, c, d uint64) uint64 { return u(uint32(a) >> uint32(b)) }},
	{"shr.s32 %r10, %r1, %r2;" + out32, func(a, b, c, d uint64) uint64 { return u(uint32(int32(a) >> uint32(b))) }},
	{"shr.b32 %r10, %r1, 9;" + out32, func(a, b, c, d uint64) uint64 { return u(uint32(a) >> 9) }},
	{"shr.s64 %rd10, %rd1, %r2;", func(a, b, c, d uint64) uint64 { return uint64(int64(a) >> uint32(b)) }},
	{"shr.u64 %rd10, %rd1, %r2;", func(a, b, c, d uint64) uint64 { return a >> uint32(b) }},
	{"shr.s16 %rs10, %rs1, %r2;" + out16, func(a, b, c, d uint64) uint64 { return uint64(uint16(int16(a) >> uint32(b))) }},
	{"shr.u16 %rs10, %rs1, %r2;" + out16, func(a, b, c, d uint64) uint64 { return uint64(uint16(a) >> uint32(b)) }},
	{"shf.l.wrap.b32 %r10, %r1, %r2, %r3;" + out32, func(a, b, c, d uint64) uint64 {
		n := int(c & 31)
		return fromBits(32, func(i int) uint64 { return bit(u(uint32(b))<<32|u(uint32(a)), i+32-n) })
	}},
	{"shf.l.clamp.b32 %r10, %r1, %r2, %r3;" + out32, func(a, b, c, d uint64) uint64 {
		n := int(min(u(uint32(c)), 32))
		return fromBits(32, func(i int) uint64 { return bit(u(uint32(b))<<32|u(uint32(a)), i+32-n) })
	}},
	{"shf.r.wrap.b32 %r10, %r1, %r2, %r3;" + out32, func(a, b, c, d uint64) uint64 {
		n := int(c & 31)
		return fromBits(32, func(i int) uint64 { return bit(u(uint32(b))<<32|u(uint32(a)), i+n) })
	}},
	{"shf.r.clamp.b32 %r10, %r1, %r2, %r3;" + out32, func(a, b, c, d uint64) uint64 {
		n := int(min(u(uint32(c)), 32))
		return fromBits(32, func(i int) uint64 { return bit(u(uint32(b))<<32|u(uint32(a)), i+n) })
	}},
	{"prmt.b32 %r10, %r1, %r2, %r3;" + out32, func(a, b, c, d uint64) uint64 {
		src := []byte{byte(a), byte(a >> 8), byte(a >> 16), byte(a >> 24), byte(b), byte(b >> 8), byte(b >> 16), byte(b >> 24)}
		var v uint64
		for i := range 4 {
			sel := c >> (4 * i) & 15
			x := src[sel%8]
			if sel > 7 {
				if x > 127 {
					x = 255
				} else {
					x = 0
				}
			}
			v += uint64(x) << (8 * i)
		}
		return v
	}},
	{"popc.b32 %r10, %r1;" + out32, func(a, b, c, d uint64) uint64 { return uint64(strings.Count(bigU(u(uint32(a))).Text(2), "1")) }},
	{"popc.b64 %r10, %rd1;" + out32, func(a, b, c, d uint64) uint64 { return uint64(strings.Count(bigU(a).Text(2), "1")) }},
	{"clz.b32 %r10, %r1;" + out32, func(a, b, c, d uint64) uint64 { return uint64(32 - bigU(u(uint32(a))).BitLen()) }},
	{"clz.b64 %r10, %rd1;" + out32, func(a, b, c, d uint64) uint64 { return uint64(64 - bigU(a).BitLen()) }},
	{"brev.b32 %r10, %r1;" + out32, func(a, b, c, d uint64) uint64 { return fromBits(32, func(i int) uint64 { return bit(a, 31-i) }) }},
	{"brev.b64 %rd10, %rd1;", func(a, b, c, d uint64) uint64 { return fromBits(64, func(i int) uint64 { return bit(a, 63-i) }) }},
	{"bfind.u32 %r10, %r1;" + out32, func(a, b, c, d uint64) uint64 { return u(uint32(bits.Len32(uint32(a)) - 1)) }},
	{"bfind.s32 %r10, %r1;" + out32, func(a, b, c, d uint64) uint64 {
		for i := 30; i >= 0; i-- {
			if bit(a, i) != bit(a, 31) {
				return uint64(i)
			}
		}
		return 0xffffffff
	}},
	{"bfind.shiftamt.u64 %r10, %rd1;" + out32, func(a, b, c, d uint64) uint64 {
		if a == 0 {
			return 0xffffffff
		}
		return uint64(64 - bigU(a).BitLen())
	}},
	{"bfe.u32 %r10, %r1, %r2, %r3;" + out32, func(a, b, c, d uint64) uint64 { return bfeRule(u(uint32(a)), b, c, 32, false) }},
	{"bfe.s32 %r10, %r1, %r2, %r3;" + out32, func(a, b, c, d uint64) uint64 { return bfeRule(u(uint32(a)), b, c, 32, true) }},
	{"bfe.u64 %rd10, %rd1, %r2, %r3;", func(a, b, c, d uint64) uint64 { return bfeRule(a, b, c, 64, false) }},
	{"bfe.s64 %rd10, %rd1, %r2, %r3;", func(a, b, c, d uint64) uint64 { return bfeRule(a, b, c, 64, true) }},
	{"bfi.b32 %r10, %r1, %r2, %r3, %r4;" + out32, func(a, b, c, d uint64) uint64 { return bfiRule(a, u(uint32(b)), c, d, 32) }},
	{"bfi.b64 %rd10, %rd1, %rd2, %r3, %r4;", func(a, b, c, d uint64) uint64 { return bfiRule(a, b, c, d, 64) }},
}
