// Fixed-point arithmetic of docs/spec/ops.md, section 2. No value overflows at
// the bounds proved there; shifts are by less than the width of their type.
#pragma once
#include "common.cuh"

#define I32_MAX 0x7FFFFFFF
#define I32_MIN (-0x7FFFFFFF - 1)
#define LOG2E 1549082005 // log2(e)·2^30

DEVICE i32 sat32(i64 x) { return x > I32_MAX ? I32_MAX : x < I32_MIN ? I32_MIN : (i32)x; }

// rhu is (x + 2^(s-1)) >> s, or x for s = 0; s <= 62.
DEVICE i64 rhu(i64 x, u32 s) { return (x + (i64)((1ull << s) >> 1)) >> s; }

// shr_sat is SHR of the spec, for any s.
DEVICE i32 shr_sat(i64 p, i32 s) {
	if ((u32)s <= 62)
		return sat32(rhu(p, (u32)s));
	if (s > 0)
		return 0;
	return sat32((i64)((u64)(i64)sat32(p) << (-s < 31 ? -s : 31)));
}

DEVICE u32 cmul(u32 x, u32 y) { return (u32)(((u64)x * y) >> 31); }
DEVICE i32 clamp_i32(i32 x, i32 lo, i32 hi) { return x < lo ? lo : x > hi ? hi : x; }

// scale_of is load of the spec.
DEVICE scale scale_of(scale s) {
	s.m &= 0x7FFFFFFF;
	s.e = s.m ? clamp_i32(s.e, -1024, 1024) : 1024;
	return s;
}
DEVICE scale scale_load(const scale *p) {
	u64 x = *(const u64 *)p;
	return scale_of(scale{(u32)x, (i32)(x >> 32)});
}
DEVICE void scale_store(scale *p, u32 m, i32 e) { *(u64 *)p = (u64)(u32)e << 32 | m; }

DEVICE u32 bitlen32(u32 x) { return x ? 32 - (u32)__builtin_clz(x) : 0; }
DEVICE u32 bitlen64(u64 x) { return x >> 32 ? 32 + bitlen32((u32)(x >> 32)) : bitlen32((u32)x); }
DEVICE u32 abs_u32(i32 x) { return x < 0 ? 0u - (u32)x : (u32)x; }
DEVICE i32 sat_add(i32 a, i32 b) { return sat32((i64)a + b); }

// exp2q15 is EXP2 of the spec, f in [0, 32767].
DEVICE i32 q15(i32 a, i32 b) { return (a * b + (1 << 14)) >> 15; }
DEVICE u32 exp2q15(u32 f) {
	i32 x = (i32)f;
	return (u32)(32766 + q15(x, -22653 + q15(x, 7563 + q15(x, -1294))));
}

// root is NROOT of the spec: √x ≈ r·2^-u.
struct root { u32 r; i32 u; };

// isqrt is ⌊√y⌋ for y in [2^60, 2^62), bit by bit: once a row, so its speed
// does not matter and it needs no float.
DEVICE u32 isqrt(u64 y) {
	u32 r = 1u << 30;
	NOUNROLL for (u32 bit = 1u << 29; bit; bit >>= 1) {
		u32 t = r | bit;
		if ((u64)t * t <= y)
			r = t;
	}
	return r;
}

DEVICE root nroot(u64 x) {
	i32 u = (62 - (i32)bitlen64(x)) >> 1;
	return root{isqrt(u >= 0 ? x << (2 * u) : x >> 2), u};
}

// For s from 33 to 62 the rounding constant of SHR(x·c, s), x signed and c <
// 2^31, and its result concern the product's high word alone, which is within
// ±2^30: no 64-bit shift and no saturation. is_high says whether s is such.
DEVICE bool is_high(i32 s) { return (u32)s - 33 < 30; }
DEVICE i32 mul_shr_high(i32 x, u32 c, i32 s) { return (__nvvm_mulhi_i(x, (i32)c) + (1 << (s - 33))) >> (s - 32); }

// mul_shr is SHR(x·c, s) for any s.
DEVICE i32 mul_shr(i32 x, u32 c, i32 s) { return is_high(s) ? mul_shr_high(x, c, s) : shr_sat((i64)x * c, s); }
