// Fixed-point arithmetic of docs/spec/ops.md, section 2.
#pragma once
#include "kernels.h"

enum { SHIFT_MAX = 62, SCALE_EXP = 1024 };

INLINE i32 sat32(i64 x) {
	return x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : (i32)x;
}

// rhu is (x + 2^(s-1)) >> s, or x for s = 0; 0 <= s <= 62.
INLINE i64 rhu(i64 x, u32 s) { return (x + (i64)((1ull << s) >> 1)) >> s; }

// shr_sat is SHR of the spec, for any s.
INLINE i32 shr_sat(i64 p, i32 s) {
	if ((u32)s <= SHIFT_MAX)
		return sat32(rhu(p, (u32)s));
	if (s > 0)
		return 0;
	return sat32((i64)sat32(p) << (-s < 31 ? -s : 31));
}

INLINE u32 cmul(u32 x, u32 y) { return (u32)(((u64)x * y) >> 31); }

INLINE i32 clamp_i32(i32 x, i32 lo, i32 hi) { return x < lo ? lo : x > hi ? hi : x; }

INLINE scale scale_load(const scale *p) {
	scale s = {p->m & 0x7FFFFFFF, clamp_i32(p->e, -SCALE_EXP, SCALE_EXP)};
	if (s.m == 0)
		s.e = SCALE_EXP;
	return s;
}

INLINE u32 bitlen32(u32 x) { return x ? 32 - (u32)__builtin_clz(x) : 0; }
INLINE u32 bitlen64(u64 x) { return x ? 64 - (u32)__builtin_clzll(x) : 0; }

INLINE i32 sat_add(i32 a, i32 b) { return sat32((i64)a + b); }

INLINE v128_t vsat_add(v128_t a, v128_t b) {
	v128_t s = wasm_i32x4_add(a, b);
	v128_t over = wasm_i32x4_shr(wasm_v128_and(wasm_v128_xor(a, s), wasm_v128_xor(b, s)), 31);
	v128_t limit = wasm_v128_xor(wasm_i32x4_shr(a, 31), wasm_i32x4_const_splat(INT32_MAX));
	return wasm_v128_bitselect(limit, s, over);
}

// vshift is one shift of 0..62 places for many 64-bit lanes. There is no fast
// arithmetic shift of 64-bit lanes: a bias of 2^63 makes it a logical one.
typedef struct {
	v128_t add, sub;
	u32 s;
} vshift;

INLINE vshift vshift_make(u32 s) {
	return (vshift){wasm_i64x2_splat((i64)((1ull << 63) + ((1ull << s) >> 1))),
	                wasm_i64x2_splat((i64)((1ull << 63) >> s)), s};
}

INLINE v128_t vrhu(v128_t x, vshift v) {
	return wasm_i64x2_sub(wasm_u64x2_shr(wasm_i64x2_add(x, v.add), v.s), v.sub);
}

// vshr_sat is SHR of four products: lo holds elements 0 and 1, hi 2 and 3.
INLINE v128_t vshr_sat(v128_t lo, v128_t hi, vshift v) {
	lo = vrhu(lo, v);
	hi = vrhu(hi, v);
	v128_t low = wasm_i32x4_shuffle(lo, hi, 0, 2, 4, 6), high = wasm_i32x4_shuffle(lo, hi, 1, 3, 5, 7);
	v128_t fits = wasm_i32x4_eq(high, wasm_i32x4_shr(low, 31));
	v128_t limit = wasm_v128_xor(wasm_i32x4_shr(high, 31), wasm_i32x4_const_splat(INT32_MAX));
	return wasm_v128_bitselect(low, limit, fits);
}

// vcmul is CMUL of four values below 2^31.
INLINE v128_t vcmul(v128_t x, v128_t y) {
	v128_t lo = wasm_u64x2_shr(wasm_u64x2_extmul_low_u32x4(x, y), 31);
	v128_t hi = wasm_u64x2_shr(wasm_u64x2_extmul_high_u32x4(x, y), 31);
	return wasm_i32x4_shuffle(lo, hi, 0, 2, 4, 6);
}

