// rescale, and the second half of linear.
#include "linear.h"
#include "gemm.h"
#include "ops.h"

INLINE i32 rescale_one(i32 acc, u32 j, scale row, const scales *chan, i32 eout) {
	return shr_sat((i64)acc * cmul(chan->m[j], row.m), chan->e[j] + row.e - eout);
}

void linear_row(i32 *dst, const i32 *acc, u32 n, const scale *rowp, const scales *chan, u32 headroom, const i32 *bias,
                const i32 *residual, i32 eout) {
	scale row = scale_load(rowp);
	u32 j = 0;
	if (scales_shift(chan, row.e - eout, headroom)) {
		vshift v = vshift_make((u32)(chan->emax + row.e - eout));
		v128_t m = wasm_i32x4_splat((i32)row.m), c = wasm_i32x4_splat((i32)cmul(chan->m[0], row.m));
		u32 same = chan->same, level = chan->emin == chan->emax;
		for (; j + 4 <= n; j += 4) {
			v128_t x = wasm_v128_load(acc + j);
			if (!same)
				c = vcmul(wasm_v128_load(chan->m + j), m);
			if (!level)
				x = wasm_i32x4_mul(x, wasm_v128_load(chan->pow + j));
			x = vmul_shr_sat(x, c, v);
			if (bias)
				x = vsat_add(x, wasm_v128_load(bias + j));
			if (residual)
				x = vsat_add(x, wasm_v128_load(residual + j));
			wasm_v128_store(dst + j, x);
		}
	}
	for (; j < n; j++) {
		i32 x = rescale_one(acc[j], j, row, chan, eout);
		if (bias)
			x = sat_add(x, bias[j]);
		if (residual)
			x = sat_add(x, residual[j]);
		dst[j] = x;
	}
}

void op_rescale(i32 *dst, const i32 *acc, const scale *row, const scale *chan, u32 m, u32 n, i32 eout) {
	static u32 cm[GEMM_NB];
	static i32 ce[GEMM_NB], cp[GEMM_NB];
	scales s = {.m = cm, .e = ce, .pow = cp};
	for (u32 j = 0; j < n; j += GEMM_NB) {
		u32 nb = min_u32(GEMM_NB, n - j);
		scales_load(&s, chan + j, nb, 1, 30);
		for (u32 i = 0; i < m; i++) {
			const i32 *x = acc + i * n + j;
			// What the largest sum of the row leaves free of 31 bits.
			u32 used = s.emin < s.emax ? bitlen32(max_abs(x, nb)) : 31;
			linear_row(dst + i * n + j, x, nb, row + i, &s, used < 31 ? 31 - used : 0, 0, 0, eout);
		}
	}
}

void op_linear(i32 *dst, const i8 *a, const scale *arow, const i8 *w, const scale *wchan, const i32 *bias,
               const i32 *residual, u32 m, u32 n, u32 k, i32 eout) {
	gemm_out out = {.dst = dst, .n = n, .arow = arow, .wchan = wchan, .bias = bias, .residual = residual, .eout = eout};
	gemm_run(&out, a, w, m, n, k);
}
