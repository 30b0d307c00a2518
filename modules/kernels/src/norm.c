// quant, norm, norm_quant: one row at a time, one shift a row.
#include "fixed.h"
#include "ops.h"

// pack_low8 collects the low bytes of eight vectors of two 64-bit lanes; lane
// order: lo[i] holds elements 4i and 4i+1, hi[i] elements 4i+2 and 4i+3.
INLINE v128_t pack_low8(const v128_t *lo, const v128_t *hi) {
	v128_t w[4];
	for (u32 i = 0; i < 4; i++)
		w[i] = wasm_v128_and(wasm_i32x4_shuffle(lo[i], hi[i], 0, 2, 4, 6), wasm_i32x4_const_splat(255));
	return wasm_u8x16_narrow_i16x8(wasm_i16x8_narrow_i32x4(w[0], w[1]), wasm_i16x8_narrow_i32x4(w[2], w[3]));
}

// recip is ⌊(127·2^(e+22) + ⌊a/2⌋)/a⌋ with e = bitlen(a), a > 0.
INLINE u32 recip(u32 a, u32 e) { return (u32)(((127ull << (e + 22)) + a / 2) / a); }

INLINE i8 quant_one(i32 v, u32 r, u32 s) { return (i8)clamp_i32((i32)rhu((i64)v * (i64)r, s), -127, 127); }

// quant_store writes sixteen quantized values. |v·r| <= 127·2^s + 2^31, so the
// rounded quotient is within ±127 without a clamp and its low byte is enough;
// s <= 54, so a logical shift keeps that byte.
INLINE void quant_store(i8 *q, const v128_t *v, v128_t r, v128_t half, u32 s) {
	v128_t lo[4], hi[4];
	for (u32 i = 0; i < 4; i++) {
		lo[i] = wasm_u64x2_shr(wasm_i64x2_add(wasm_i64x2_extmul_low_i32x4(v[i], r), half), s);
		hi[i] = wasm_u64x2_shr(wasm_i64x2_add(wasm_i64x2_extmul_high_i32x4(v[i], r), half), s);
	}
	wasm_v128_store(q, pack_low8(lo, hi));
}

static void quant_row(i8 *q, scale *out, const i32 *src, u32 k, i32 frac) {
	u32 a = max_abs(src, k);
	if (a == 0) {
		__builtin_memset(q, 0, k);
		*out = (scale){0, 0};
		return;
	}
	u32 e = bitlen32(a), r = recip(a, e), s = e + 22, j = 0;
	v128_t vr = wasm_i32x4_splat((i32)r), half = wasm_i64x2_splat((i64)1 << (s - 1)), v[4];
	for (; j + 16 <= k; j += 16) {
		for (u32 i = 0; i < 4; i++)
			v[i] = wasm_v128_load(src + j + 4 * i);
		quant_store(q + j, v, vr, half, s);
	}
	for (; j < k; j++)
		q[j] = quant_one(src[j], r, s);
	u64 big = (u64)a << (32 - e), m = (64 * big + 63) / 127;
	i32 ex = 38 - (i32)e + frac;
	if (m >> 31) {
		m = (32 * big + 63) / 127;
		ex--;
	}
	*out = (scale){(u32)m, ex};
}

void op_quant(i8 *dst, scale *out, const i32 *src, u32 m, u32 k, u32 frac) {
	for (u32 i = 0; i < m; i++)
		quant_row(dst + i * k, out + i, src + i * k, k, (i32)frac);
}

// rms is the normalizer of a row: √k/√(Σx² + epsk) = m·2^-h; m = 0 if the sum is 0.
typedef struct { u32 m; i32 h; } rms;

// c is nroot(k); k > 0.
static rms row_rms(const i32 *x, u32 k, u64 epsk, root c) {
	i32 t = (i32)bitlen32(max_abs(x, k)) - 23;
	t = t > 0 ? t : 0;
	v128_t sum = wasm_i64x2_const_splat(0);
	u32 j = 0;
	for (; j + 4 <= k; j += 4) {
		v128_t v = wasm_i32x4_shr(wasm_v128_load(x + j), (u32)t);
		sum = wasm_i64x2_add(sum, wasm_i64x2_extmul_low_i32x4(v, v));
		sum = wasm_i64x2_add(sum, wasm_i64x2_extmul_high_i32x4(v, v));
	}
	u64 s = (u64)wasm_i64x2_extract_lane(sum, 0) + (u64)wasm_i64x2_extract_lane(sum, 1) + (epsk >> (2 * t));
	for (; j < k; j++) {
		i64 v = x[j] >> t;
		s += (u64)(v * v);
	}
	if (s == 0)
		return (rms){0, 0};
	root a = nroot(s);
	i32 z = c.r >= a.r ? 30 : 31;
	return (rms){(u32)(((u64)c.r << z) / a.r), z + c.u - a.u + t};
}

