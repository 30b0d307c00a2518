package cpudev

func avx2Kernels() *kernels {
	k := portableKernels()
	k.isa, k.prepare, k.gemm = AVX2, prepare256, gemm256
	k.rescaleRow, k.addRow = rescale256, addRow256
	k.rowMax, k.quant = rowMax256, quant256
	k.sumSquares, k.normRow = sumSquares256, norm256
	k.maxProduct, k.quantProduct = maxProduct256, quantProduct256
	k.rotate, k.siluRow = rotate256, silu256
	k.expand = expand256
	k.attend, k.attendRows = attend256, attendRowsVector
	return k
}

// block256 is the bytes of one vector.
const block256 = 32

func prepare256(a []int8, m, k int) leftRows {
	return leftRows{data: a, ld: k, init: make([]int32, m)}
}

type dotTile256 func(c *int32, ldc int, a *int8, lda int, b *int8, ldb int, blocks int, tail uint64, init *int32)

// dots256[r-1] takes r rows by 4 columns, then by 1.
var dots256 = [][2]dotTile256{{dot1x4AVX2, dot1x1AVX2}, {dot2x4AVX2, dot2x1AVX2}}

// half256 is the bytes that the kernels take after the whole vectors.
const half256 = block256 / 2

func gemm256(dst sums, a leftRows, b []int8, m, n, k int) {
	if k < half256 {
		gemmPortable(dst, a, b, m, n, k)
		return
	}
	dotRows256(dst.data, dst.ld, a, b, k, m, n, k)
	whole := k &^ (half256 - 1)
	if whole == k {
		return
	}
	for i := range m {
		x := a.data[i*a.ld:][whole:k]
		for j := range n {
			dst.data[i*dst.ld+j] += dotPortable(x, b[j*k+whole:(j+1)*k])
		}
	}
}

// dotRows256 reads b where it lies, ldb bytes a row, four rows at a time and
// all but the last k%half256 columns: they are in the first-level cache while all tiles pass over them.
func dotRows256(dst []int32, ldc int, a leftRows, b []int8, ldb, m, n, k int) {
	blocks, tail := k/block256, uint64(k%block256/half256)
	j := 0
	if m == 1 { // reading b is all: in its order
		if groups := n / 4; groups > 0 {
			stream1AVX2(&dst[0], &a.data[0], &b[0], ldb, blocks, tail, groups)
		}
		j = n &^ 3
	}
	for j < n {
		if n-j < 4 && n >= 4 {
			j = n - 4 // overlaps columns already done: same values
		}
		cols, which := 4, 0
		if n < 4 {
			cols, which = 1, 1
		}
		tiles(m, len(dots256), func(i, rows int) {
			dots256[rows-1][which](&dst[i*ldc+j], ldc*4, &a.data[i*a.ld], a.ld, &b[j*ldb], ldb, blocks, tail, &a.init[i])
		})
		j += cols
	}
}
