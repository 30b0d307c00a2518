package devicetest

import (
	"math/big"
	"math/bits"

	"github.com/assaynet/assay/hostgpu/device"
)

// num is an exact integer; the reference never wraps.
func num(x int64) *big.Int { return big.NewInt(x) }

func mul(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) }

func add(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) }

// floorDiv is ⌊a/b⌋ for b > 0.
func floorDiv(a, b *big.Int) *big.Int {
	q, m := new(big.Int).QuoRem(a, b, new(big.Int))
	if m.Sign() < 0 {
		q.Sub(q, num(1))
	}
	return q
}

func pow2(n int) *big.Int { return new(big.Int).Lsh(num(1), uint(n)) }

func sat32(x *big.Int) int64 {
	if x.IsInt64() {
		return max(-1<<31, min(1<<31-1, x.Int64()))
	}
	if x.Sign() < 0 {
		return -1 << 31
	}
	return 1<<31 - 1
}

// rhu is RHU of the spec, s >= 0.
func rhu(x *big.Int, s int) *big.Int {
	if s == 0 {
		return x
	}
	return floorDiv(add(x, pow2(s-1)), pow2(s))
}

// shr is SHR of the spec.
func shr(p *big.Int, s int) int64 {
	switch {
	case s > 62:
		return 0
	case s >= 0:
		return sat32(rhu(p, s))
	default:
		return sat32(mul(p, pow2(min(-s, 100)))) // |p| >= 1 saturates long before 2^100
	}
}

// divNearest is DIV of the spec: nearest, ties away from zero.
func divNearest(a, b *big.Int) *big.Int {
	q := new(big.Int).Div(add(new(big.Int).Abs(a), new(big.Int).Rsh(b, 1)), b)
	if a.Sign() < 0 {
		q.Neg(q)
	}
	return q
}

// load reads a scale's bits as every computing op does.
func load(s device.Scale) (m int64, e int) {
	m = int64(s.M & 0x7FFFFFFF)
	if m == 0 {
		return 0, 1024
	}
	return m, int(max(-1024, min(1024, s.E)))
}

// cmul is CMUL of the spec.
func cmul(x, y int64) int64 { return mul(num(x), num(y)).Rsh(mul(num(x), num(y)), 31).Int64() }

func q15(a, b int64) int64 { return (a*b + 1<<14) >> 15 }

// exp2 is EXP2 of the spec, f in [0, 32767].
func exp2(f int64) int64 {
	return 32766 + q15(f, -22653+q15(f, 7563+q15(f, -1294)))
}

// nroot is NROOT of the spec.
func nroot(x *big.Int) (r int64, u int) {
	u = (62 - x.BitLen()) >> 1
	y := new(big.Int)
	if u >= 0 {
		y.Lsh(x, uint(2*u))
	} else {
		y.Rsh(x, 2)
	}
	return y.Sqrt(y).Int64(), u
}

func abs(x int64) int64 { return max(x, -x) }

func bitlen(x int64) int { return bits.Len64(uint64(x)) }

func clamp(x, lo, hi int64) int64 { return max(lo, min(hi, x)) }