void op_norm(i32 *dst, const i32 *src, const i32 *gain, u32 m, u32 k, u64 epsk) {
	vshift sg = vshift_make(22);
	root c = nroot(k);
	for (u32 i = 0; i < m; i++, dst += k, src += k) {
		rms n = row_rms(src, k, epsk, c);
		if (n.m == 0) {
			__builtin_memset(dst, 0, k * sizeof(i32));
			continue;
		}
		u32 s = (u32)(n.h - 22), j = 0; // in [0, 49]
		vshift sn = vshift_make(s);
		v128_t vm = wasm_i32x4_splat((i32)n.m);
		for (; j + 4 <= k; j += 4) {
			v128_t x = vmul_shr_sat(wasm_v128_load(src + j), vm, sn);
			wasm_v128_store(dst + j, vmul_shr_sat(x, wasm_v128_load(gain + j), sg));
		}
		for (; j < k; j++) {
			i32 x = sat32(rhu((i64)src[j] * n.m, s));
			dst[j] = sat32(rhu((i64)x * gain[j], 22));
		}
	}
}

// max_abs_product is the largest |x·gain|, at most 2^62.
static u64 max_abs_product(const i32 *x, const i32 *g, u32 k) {
	v128_t best = wasm_i64x2_const_splat(0);
	u32 j = 0;
	for (; j + 4 <= k; j += 4) {
		v128_t a = wasm_v128_load(x + j), b = wasm_v128_load(g + j);
		v128_t lo = wasm_i64x2_abs(wasm_i64x2_extmul_low_i32x4(a, b)), hi = wasm_i64x2_abs(wasm_i64x2_extmul_high_i32x4(a, b));
		best = wasm_v128_bitselect(lo, best, wasm_i64x2_gt(lo, best));
		best = wasm_v128_bitselect(hi, best, wasm_i64x2_gt(hi, best));
	}
	i64 a = wasm_i64x2_extract_lane(best, 0), b = wasm_i64x2_extract_lane(best, 1);
	a = a > b ? a : b;
	for (; j < k; j++) {
		i64 p = (i64)x[j] * g[j];
		p = p < 0 ? -p : p;
		a = a > p ? a : p;
	}
	return (u64)a;
}

void op_norm_quant(i8 *dst, scale *out, const i32 *src, const i32 *gain, u32 m, u32 k, u64 epsk) {
	root c = nroot(k);
	for (u32 i = 0; i < m; i++, dst += k, src += k) {
		rms n = row_rms(src, k, epsk, c);
		u64 big = n.m ? max_abs_product(src, gain, k) : 0;
		if (big == 0) {
			__builtin_memset(dst, 0, k);
			out[i] = (scale){0, 0};
			continue;
		}
		u32 w = bitlen64(big) > 31 ? bitlen64(big) - 31 : 0;
		u32 a = (u32)(big >> w), e = bitlen32(a), r = recip(a, e), s = e + 22, j = 0;
		v128_t vr = wasm_i32x4_splat((i32)r), half = wasm_i64x2_splat((i64)1 << (s - 1)), v[4];
		for (; j + 16 <= k; j += 16) {
			for (u32 t = 0; t < 4; t++) {
				v128_t x = wasm_v128_load(src + j + 4 * t), g = wasm_v128_load(gain + j + 4 * t);
				// w <= 32: the low word of the shifted product is its value.
				v[t] = wasm_i32x4_shuffle(wasm_u64x2_shr(wasm_i64x2_extmul_low_i32x4(x, g), w),
				                          wasm_u64x2_shr(wasm_i64x2_extmul_high_i32x4(x, g), w), 0, 2, 4, 6);
			}
			quant_store(dst + j, v, vr, half, s);
		}
		for (; j < k; j++)
			dst[j] = quant_one((i32)(((i64)src[j] * gain[j]) >> w), r, s);
		u64 p = ((u64)a << (31 - e)) * n.m / 127;
		i32 b = (i32)bitlen64(p);
		out[i] = (scale){(u32)(p >> (b - 31)), 16 + n.h - (i32)w - (i32)e + 31 - (b - 31)};
	}
}
