// gemm and linear.
#pragma once
#include "fixed.cuh"

// arow is 0 for gemm, whose sums are the result; linear rescales them and adds
// bias and residual where they are not 0.
struct gemm_args {
	i32 *dst;
	const i8 *a, *w;
	const scale *arow, *wchan;
	const i32 *bias, *residual;
	i32 *partial; // scratch of split sums
	u32 *counters;
	u32 m, n, k;
	i32 eout;
	u32 tiles_m, tiles_n, splits, k_split;
};

// output is the epilogue for one sum; at is its index in dst.
DEVICE i32 output(const gemm_args &p, i32 acc, u32 at, u32 col, scale row, scale chan) {
	i32 x = shr_sat((i64)acc * cmul(chan.m, row.m), chan.e + row.e - p.eout);
	if (p.bias)
		x = sat_add(x, p.bias[col]);
	if (p.residual)
		x = sat_add(x, p.residual[at]);
	return x;
}

// assay_gemm_any is right for every shape and address, a thread an element.
KERNEL BOUNDS(256, 2) assay_gemm_any(gemm_args p) {
	u32 n = p.m * p.n;
	for (u32 i = ctaid() * ntid() + tid(); i < n; i += nctaid() * ntid()) {
		u32 row = i / p.n, col = i % p.n;
		const i8 *a = p.a + (u64)row * p.k, *w = p.w + (u64)col * p.k;
		i32 sum = 0;
		for (u32 j = 0; j < p.k; j++) sum += a[j] * w[j];
		if (p.arow)
			sum = output(p, sum, i, col, scale_load(p.arow + row), scale_load(p.wchan + col));
		p.dst[i] = sum;
	}
}
