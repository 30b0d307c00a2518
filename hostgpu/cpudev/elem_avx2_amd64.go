package cpudev

import "encoding/binary"

// Wrappers of the element-wise kernels: whole vectors of eight in assembly, the
// rest in Go.

func rescale256(dst, acc []int32, ch channels, m int64, e int) {
	for n := len(dst) / 8; n > 0; n = len(dst) / 8 {
		done := rescaleAVX2(&dst[0], &acc[0], &ch.m[0], &ch.e[0], n, m, int64(e)) * 8
		if done < n*8 { // a vector with an extreme shift
			rescaleRow(dst[done:done+8], acc[done:], ch.slice(done, done+8), m, e)
			done += 8
		}
		dst, acc, ch = dst[done:], acc[done:], ch.slice(done, len(ch.m))
	}
	rescaleRow(dst, acc, ch, m, e)
}

func addRow256(dst, a, b []int32) {
	n := len(dst) / 8
	if n > 0 {
		addAVX2(&dst[0], &a[0], &b[0], n)
	}
	n *= 8
	addRow(dst[n:], a[n:], b[n:])
}

func rowMax256(v []int32) uint32 {
	n := len(v) / 8
	var a uint32
	if n > 0 {
		a = rowMaxAVX2(&v[0], n)
	}
	return max(a, rowMax(v[n*8:]))
}

func quant256(q []int8, v []int32, r int64, s uint) {
	n := len(v) / 8
	if n > 0 {
		quantAVX2(&q[0], &v[0], n, r, half(s), int64(s))
	}
	n *= 8
	quantRow(q[n:], v[n:], r, s)
}

func sumSquares256(x []int32, t uint) (sum uint64) {
	n := len(x) / 8
	if n > 0 {
		sum = sumSquaresAVX2(&x[0], n, int64(t))
	}
	return sum + sumSquares(x[n*8:], t)
}

func norm256(dst, x, gain []int32, m int64, s int) {
	n := len(dst) / 8
	if n > 0 {
		normAVX2(&dst[0], &x[0], &gain[0], n, m, half(uint(s)), int64(s))
	}
	n *= 8
	normRow(dst[n:], x[n:], gain[n:], m, s)
}

func maxProduct256(x, gain []int32) uint64 {
	n := len(gain) / 8
	var top uint64
	if n > 0 {
		top = maxProductAVX2(&x[0], &gain[0], n)
	}
	n *= 8
	return max(top, maxProduct(x[n:], gain[n:]))
}

func quantProduct256(q []int8, x, gain []int32, w uint, r int64, s uint) {
	n := len(q) / 8
	if n > 0 {
		quantProductAVX2(&q[0], &x[0], &gain[0], n, int64(w), r, half(s), int64(s))
	}
	n *= 8
	quantProduct(q[n:], x[n:], gain[n:], w, r, s)
}

func rotate256(y0, y1, x0, x1, cos, sin []int32) {
	n := len(y0) / 8
	if n > 0 {
		ropeAVX2(&y0[0], &y1[0], &x0[0], &x1[0], &cos[0], &sin[0], n)
	}
	n *= 8
	rotate(y0[n:], y1[n:], x0[n:], x1[n:], cos[n:], sin[n:])
}

func silu256(dst, gate, up []int32) {
	n := len(dst) / 8
	if n > 0 {
		siluAVX2(&dst[0], &gate[0], &up[0], n)
	}
	n *= 8
	siluRow(dst[n:], gate[n:], up[n:])
}

// expand256 computes blocks eight at a time, and the rest in Go.
func expand256(p, seed []byte, number int64, block uint32) {
	const blocks = 8
	if n := len(p) / (blocks * chachaBlock); n > 0 {
		expandAVX2(&p[0], chachaState(seed, number, block), n)
		p, block = p[n*blocks*chachaBlock:], block+uint32(n)*blocks
	}
	if len(p) > 0 {
		expand(p, seed, number, block)
	}
}

// chachaState is the input of a block (RFC 8439).
func chachaState(seed []byte, number int64, block uint32) *[16]uint32 {
	s := [16]uint32{0: 0x61707865, 1: 0x3320646e, 2: 0x79622d32, 3: 0x6b206574,
		12: block, 14: uint32(number), 15: uint32(uint64(number) >> 32)}
	for i := range 8 {
		s[4+i] = binary.LittleEndian.Uint32(seed[4*i:])
	}
	return &s
}
