package cpudev

// Wrappers of the element-wise kernels: whole vectors in assembly, the rest in
// Go. half of a shift s is 2^(s-1), or 0 for no shift: what RHU adds.

func half(s uint) int64 { return 1 << s >> 1 }

func rescale512(dst, acc []int32, ch channels, m int64, e int) {
	n := len(dst) / 8
	if n > 0 {
		rescaleAVX512(&dst[0], &acc[0], &ch.m[0], &ch.e[0], n, m, int64(e))
	}
	if n *= 8; n < len(dst) {
		rescaleRow(dst[n:], acc[n:], ch.slice(n, len(dst)), m, e)
	}
}

func addRow512(dst, a, b []int32) {
	n := len(dst) / 8
	if n > 0 {
		addAVX512(&dst[0], &a[0], &b[0], n)
	}
	n *= 8
	addRow(dst[n:], a[n:], b[n:])
}

func rowMax512(v []int32) uint32 {
	n := len(v) / 16
	var a uint32
	if n > 0 {
		a = rowMaxAVX512(&v[0], n)
	}
	return max(a, rowMax(v[n*16:]))
}

func quant512(q []int8, v []int32, r int64, s uint) {
	n := len(v) / 8
	if n > 0 {
		quantAVX512(&q[0], &v[0], n, r, half(s), int64(s))
	}
	n *= 8
	quantRow(q[n:], v[n:], r, s)
}

func sumSquares512(x []int32, t uint) (sum uint64) {
	n := len(x) / 16
	if n > 0 {
		sum = sumSquaresAVX512(&x[0], n, int64(t))
	}
	return sum + sumSquares(x[n*16:], t)
}

func norm512(dst, x, gain []int32, m int64, s int) {
	n := len(dst) / 8
	if n > 0 {
		normAVX512(&dst[0], &x[0], &gain[0], n, m, half(uint(s)), int64(s))
	}
	n *= 8
	normRow(dst[n:], x[n:], gain[n:], m, s)
}

func maxProduct512(x, gain []int32) uint64 {
	n := len(gain) / 8
	var top uint64
	if n > 0 {
		top = maxProductAVX512(&x[0], &gain[0], n)
	}
	n *= 8
	return max(top, maxProduct(x[n:], gain[n:]))
}

func quantProduct512(q []int8, x, gain []int32, w uint, r int64, s uint) {
	n := len(q) / 8
	if n > 0 {
		quantProductAVX512(&q[0], &x[0], &gain[0], n, int64(w), r, half(s), int64(s))
	}
	n *= 8
	quantProduct(q[n:], x[n:], gain[n:], w, r, s)
}

func rotate512(y0, y1, x0, x1, cos, sin []int32) {
	n := len(y0) / 8
	if n > 0 {
		ropeAVX512(&y0[0], &y1[0], &x0[0], &x1[0], &cos[0], &sin[0], n)
	}
	n *= 8
	rotate(y0[n:], y1[n:], x0[n:], x1[n:], cos[n:], sin[n:])
}

func silu512(dst, gate, up []int32) {
	n := len(dst) / 8
	if n > 0 {
		siluAVX512(&dst[0], &gate[0], &up[0], n)
	}
	n *= 8
	siluRow(dst[n:], gate[n:], up[n:])
}

// expand512 takes 16 blocks of ChaCha20 at a time (RFC 8439, section 2.3).
func expand512(p, seed []byte, number int64, block uint32) {
	const blocks = 16
	if n := len(p) / (blocks * chachaBlock); n > 0 {
		expandAVX512(&p[0], chachaState(seed, number, block), n)
		p, block = p[n*blocks*chachaBlock:], block+uint32(n)*blocks
	}
	expand256(p, seed, number, block)
}
