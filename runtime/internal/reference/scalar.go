package reference

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/assaynet/assay/runtime/abi"
)

// The one NaN that arithmetic makes.
const (
	nan32 = 0x7FC00000
	nan64 = 0x7FF8 << 48
)

func canon32(f float32) uint64 {
	if f != f {
		return nan32
	}
	return uint64(math.Float32bits(f))
}

func canon64(f float64) uint64 {
	if f != f {
		return nan64
	}
	return math.Float64bits(f)
}

func as32(v uint64) float32 { return math.Float32frombits(uint32(v)) }
func as64(v uint64) float64 { return math.Float64frombits(v) }

// scalar runs the numeric instructions 0x45 to 0xC4 and 0xFC00 to 0xFC07.
func (r *frame) scalar(op uint16) {
	var b, a uint64
	b = r.pop().Lo
	if s := signature(op); s[1] != '>' {
		a = r.pop().Lo
	}
	var v uint64
	switch {
	case op == 0x45:
		v = uint64(flag(uint32(b) == 0))
	case op <= 0x4F:
		v = compareInt(op-0x46, a, b, 32)
	case op == 0x50:
		v = uint64(flag(b == 0))
	case op <= 0x5A:
		v = compareInt(op-0x51, a, b, 64)
	case op <= 0x60:
		v = compareFloat(op-0x5B, float64(as32(a)), float64(as32(b)))
	case op <= 0x66:
		v = compareFloat(op-0x61, as64(a), as64(b))
	case op <= 0x69:
		v = count(op-0x67, b, 32)
	case op <= 0x78:
		v = uint64(uint32(integer(op-0x6A, a, b, 32)))
	case op <= 0x7B:
		v = count(op-0x79, b, 64)
	case op <= 0x8A:
		v = integer(op-0x7C, a, b, 64)
	case op <= 0x91:
		v = floatUnary(op-0x8B, b, 32)
	case op <= 0x98:
		v = floatBinary(op-0x92, a, b, 32)
	case op <= 0x9F:
		v = floatUnary(op-0x99, b, 64)
	case op <= 0xA6:
		v = floatBinary(op-0xA0, a, b, 64)
	default:
		v = convert(op, b)
	}
	r.push(Value{Lo: v})
}

// compareInt: eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u.
func compareInt(which uint16, a, b uint64, w int) uint64 {
	s, t := extend(a, w), extend(b, w)
	u, v := a<<(64-w), b<<(64-w)
	switch which {
	case 0:
		return uint64(flag(u == v))
	case 1:
		return uint64(flag(u != v))
	case 2:
		return uint64(flag(s < t))
	case 3:
		return uint64(flag(u < v))
	case 4:
		return uint64(flag(s > t))
	case 5:
		return uint64(flag(u > v))
	case 6:
		return uint64(flag(s <= t))
	case 7:
		return uint64(flag(u <= v))
	case 8:
		return uint64(flag(s >= t))
	}
	return uint64(flag(u >= v))
}

// compareFloat: eq ne lt gt le ge.
func compareFloat(which uint16, a, b float64) uint64 {
	switch which {
	case 0:
		return uint64(flag(a == b))
	case 1:
		return uint64(flag(a != b))
	case 2:
		return uint64(flag(a < b))
	case 3:
		return uint64(flag(a > b))
	case 4:
		return uint64(flag(a <= b))
	}
	return uint64(flag(a >= b))
}

// count: clz ctz popcnt.
func count(which uint16, v uint64, w int) uint64 {
	if w == 32 {
		v = uint64(uint32(v))
	}
	switch which {
	case 0:
		return uint64(bits.LeadingZeros64(v) - 64 + w)
	case 1:
		return uint64(min(bits.TrailingZeros64(v), w))
	}
	return uint64(bits.OnesCount64(v))
}

// integer: add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl
// rotr; results above the width are for the caller to cut off.
func integer(which uint16, a, b uint64, w int) uint64 {
	s, t := extend(a, w), extend(b, w)
	u, v := uint64(0), uint64(0)
	if u, v = a, b; w == 32 {
		u, v = uint64(uint32(a)), uint64(uint32(b))
	}
	k := int(b % uint64(w))
	if which >= 3 && which <= 6 && v == 0 {
		Stop(abi.TrapDivideByZero)
	}
	switch which {
	case 0:
		return a + b
	case 1:
		return a - b
	case 2:
		return a * b
	case 3:
		if t == -1 && s == -1<<(w-1) {
			Stop(abi.TrapIntegerOverflow)
		}
		return uint64(s / t)
	case 4:
		return u / v
	case 5:
		if t == -1 {
			return 0
		}
		return uint64(s % t)
	case 6:
		return u % v
	case 7:
		return a & b
	case 8:
		return a | b
	case 9:
		return a ^ b
	case 10:
		return a << k
	case 11:
		return uint64(s >> k)
	case 12:
		return u >> k
	case 14:
		k = w - k
	}
	return u<<k | u>>(w-k)
}

