#include "fixed.h"
#include "scales.h"

root nroot(u64 x) {
	root out;
	out.u = (62 - (i32)bitlen64(x)) >> 1;
	u64 y = out.u >= 0 ? x << (2 * out.u) : x >> 2;
	// The nearest double is within one of the root of y in [2^60, 2^62); the
	// two corrections make it the floor whatever the rounding was.
	u64 r = (u64)__builtin_sqrt((double)y);
	if (r * r > y)
		r--;
	if ((r + 1) * (r + 1) <= y)
		r++;
	out.r = (u32)r;
	return out;
}

void scales_load(scales *s, const scale *p, u32 n, u32 stride, u32 headroom) {
	scale first = n ? scale_load(p) : (scale){0, 0};
	v128_t m0 = wasm_i32x4_splat((i32)first.m), e0 = wasm_i32x4_splat(first.e);
	v128_t vmin = wasm_i32x4_const_splat(INT32_MAX), vmax = wasm_i32x4_const_splat(INT32_MIN), vsame = wasm_i32x4_const_splat(-1);
	u32 i = 0;
	for (; i + 4 <= n; i += 4) {
		vscales x = vscales_load(p + i * stride, stride);
		wasm_v128_store(s->m + i, x.m);
		wasm_v128_store(s->e + i, x.e);
		vsame = wasm_v128_and(vsame, wasm_v128_and(wasm_i32x4_eq(x.m, m0), wasm_i32x4_eq(x.e, e0)));
		vmin = wasm_i32x4_min(vmin, wasm_v128_bitselect(wasm_i32x4_const_splat(INT32_MAX), x.e, x.zero));
		vmax = wasm_i32x4_max(vmax, wasm_v128_bitselect(wasm_i32x4_const_splat(INT32_MIN), x.e, x.zero));
	}
	i32 emin = hmin_i32(vmin), emax = hmax_i32(vmax);
	u32 same = wasm_i32x4_all_true(vsame);
	for (; i < n; i++) {
		scale x = scale_load(p + i * stride);
		s->m[i] = x.m;
		s->e[i] = x.e;
		if (x.m) {
			emin = x.e < emin ? x.e : emin;
			emax = x.e > emax ? x.e : emax;
		}
		same &= x.m == first.m && x.e == first.e;
	}
	s->emin = emin;
	s->emax = emax;
	s->same = same;
	if (emin > emax || (u32)(emax - emin) > headroom)
		return;
	v128_t top = wasm_i32x4_splat(emax), none = wasm_i32x4_const_splat(0);
	for (i = 0; i + 4 <= n; i += 4) {
		v128_t zero = wasm_i32x4_eq(wasm_v128_load(s->m + i), none);
		v128_t k = wasm_v128_andnot(wasm_i32x4_sub(top, wasm_v128_load(s->e + i)), zero);
		wasm_v128_store(s->pow + i, pow2(k));
	}
	for (; i < n; i++)
		s->pow[i] = s->m[i] ? 1 << (emax - s->e[i]) : 1;
}
