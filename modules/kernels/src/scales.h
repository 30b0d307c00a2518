#pragma once
#include "fixed.h"

enum { SCALES_MAX = 65536 };

// scales is a run of loaded scales, with what lets one shift serve all of them:
// pow[i] = 2^(emax - e[i]), which moves the difference into the (small)
// integer that the scale multiplies. Exact: RHU(p·2^j, s+j) = RHU(p, s).
typedef struct {
	u32 *m;
	i32 *e;
	i32 *pow;
	i32 emin, emax; // over scales that are not 0; emin > emax if all are
	u32 same;       // all m and e are equal
} scales;

// scales_load loads n scales that are `stride` apart. headroom is how many bits
// the integer can grow by; where the exponents differ by more, pow is not set
// and scales_shift refuses.
void scales_load(scales *s, const scale *p, u32 n, u32 stride, u32 headroom);

// vscales is four loaded scales; zero marks those that are 0.
typedef struct { v128_t m, e, zero; } vscales;

INLINE vscales vscales_load(const scale *p, u32 stride) {
	v128_t a = wasm_v128_load64_zero(p), b = wasm_v128_load64_zero(p + 2 * stride);
	a = wasm_v128_load64_lane(p + stride, a, 1);
	b = wasm_v128_load64_lane(p + 3 * stride, b, 1);
	vscales s;
	s.m = wasm_v128_and(wasm_i32x4_shuffle(a, b, 0, 2, 4, 6), wasm_i32x4_const_splat(0x7FFFFFFF));
	s.e = wasm_i32x4_shuffle(a, b, 1, 3, 5, 7);
	s.e = wasm_i32x4_max(wasm_i32x4_min(s.e, wasm_i32x4_const_splat(SCALE_EXP)), wasm_i32x4_const_splat(-SCALE_EXP));
	s.zero = wasm_i32x4_eq(s.m, wasm_i32x4_const_splat(0));
	s.e = wasm_v128_bitselect(wasm_i32x4_const_splat(SCALE_EXP), s.e, s.zero);
	return s;
}

// scales_shift says whether every scale's shift e + base is in [0, 62], with
// pow set, so that the vector path is exact; the shift is then emax + base.
INLINE u32 scales_shift(const scales *s, i32 base, u32 headroom) {
	return s->emin <= s->emax && (u32)(s->emax - s->emin) <= headroom && s->emax + base <= 62 && s->emin + base >= 0;
}
