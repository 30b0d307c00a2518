package kernels

import "github.com/assaynet/assay/hostgpu/device"

// matmul is a gemm, or a linear with its epilogue.
type matmul struct {
	dst, a, w, arow, wchan, bias, residual device.Tensor
	eout                                   int64
}

// variant is a kernel of gemm and linear.
type variant struct {
	kernel       string
	bm, bn       uint32 // results of a block; bm = 0: gemv
	threads      uint32
	shared       uint32 // bytes of the ring of slices
	perSM        uint32 // blocks that run together on a multiprocessor
	efficiency   uint32 // part of the tensor cores' rate that the inner loop reaches, in percent: only to compare variants
	rows         uint32 // gemv: rows of a, and rows of w a warp
	rowsOfWeight uint32
}

const slice = 64 // columns of K in a stage (SLICE)

// ring is the bytes of `stages` slices of bm rows of a and bn of w.
func ring(bm, bn, stages uint32) uint32 { return (bm + bn) * slice * stages }

var (
	large  = variant{kernel: "assay_gemm_128x256", bm: 128, bn: 256, threads: 256, shared: ring(128, 256, 4), perSM: 1, efficiency: 90}
	medium = variant{kernel: "assay_gemm_128x128", bm: 128, bn: 128, threads: 128, shared: ring(128, 128, 4), perSM: 2, efficiency: 70}
	small  = variant{kernel: "assay_gemm_64x64", bm: 64, bn: 64, threads: 128, shared: ring(64, 64, 4), perSM: 4, efficiency: 45}
	// The rates of the tensor cores under wgmma are higher: efficiency compares
	// them with mma's.
	wide256 = variant{kernel: "assay_gemm_wgmma_256", bm: 128, bn: 256, threads: 256, shared: 1024 + 2*ring(128, 256, 4), perSM: 1, efficiency: 130}
	wide128 = variant{kernel: "assay_gemm_wgmma_128", bm: 128, bn: 128, threads: 256, shared: 1024 + 2*ring(128, 128, 3), perSM: 2, efficiency: 100}
	// anyBytes works on unaligned rows.
	anyBytes = variant{kernel: "assay_gemm_bytes", bm: 64, bn: 64, threads: 128, shared: ring(64, 64, 2), perSM: 4, efficiency: 5}

	gemvs = []variant{
		{kernel: "assay_gemv_1", rows: 1, rowsOfWeight: 2},
		{kernel: "assay_gemv_2", rows: 2, rowsOfWeight: 2},
		{kernel: "assay_gemv_4", rows: 4, rowsOfWeight: 4},
		{kernel: "assay_gemv_8", rows: 8, rowsOfWeight: 4},
	}
)

// gemvWarps is the warps of a block of gemv (GEMV_WARPS).
const gemvWarps = 8

// choice is how a product is launched.
type choice struct {
	variant
	splits, kSplit uint32
}

func (v variant) tiles(m, n uint32) uint32 { return ceilDiv(m, v.bm) * ceilDiv(n, v.bn) }

// cost is proportional to the time that full waves of blocks take.
func (v variant) cost(m, n, sms uint32) uint64 {
	tiles := uint64(v.tiles(m, n))
	return (tiles + uint64(sms) - 1) / uint64(sms) * uint64(v.bm*v.bn) * 100 / uint64(v.efficiency)
}

// choose picks the variant of a product. aligned: rows of both operands begin
// at multiples of 16 bytes.
func choose(m, n, k uint32, aligned bool, p Props) choice {
	sms := uint32(p.SMs)
	if !aligned {
		return anyBytes.split(m, n, k, sms)
	}
	for _, v := range gemvs {
		if m <= v.rows {
			return v.splitWarps(n, k, sms)
		}
	}
	best := small
	candidates := []variant{medium, large}
	if p.wgmma() {
		candidates = []variant{wide128, wide256}
	}
	for _, v := range candidates {
		if int(v.shared)+1024 <= p.SharedPerBlock && m > small.bm && v.cost(m, n, sms) < best.cost(m, n, sms) {
			best = v
		}
	}
	if best != small {
		return choice{variant: best, splits: 1, kSplit: k}
	}
	return small.split(m, n, k, sms)
}

// split shares K between blocks where there are too few tiles to fill the
// device; a part is at least eight slices.
func (v variant) split(m, n, k, sms uint32) choice {
	tiles := v.tiles(m, n)
	splits := min(v.perSM*sms/tiles, k/(8*slice))
	if splits < 2 {
		return choice{variant: v, splits: 1, kSplit: k}
	}
	kSplit := ceilDiv(ceilDiv(k, splits), slice) * slice
	return choice{variant: v, splits: ceilDiv(k, kSplit), kSplit: kSplit}
}

// splitWarps lets several warps of a block share the rows of weights where N
// alone gives a multiprocessor fewer than twelve warps.
func (v variant) splitWarps(n, k, sms uint32) choice {
	splits := uint32(1)
	for splits < gemvWarps && ceilDiv(n, v.rowsOfWeight)*splits < 12*sms && k/16 > 32*splits {
		splits *= 2
	}
	return choice{variant: v, splits: splits, kSplit: k}
}

// scratch is the bytes of partial sums and counters.
func (x choice) scratch(m, n uint32) int64 {
	if x.bm == 0 || x.splits == 1 {
		return 0
	}
	return 4 * (int64(m)*int64(n) + int64(x.tiles(m, n)))
}

// gemmScratch does not know where the operands lie: it is enough for either case.
func (c *planner) gemmScratch() int64 {
	m, n, k := c.dim('M'), c.dim('N'), c.dim('K')
	return max(choose(m, n, k, true, c.props).scratch(m, n), choose(m, n, k, false, c.props).scratch(m, n))
}

func (c *planner) gemm(x matmul) {
	m, n, k := c.dim('M'), c.dim('N'), c.dim('K')
	dst, a, w, residual := c.ptr(x.dst), c.ptr(x.a), c.ptr(x.w), c.ptr(x.residual)
	how := choose(m, n, k, (a|w|uint64(k))%16 == 0, c.props)
	partial, counters := uint64(0), uint64(0)
	if words := uint32(how.scratch(m, n) / 4); words > 0 {
		partial, counters = c.scratch, c.scratch+4*uint64(m)*uint64(n)
		c.each("assay_zero", words, newArgs(partial).u32(words))
	}
	pairs := uint32(0)
	if n%2 == 0 && (dst|residual)%8 == 0 {
		pairs = 1
	}
	grid, threads, tilesM, tilesN := uint32(0), uint32(32*gemvWarps), uint32(0), uint32(0)
	if how.bm == 0 {
		grid = ceilDiv(n, how.rowsOfWeight*gemvWarps/how.splits)
	} else {
		tilesM, tilesN, threads = ceilDiv(m, how.bm), ceilDiv(n, how.bn), how.threads
		grid = tilesM * tilesN * how.splits
	}
	c.launch(how.kernel, grid, threads, how.shared,
		newArgs(dst, a, w, c.ptr(x.arow), c.ptr(x.wchan), c.ptr(x.bias), residual, partial, counters).
			u32(m, n, k).i32(x.eout).u32(tilesM, tilesN, how.splits, how.kSplit, pairs))
}
