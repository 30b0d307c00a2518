package meter_test

import (
	"math"
	"math/bits"

	"github.com/assaynet/assay/runtime/wasmbin"
)

// The numeric instructions of the oracle. ok false from unary means that op
// has two operands; from arith, a trap.

func b2u(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func bits32(f float32) uint64 {
	if f != f {
		return 0x7FC00000
	}
	return uint64(math.Float32bits(f))
}

func bits64(f float64) uint64 {
	if f != f {
		return 0x7FF8 << 48
	}
	return math.Float64bits(f)
}

func unary(op wasmbin.Op, v uint64) (uint64, bool) {
	w := uint32(v)
	f, d := math.Float32frombits(w), math.Float64frombits(v)
	switch op {
	case 0x45:
		return b2u(w == 0), true
	case 0x50:
		return b2u(v == 0), true
	case 0x67:
		return uint64(bits.LeadingZeros32(w)), true
	case 0x68:
		return uint64(bits.TrailingZeros32(w)), true
	case 0x69:
		return uint64(bits.OnesCount32(w)), true
	case 0x79:
		return uint64(bits.LeadingZeros64(v)), true
	case 0x7A:
		return uint64(bits.TrailingZeros64(v)), true
	case 0x7B:
		return uint64(bits.OnesCount64(v)), true
	case 0xA7, 0xBC:
		return uint64(w), true
	case 0xAC:
		return uint64(int32(w)), true
	case 0xAD:
		return uint64(w), true
	case 0xBD, 0xBF:
		return v, true
	case 0xBE:
		return uint64(w), true
	case 0xC0:
		return uint64(uint32(int8(w))), true
	case 0xC1:
		return uint64(uint32(int16(w))), true
	case 0xC2:
		return uint64(int8(v)), true
	case 0xC3:
		return uint64(int16(v)), true
	case 0xC4:
		return uint64(int32(v)), true
	case 0xB2:
		return bits32(float32(int32(w))), true
	case 0xB9:
		return bits64(float64(int64(v))), true
	case 0xB6:
		return bits32(float32(d)), true
	case 0xBB:
		return bits64(float64(f)), true
	case 0x8B:
		return uint64(w &^ (1 << 31)), true
	case 0x8C:
		return uint64(w ^ 1<<31), true
	case 0x99:
		return v &^ (1 << 63), true
	case 0x9A:
		return v ^ 1<<63, true
	}
	if op >= 0x8D && op <= 0x91 {
		return bits32(float32(rounding(op-0x8D, float64(f)))), true
	}
	if op >= 0x9B && op <= 0x9F {
		return bits64(rounding(op-0x9B, d)), true
	}
	if op >= 0xFC00 && op <= 0xFC07 {
		return saturate(op, f, d), true
	}
	return 0, false
}

// rounding is ceil, floor, trunc, nearest or sqrt. The square root of a float
// in double precision, rounded once more, is the float square root.
func rounding(which wasmbin.Op, d float64) float64 {
	return []func(float64) float64{math.Ceil, math.Floor, math.Trunc, math.RoundToEven, math.Sqrt}[which](d)
}

func saturate(op wasmbin.Op, f float32, d float64) uint64 {
	x := d
	if op&3 < 2 && op < 0xFC04 || op == 0xFC04 || op == 0xFC05 {
		x = float64(f)
	}
	if x != x {
		return 0
	}
	lo, hi, wide := 0.0, 0x1p32, false
	var least, most uint64 = 0, math.MaxUint32
	switch op {
	case 0xFC00, 0xFC02:
		lo, hi, least, most = -0x1p31, 0x1p31, 1<<31, math.MaxInt32
	case 0xFC04, 0xFC06:
		lo, hi, least, most, wide = -0x1p63, 0x1p63, 1<<63, math.MaxInt64, true
	case 0xFC05, 0xFC07:
		hi, most, wide = 0x1p64, math.MaxUint64, true
	}
	x = math.Trunc(x)
	switch {
	case x < lo:
		return least
	case x >= hi:
		return most
	case x >= 0x1p63:
		return uint64(x-0x1p63) + 1<<63
	case wide:
		return uint64(int64(x))
	}
	return uint64(uint32(int64(x)))
}

func arith(op wasmbin.Op, a, b uint64) (uint64, bool) {
	switch {
	case op >= 0x46 && op <= 0x4F:
		return compare(op-0x46, int64(int32(a)), int64(int32(b)), uint64(uint32(a)), uint64(uint32(b))), true
	case op >= 0x51 && op <= 0x5A:
		return compare(op-0x51, int64(a), int64(b), a, b), true
	case op >= 0x5B && op <= 0x60:
		return compareFloat(op-0x5B, float64(math.Float32frombits(uint32(a))), float64(math.Float32frombits(uint32(b)))), true
	case op >= 0x61 && op <= 0x66:
		return compareFloat(op-0x61, math.Float64frombits(a), math.Float64frombits(b)), true
	case op >= 0x6A && op <= 0x78:
		v, ok := integer(op-0x6A, int64(int32(a)), int64(int32(b)), uint64(uint32(a)), uint64(uint32(b)), 32)
		return uint64(uint32(v)), ok
	case op >= 0x7C && op <= 0x8A:
		return integer(op-0x7C, int64(a), int64(b), a, b, 64)
	case op == 0x98:
		return uint64(uint32(a)&^(1<<31) | uint32(b)&(1<<31)), true
	case op == 0xA6:
		return a&^(1<<63) | b&(1<<63), true
	case op >= 0x92 && op <= 0x97:
		x, y := math.Float32frombits(uint32(a)), math.Float32frombits(uint32(b))
		nan := x != x || y != y
		return bits32([]func() float32{
			func() float32 { return x + y }, func() float32 { return x - y },
			func() float32 { return x * y }, func() float32 { return x / y },
			func() float32 { return float32(orNaN(nan, math.Min(float64(x), float64(y)))) },
			func() float32 { return float32(orNaN(nan, math.Max(float64(x), float64(y)))) },
		}[op-0x92]()), true
	case op >= 0xA0 && op <= 0xA5:
		x, y := math.Float64frombits(a), math.Float64frombits(b)
		nan := x != x || y != y
		return bits64([]func() float64{
			func() float64 { return x + y }, func() float64 { return x - y },
			func() float64 { return x * y }, func() float64 { return x / y },
			func() float64 { return orNaN(nan, math.Min(x, y)) },
			func() float64 { return orNaN(nan, math.Max(x, y)) },
		}[op-0xA0]()), true
	}
	return 0, false
}

// orNaN makes Go's Min and Max, which prefer infinities, those of Wasm.
func orNaN(nan bool, v float64) float64 {
	if nan {
		return math.NaN()
	}
	return v
}

func compare(which wasmbin.Op, s, t int64, u, v uint64) uint64 {
	return b2u([]bool{u == v, u != v, s < t, u < v, s > t, u > v, s <= t, u <= v, s >= t, u >= v}[which])
}

func compareFloat(which wasmbin.Op, x, y float64) uint64 {
	return b2u([]bool{x == y, x != y, x < y, x > y, x <= y, x >= y}[which])
}

func integer(which wasmbin.Op, s, t int64, u, v uint64, width int) (uint64, bool) {
	shift := v % uint64(width)
	least := int64(-1) << (width - 1)
	switch which {
	case 0:
		return u + v, true
	case 1:
		return u - v, true
	case 2:
		return u * v, true
	case 3:
		if t == 0 || s == least && t == -1 {
			return 0, false
		}
		return uint64(s / t), true
	case 4:
		if v == 0 {
			return 0, false
		}
		return u / v, true
	case 5:
		if t == 0 {
			return 0, false
		}
		if t == -1 {
			return 0, true
		}
		return uint64(s % t), true
	case 6:
		if v == 0 {
			return 0, false
		}
		return u % v, true
	case 7:
		return u & v, true
	case 8:
		return u | v, true
	case 9:
		return u ^ v, true
	case 10:
		return u << shift, true
	case 11:
		return uint64(s >> shift), true
	case 12:
		return u >> shift, true
	case 13:
		return u<<shift | u>>(uint64(width)-shift), true
	}
	return u>>shift | u<<(uint64(width)-shift), true
}
