// silu_mul: σ(x) from 2^(-|x|·log2 e), mirrored for negatives, times the other
// operand. Both are Q16.
#include "fixed.h"
#include "ops.h"

enum { LOG2E = 1549082005 }; // log2(e)·2^30

static i32 silu_one(i32 x, i32 y) {
	u32 d = (u32)(((u64)abs_u32(x) * LOG2E + (1u << 30)) >> 31);
	u32 n = d >> 15 < 31 ? d >> 15 : 31;
	u32 p = (exp2q15(d & 32767) << 9) >> n;
	u64 den = (1u << 24) + p, num = x >= 0 ? 1u << 24 : p;
	i64 sigma = (i64)(((num << 24) + den / 2) / den);
	i64 g = rhu(x * sigma, 24);
	return shr_sat(g * y, 16);
}

// sigma2 divides in double precision: numerator and denominator are below 2^26,
// so the quotient's error, below 2^-28, is smaller than its distance from the
// next half (2^-26 or more, if not 0): the floor is that of the exact quotient.
INLINE v128_t sigma2(v128_t num, v128_t den) {
	v128_t q = wasm_f64x2_div(wasm_f64x2_mul(wasm_f64x2_convert_low_u32x4(num), wasm_f64x2_const_splat(0x1p24)),
	                          wasm_f64x2_convert_low_u32x4(den));
	q = wasm_f64x2_floor(wasm_f64x2_add(q, wasm_f64x2_const_splat(0.5)));
	// Adding 2^52 leaves the integer in the low bits.
	return wasm_v128_and(wasm_f64x2_add(q, wasm_f64x2_const_splat(0x1p52)), wasm_i64x2_const_splat(0x3FFFFFF));
}

void op_silu_mul(i32 *dst, const i32 *gate, const i32 *up, u32 m, u32 k) {
	u32 n = m * k;
	vshift s24 = vshift_make(24), s16 = vshift_make(16);
	v128_t log2e = wasm_i32x4_const_splat(LOG2E), one24 = wasm_i32x4_const_splat(1 << 24);
	v128_t round = wasm_i64x2_const_splat(1 << 30);
	u32 i = 0;
	for (; i + 4 <= n; i += 4) {
		v128_t x = wasm_v128_load(gate + i), a = wasm_i32x4_abs(x);
		v128_t d = wasm_i32x4_shuffle(wasm_u64x2_shr(wasm_i64x2_add(wasm_u64x2_extmul_low_u32x4(a, log2e), round), 31),
		                              wasm_u64x2_shr(wasm_i64x2_add(wasm_u64x2_extmul_high_u32x4(a, log2e), round), 31), 0, 2, 4, 6);
		v128_t whole = wasm_u32x4_min(wasm_u32x4_shr(d, 15), wasm_i32x4_const_splat(31));
		v128_t p = wasm_i32x4_shl(vexp2_i32(wasm_v128_and(d, wasm_i32x4_const_splat(32767))), 9);
		v128_t scaleby = pow2(wasm_i32x4_sub(wasm_i32x4_const_splat(31), whole));
		p = wasm_i32x4_shuffle(wasm_u64x2_shr(wasm_u64x2_extmul_low_u32x4(p, scaleby), 31),
		                       wasm_u64x2_shr(wasm_u64x2_extmul_high_u32x4(p, scaleby), 31), 0, 2, 4, 6);
		v128_t den = wasm_i32x4_add(one24, p), num = wasm_v128_bitselect(p, one24, wasm_i32x4_shr(x, 31));
		v128_t lo = sigma2(num, den);
		v128_t hi = sigma2(wasm_i64x2_shuffle(num, num, 1, 1), wasm_i64x2_shuffle(den, den, 1, 1));
		// |x·σ >> 24| <= 2^31, and +2^31 cannot occur: x <= 2^31 - 1, σ <= 2^24.
		v128_t g = vmul_shr_sat(x, wasm_i32x4_shuffle(lo, hi, 0, 2, 4, 6), s24);
		wasm_v128_store(dst + i, vmul_shr_sat(g, wasm_v128_load(up + i), s16));
	}
	for (; i < n; i++)
		dst[i] = silu_one(gate[i], up[i]);
}
