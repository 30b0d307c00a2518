package fixed

import "math/bits"

// Root is √(num/den) as the factor m·2^−e with m in [2^30, 2^31), rounded
// down. num/den must be positive and below 2^62, den below 2^62; zero otherwise.
func Root(num, den uint64) (m uint32, e int32) {
	// M = ⌊√(num·2^2E / den)⌋ must lie in [2^30, 2^31): shift until it does.
	for e := uint(0); e < 64; e++ {
		hi, lo := shift128(num, 2*e)
		if den == 0 || hi >= den {
			break
		}
		q, _ := bits.Div64(hi, lo, den)
		if q >= 1<<62 {
			break
		}
		if q >= 1<<60 {
			return uint32(isqrt(q)), int32(e)
		}
	}
	return 0, 0
}

func shift128(x uint64, s uint) (hi, lo uint64) {
	if s >= 64 {
		return x << (s - 64), 0
	}
	return x >> (64 - s), x << s
}

// isqrt is ⌊√x⌋ for x in [2^60, 2^62): bit by bit, no floats.
func isqrt(x uint64) uint64 {
	var r uint64
	for b := uint64(1) << 30; b > 0; b >>= 1 {
		if t := r | b; t*t <= x {
			r = t
		}
	}
	return r
}

// Coefficients of sin(π/2·x) for x in [0, 1], Q30: the Taylor series up to
// x⁹, error below 4e−6.
var sinQ30 = [5]int64{1686629713, -693598668, 85569142, -5026976, 172275}

// quarterSin is sin(π/2·x), x and result Q30, x in [0, 2^30].
func quarterSin(x int64) int32 {
	x2 := x * x >> 30
	s := sinQ30[4]
	for i := 3; i >= 0; i-- {
		s = sinQ30[i] + (s * x2 >> 30)
	}
	return int32(min(s*x>>30, 1<<30))
}

// SinCos of phase/2^32 of a turn, Q30.
func SinCos(phase uint32) (sin, cos int32) {
	x := int64(phase & (1<<30 - 1)) // within the quarter
	s, c := quarterSin(x), quarterSin(1<<30-x)
	switch phase >> 30 {
	case 0:
		return s, c
	case 1:
		return c, -s
	case 2:
		return -s, -c
	}
	return -c, s
}

// PhaseStep is how far pair j of half turns a position, in 2^−32 of a turn: an
// eighth of a turn for the first pair, falling by 2^12 to the last, linearly
// between octaves.
func PhaseStep(j, half int) uint32 {
	const first, octaves = 1 << 29, 12
	n := octaves * j
	oct, rest := n/half, n%half
	return uint32((int64(first) >> oct) * int64(2*half-rest) / int64(2*half))
}
