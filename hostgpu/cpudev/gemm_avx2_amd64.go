package cpudev

func avx2Kernels() *kernels {
	k := portableKernels()
	k.isa, k.prepare, k.gemm = AVX2, prepare256, gemm256
	return k
}

// block256 is the bytes of one vector.
const block256 = 32

func prepare256(a []int8, m, k int) leftRows {
	return leftRows{data: a, ld: k, init: make([]int32, m)}
}

// dots256[r-1] takes r rows by 4 columns, then by 1.
var dots256 = [][2]dotTile{{dot1x4AVX2, dot1x1AVX2}, {dot2x4AVX2, dot2x1AVX2}}

func gemm256(dst []int32, ldc int, a leftRows, b []int8, m, n, k int) {
	if k < block256 {
		gemmPortable(dst, ldc, a, b, m, n, k)
		return
	}
	dotRows(dots256, block256, dst, ldc, a, b, k, m, n, k)
	whole := k &^ (block256 - 1)
	if whole == k {
		return
	}
	for i := range m {
		x := a.data[i*a.ld:][whole:k]
		for j := range n {
			dst[i*ldc+j] += dotPortable(x, b[j*k+whole:(j+1)*k])
		}
	}
}
