package cpudev

import (
	"math"
	"math/bits"

	"github.com/assaynet/assay/hostgpu/device"
)

// Functions of docs/spec/ops.md, section 2, under their names there.

func sat32(x int64) int32 {
	if x != int64(int32(x)) {
		return int32(math.MaxInt32 ^ x>>63)
	}
	return int32(x)
}

func shr(p int64, s int) int32 {
	if uint(s-1) < 62 {
		return sat32((p + 1<<(uint(s-1)&63)) >> (uint(s) & 63))
	}
	if s > 62 {
		return 0
	}
	return sat32(int64(sat32(p)) << (uint(min(-s, 31)) & 63))
}

// rhu is RHU for 1 <= s <= 62.
func rhu(x int64, s uint) int64 { return (x + 1<<((s-1)&63)) >> (s & 63) }

func load(s device.Scale) (m int64, e int) {
	m = int64(s.M & 0x7FFFFFFF)
	if m == 0 {
		return 0, 1024
	}
	return m, int(max(-1024, min(1024, s.E)))
}

func cmul(x, y int64) int64 { return x * y >> 31 }

func q15(a, b int32) int32 { return (a*b + 1<<14) >> 15 }

func exp2(f int32) int32 {
	return 32766 + q15(f, -22653+q15(f, 7563+q15(f, -1294)))
}

// nroot is NROOT for x >= 1.
func nroot(x uint64) (r uint64, u int) {
	u = (62 - bits.Len64(x)) >> 1
	if u >= 0 {
		x <<= uint(2 * u)
	} else {
		x >>= 2
	}
	// The floating-point root is off by at most one; squares of r+1 fit u64.
	r = uint64(math.Sqrt(float64(x)))
	for r*r > x {
		r--
	}
	for (r+1)*(r+1) <= x {
		r++
	}
	return r, u
}

func absU32(v int32) uint32 {
	if v < 0 {
		return uint32(-int64(v))
	}
	return uint32(v)
}

func clampIndex(i int32, n int) int { return max(0, min(n-1, int(i))) }