// vmul_shr_sat is SHR(x·y, s) of four signed values.
INLINE v128_t vmul_shr_sat(v128_t x, v128_t y, vshift v) {
	return vshr_sat(wasm_i64x2_extmul_low_i32x4(x, y), wasm_i64x2_extmul_high_i32x4(x, y), v);
}

INLINE u32 hmax_u32(v128_t x) {
	u32 a = wasm_u32x4_extract_lane(x, 0), b = wasm_u32x4_extract_lane(x, 1);
	u32 c = wasm_u32x4_extract_lane(x, 2), d = wasm_u32x4_extract_lane(x, 3);
	a = a > b ? a : b;
	c = c > d ? c : d;
	return a > c ? a : c;
}

INLINE i32 hmin_i32(v128_t x) {
	x = wasm_i32x4_min(x, wasm_i64x2_shuffle(x, x, 1, 1));
	i32 a = wasm_i32x4_extract_lane(x, 0), b = wasm_i32x4_extract_lane(x, 1);
	return a < b ? a : b;
}

INLINE i32 hmax_i32(v128_t x) {
	x = wasm_i32x4_max(x, wasm_i64x2_shuffle(x, x, 1, 1));
	i32 a = wasm_i32x4_extract_lane(x, 0), b = wasm_i32x4_extract_lane(x, 1);
	return a > b ? a : b;
}

INLINE u32 abs_u32(i32 x) { return x < 0 ? 0u - (u32)x : (u32)x; }

// max_abs is the largest |x| of a row.
INLINE u32 max_abs(const i32 *x, u32 n) {
	v128_t m = wasm_i32x4_const_splat(0);
	u32 i = 0;
	for (; i + 4 <= n; i += 4)
		m = wasm_u32x4_max(m, wasm_i32x4_abs(wasm_v128_load(x + i)));
	u32 a = hmax_u32(m);
	for (; i < n; i++)
		a = a > abs_u32(x[i]) ? a : abs_u32(x[i]);
	return a;
}

// pow2 is 2^k in each 32-bit lane for k in [0, 31].
INLINE v128_t pow2(v128_t k) {
	v128_t all = wasm_i8x16_swizzle(k, wasm_i8x16_const(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12));
	v128_t bit = wasm_i8x16_swizzle(wasm_i8x16_const(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0),
	                                wasm_v128_and(all, wasm_i8x16_const_splat(7)));
	v128_t byte = wasm_v128_and(all, wasm_i8x16_const_splat(24));
	return wasm_v128_and(bit, wasm_i8x16_eq(byte, wasm_i32x4_const_splat(0x18100800)));
}

// root is NROOT of the spec: √x ≈ r·2^-u.
typedef struct { u32 r; i32 u; } root;
root nroot(u64 x);

// exp2q15 is EXP2 of the spec.
INLINE i32 q15(i32 a, i32 b) { return (a * b + (1 << 14)) >> 15; }
INLINE u32 exp2q15(u32 f) {
	i32 x = (i32)f;
	return (u32)(32766 + q15(x, -22653 + q15(x, 7563 + q15(x, -1294))));
}

// vexp2_i16 is EXP2 of eight (i16x8) values; of four in 32-bit lanes when c is
// the constants' low halves only, because zero halves stay zero.
INLINE v128_t vexp2(v128_t f, v128_t c0, v128_t c1, v128_t c2, v128_t c3) {
	v128_t y = wasm_i16x8_add(c2, wasm_i16x8_q15mulr_sat(f, c3));
	y = wasm_i16x8_add(c1, wasm_i16x8_q15mulr_sat(f, y));
	return wasm_i16x8_add(c0, wasm_i16x8_q15mulr_sat(f, y));
}
INLINE v128_t vexp2_i16(v128_t f) {
	return vexp2(f, wasm_i16x8_const_splat(32766), wasm_i16x8_const_splat(-22653), wasm_i16x8_const_splat(7563),
	             wasm_i16x8_const_splat(-1294));
}
INLINE v128_t vexp2_i32(v128_t f) {
	return vexp2(f, wasm_i32x4_const_splat(32766), wasm_i32x4_const_splat(-22653 & 0xFFFF), wasm_i32x4_const_splat(7563),
	             wasm_i32x4_const_splat(-1294 & 0xFFFF));
}