// floatUnary: abs neg ceil floor trunc nearest sqrt. The double square root of
// a float, rounded to a float, is the float square root.
func floatUnary(which uint16, v uint64, w int) uint64 {
	sign := uint64(1) << (w - 1)
	switch which {
	case 0:
		return v &^ sign
	case 1:
		return v ^ sign
	}
	f := as64(v)
	if w == 32 {
		f = float64(as32(v))
	}
	switch which {
	case 2:
		f = math.Ceil(f)
	case 3:
		f = math.Floor(f)
	case 4:
		f = math.Trunc(f)
	case 5:
		f = math.RoundToEven(f)
	case 6:
		f = math.Sqrt(f)
	}
	if w == 32 {
		return canon32(float32(f))
	}
	return canon64(f)
}

// floatBinary: add sub mul div min max copysign.
func floatBinary(which uint16, a, b uint64, w int) uint64 {
	sign := uint64(1) << (w - 1)
	if which == 6 {
		return a&^sign | b&sign
	}
	if w == 32 {
		x, y := as32(a), as32(b)
		switch which {
		case 0:
			return canon32(x + y)
		case 1:
			return canon32(x - y)
		case 2:
			return canon32(x * y)
		case 3:
			return canon32(x / y)
		}
		return canon32(float32(extreme(which, float64(x), float64(y))))
	}
	x, y := as64(a), as64(b)
	switch which {
	case 0:
		return canon64(x + y)
	case 1:
		return canon64(x - y)
	case 2:
		return canon64(x * y)
	case 3:
		return canon64(x / y)
	}
	return canon64(extreme(which, x, y))
}

// extreme is min (4) or max (5): a NaN wins, and −0 is less than +0.
func extreme(which uint16, x, y float64) float64 {
	switch {
	case x != x || y != y:
		return math.NaN()
	case x == y:
		if math.Signbit(x) == (which == 4) {
			return x
		}
		return y
	case (x < y) == (which == 4):
		return x
	}
	return y
}

// integral is a float truncated to an integer of w bits; without sat it stops
// where the specification traps.
func integral(f float64, w int, signed, sat bool) uint64 {
	if f != f {
		if !sat {
			Stop(abi.TrapInvalidConversion)
		}
		return 0
	}
	f = math.Trunc(f)
	lo, hi := 0.0, math.Ldexp(1, w) // lo <= f < hi
	least, most := uint64(0), ^uint64(0)>>(64-w)
	if signed {
		lo, hi = -math.Ldexp(1, w-1), math.Ldexp(1, w-1)
		least, most = 1<<(w-1), 1<<(w-1)-1
	}
	if (f < lo || f >= hi) && !sat {
		Stop(abi.TrapIntegerOverflow)
	}
	switch {
	case f < lo:
		return least
	case f >= hi:
		return most
	case f >= 0x1p63:
		return uint64(f-0x1p63) | 1<<63
	case w == 32:
		return uint64(uint32(int64(f)))
	}
	return uint64(int64(f))
}

func convert(op uint16, v uint64) uint64 {
	f, d, i, u := float64(as32(v)), as64(v), int32(v), uint32(v)
	switch op {
	case 0xA7, 0xBC, 0xBE, 0xAD:
		return uint64(u)
	case 0xBD, 0xBF:
		return v
	case 0xA8, 0xA9:
		return integral(f, 32, op == 0xA8, false)
	case 0xAA, 0xAB:
		return integral(d, 32, op == 0xAA, false)
	case 0xAC:
		return uint64(int64(i))
	case 0xAE, 0xAF:
		return integral(f, 64, op == 0xAE, false)
	case 0xB0, 0xB1:
		return integral(d, 64, op == 0xB0, false)
	case 0xB2:
		return canon32(float32(i))
	case 0xB3:
		return canon32(float32(u))
	case 0xB4:
		return canon32(float32(int64(v)))
	case 0xB5:
		return canon32(float32(v))
	case 0xB6:
		return canon32(float32(d))
	case 0xB7:
		return canon64(float64(i))
	case 0xB8:
		return canon64(float64(u))
	case 0xB9:
		return canon64(float64(int64(v)))
	case 0xBA:
		return canon64(float64(v))
	case 0xBB:
		return canon64(f)
	case 0xC0:
		return uint64(uint32(extend(v, 8)))
	case 0xC1:
		return uint64(uint32(extend(v, 16)))
	case 0xC2:
		return uint64(extend(v, 8))
	case 0xC3:
		return uint64(extend(v, 16))
	case 0xC4:
		return uint64(extend(v, 32))
	case 0xFC00, 0xFC01:
		return integral(f, 32, op == 0xFC00, true)
	case 0xFC02, 0xFC03:
		return integral(d, 32, op == 0xFC02, true)
	case 0xFC04, 0xFC05:
		return integral(f, 64, op == 0xFC04, true)
	case 0xFC06, 0xFC07:
		return integral(d, 64, op == 0xFC06, true)
	}
	panic(fmt.Sprintf("not a numeric instruction: %#x", op))
}
