// add, add_row, copy, slice, gather, embed, rope.
#include "fixed.h"
#include "ops.h"

static void add_n(i32 *dst, const i32 *a, const i32 *b, u32 n) {
	u32 i = 0;
	for (; i + 4 <= n; i += 4)
		wasm_v128_store(dst + i, vsat_add(wasm_v128_load(a + i), wasm_v128_load(b + i)));
	for (; i < n; i++)
		dst[i] = sat_add(a[i], b[i]);
}

void op_add(i32 *dst, const i32 *a, const i32 *b, u32 m, u32 k) { add_n(dst, a, b, m * k); }

void op_add_row(i32 *dst, const i32 *a, const i32 *row, u32 m, u32 k) {
	for (u32 i = 0; i < m; i++)
		add_n(dst + i * k, a + i * k, row, k);
}

void op_copy(u8 *dst, const u8 *src, u32 m, u32 k, u32 type) { copy_bytes(dst, src, m * k * type_size(type)); }

void op_slice(u8 *dst, const u8 *src, u32 m, u32 n, u32 k, u32 type, u32 col0) {
	u32 size = type_size(type), stride = k * size;
	n *= size;
	src += col0 * size;
	for (u32 i = 0; i < m; i++)
		copy_bytes(dst + i * n, src + i * stride, n);
}

void op_gather(u8 *dst, const u8 *src, const i32 *ids, u32 m, u32 k, u32 rows, u32 type) {
	u32 rowbytes = k * type_size(type);
	for (u32 i = 0; i < m; i++)
		copy_bytes(dst + i * rowbytes, src + (u32)clamp_i32(ids[i], 0, (i32)rows - 1) * rowbytes, rowbytes);
}

void op_embed(i32 *dst, const i8 *table, const scale *sc, const i32 *ids, u32 m, u32 k, u32 v, u32 frac) {
	for (u32 i = 0; i < m; i++, dst += k) {
		u32 id = (u32)clamp_i32(ids[i], 0, (i32)v - 1);
		scale x = scale_load(sc + id);
		const i8 *src = table + id * k;
		i32 s = x.e - (i32)frac;
		u32 j = 0;
		if ((u32)s <= SHIFT_MAX) {
			vshift sh = vshift_make((u32)s);
			v128_t mant = wasm_i32x4_splat((i32)x.m);
			for (; j + 8 <= k; j += 8) {
				v128_t w = wasm_i16x8_load8x8(src + j);
				wasm_v128_store(dst + j, vmul_shr_sat(wasm_i32x4_extend_low_i16x8(w), mant, sh));
				wasm_v128_store(dst + j + 4, vmul_shr_sat(wasm_i32x4_extend_high_i16x8(w), mant, sh));
			}
		}
		for (; j < k; j++)
			dst[j] = shr_sat((i64)src[j] * x.m, s);
	}
}

enum { ONE30 = 1 << 30 };

INLINE v128_t vclamp30(v128_t x) {
	return wasm_i32x4_max(wasm_i32x4_min(x, wasm_i32x4_const_splat(ONE30)), wasm_i32x4_const_splat(-ONE30));
}

void op_rope(i32 *dst, const i32 *src, const i32 *table, const i32 *pos, u32 m, u32 c, u32 p, u32 d) {
	u32 half = d / 2;
	vshift sh = vshift_make(30);
	for (u32 i = 0; i < m; i++) {
		const i32 *cosv = table + (u32)clamp_i32(pos[i], 0, (i32)p - 1) * d, *sinv = cosv + half;
		for (u32 h = 0; h < c; h += d) {
			const i32 *x = src + i * c + h;
			i32 *y = dst + i * c + h;
			u32 j = 0;
			for (; j + 4 <= half; j += 4) {
				v128_t co = vclamp30(wasm_v128_load(cosv + j)), si = vclamp30(wasm_v128_load(sinv + j));
				v128_t x0 = wasm_v128_load(x + j), x1 = wasm_v128_load(x + half + j);
				v128_t y0 = vshr_sat(wasm_i64x2_sub(wasm_i64x2_extmul_low_i32x4(x0, co), wasm_i64x2_extmul_low_i32x4(x1, si)),
				                     wasm_i64x2_sub(wasm_i64x2_extmul_high_i32x4(x0, co), wasm_i64x2_extmul_high_i32x4(x1, si)), sh);
				v128_t y1 = vshr_sat(wasm_i64x2_add(wasm_i64x2_extmul_low_i32x4(x1, co), wasm_i64x2_extmul_low_i32x4(x0, si)),
				                     wasm_i64x2_add(wasm_i64x2_extmul_high_i32x4(x1, co), wasm_i64x2_extmul_high_i32x4(x0, si)), sh);
				wasm_v128_store(y + j, y0);
				wasm_v128_store(y + half + j, y1);
			}
			for (; j < half; j++) {
				i64 co = clamp_i32(cosv[j], -ONE30, ONE30), si = clamp_i32(sinv[j], -ONE30, ONE30);
				i64 x0 = x[j], x1 = x[half + j];
				y[j] = sat32(rhu(x0 * co - x1 * si, 30));
				y[half + j] = sat32(rhu(x1 * co + x0 * si, 30));
			}
		}
	}
}
