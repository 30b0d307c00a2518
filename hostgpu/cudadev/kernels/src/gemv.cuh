// gemm and linear of up to eight rows: what decoding does. Each weight passes
// once, 16 bytes a lane, so memory is the bound; the rows of a come from the
// first-level cache, and four or two rows of weights share each reading of them.
#pragma once
#include "gemm.cuh"

enum { GEMV_WARPS = 8 };

// load_stream reads 16 bytes that will not be read again.
DEVICE u32x4 load_stream(const void *p) {
	u32x4 x;
	asm volatile("ld.global.cs.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w) : "l"(p));
	return x;
}

DEVICE i32 dot16(u32x4 a, u32x4 b, i32 c) { return dot4(a.x, b.x, dot4(a.y, b.y, dot4(a.z, b.z, dot4(a.w, b.w, c)))); }

// A warp takes ROWS rows of w and one of p.splits interleaved parts of K. M is
// at least p.m: rows of a past the last are read as the last and not written.
// AHEAD readings of each row of w are under way at a time.
template <int M, int ROWS, int AHEAD> DEVICE void gemv(const gemm_args &p) {
	SHARED i32 part[GEMV_WARPS][M * ROWS];
	u32 splits = p.splits, group = warp() / splits, groups = GEMV_WARPS / splits;
	u32 n0 = (ctaid() * groups + group) * ROWS, chunks = p.k / 16, step = 32 * splits;
	const u32x4 *w[ROWS], *a[M];
	UNROLL for (int r = 0; r < ROWS; r++) w[r] = (const u32x4 *)(p.w + (u64)min_u32(n0 + r, p.n - 1) * p.k);
	UNROLL for (int m = 0; m < M; m++) a[m] = (const u32x4 *)(p.a + (u64)min_u32(m, p.m - 1) * p.k);
	i32 sum[M][ROWS] = {};
	u32 c = warp() % splits * 32 + lane();
	NOUNROLL for (; c + (AHEAD - 1) * step < chunks; c += AHEAD * step) {
		u32x4 x[AHEAD][ROWS];
		UNROLL for (int i = 0; i < AHEAD; i++) UNROLL for (int r = 0; r < ROWS; r++) x[i][r] = load_stream(w[r] + c + i * step);
		UNROLL for (int i = 0; i < AHEAD; i++) UNROLL for (int m = 0; m < M; m++) {
			u32x4 y = a[m][c + i * step];
			UNROLL for (int r = 0; r < ROWS; r++) sum[m][r] = dot16(x[i][r], y, sum[m][r]);
		}
	}
	NOUNROLL for (; c < chunks; c += step) {
		u32x4 x[ROWS];
		UNROLL for (int r = 0; r < ROWS; r++) x[r] = load_stream(w[r] + c);
		UNROLL for (int m = 0; m < M; m++) {
			u32x4 y = a[m][c];
			UNROLL for (int r = 0; r < ROWS; r++) sum[m][r] = dot16(x[r], y, sum[m][r]);
		}
	}
	i32 mine = 0; // lane i keeps sum i
	UNROLL for (int m = 0; m < M; m++) UNROLL for (int r = 0; r < ROWS; r++) {
		i32 all = (i32)warp_sum((u32)sum[m][r]);
		mine = lane() == (u32)(m * ROWS + r) ? all : mine;
	}
	if (lane() < M * ROWS)
		part[warp()][lane()] = mine;
	barrier();
	if (tid() >= groups * M * ROWS)
		return;
	u32 g = tid() / (M * ROWS), i = tid() % (M * ROWS), row = i / ROWS, col = (ctaid() * groups + g) * ROWS + i % ROWS;
	if (row >= p.m || col >= p.n)
		return;
	i32 all = 0;
	for (u32 s = 0; s < splits; s++) all += part[g * splits + s][i];
	p.dst[(u64)row * p.n + col] = finish_one(p, all, row, col);
}

KERNEL BOUNDS(256, 4) assay_gemv_1(gemm_args p) { gemv<1, 2, 4>(p); }
KERNEL BOUNDS(256, 3) assay_gemv_2(gemm_args p) { gemv<2, 2, 4>(p); }
KERNEL BOUNDS(256, 2) assay_gemv_4(gemm_args p) { gemv<4, 4, 2>(p); }
KERNEL BOUNDS(256, 2) assay_gemv_8(gemm_args p) { gemv<8, 4, 1>(p); }
