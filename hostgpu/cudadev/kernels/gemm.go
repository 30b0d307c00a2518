package kernels

import "github.com/assaynet/assay/hostgpu/device"

// matmul is a gemm, or a linear with its epilogue.
type matmul struct {
	dst, a, w, arow, wchan, bias, residual device.Tensor
	eout                                   int64
	linear                                 bool
}

func (c *planner) gemmScratch(linear bool) int64 { return 0 }

func (c *planner) gemm(x matmul) {
	m, n, k := c.dim('M'), c.dim('N'), c.dim('K')
	c.each("assay_gemm_any", m*n, newArgs(c.ptr(x.dst), c.ptr(x.a), c.ptr(x.w), c.ptr(x.arow), c.ptr(x.wchan), c.ptr(x.bias), c.ptr(x.residual), 0, 0).
		u32(m, n, k).i32(x.eout).u32(0, 0, 1, k))
}
