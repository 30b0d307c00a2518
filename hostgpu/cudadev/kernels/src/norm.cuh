// quant, norm, norm_quant: a block takes a row. A row of up to 16 elements a
// thread, in whole groups of four, stays in registers between the passes over
// it; any other is read again, from the caches.
#pragma once
#include "fixed.cuh"

enum { HELD = 4 }; // groups of four elements that a thread holds

// row_values is one row as a thread sees it.
template <bool held> struct row_values {
	const i32 *src;
	u32 k;
	i32x4 x[held ? HELD : 1];

	__attribute__((device, always_inline)) row_values(const i32 *p, u32 n) : src(p), k(n) {
		if (held)
			UNROLL for (u32 i = 0; i < HELD; i++) {
				u32 j = i * ntid() + tid();
				x[i] = j < k / 4 ? ((const i32x4 *)src)[j] : i32x4{0, 0, 0, 0};
			}
	}

	// each calls f(element, its column) for this thread's elements.
	template <class F> __attribute__((device, always_inline)) void each(F f) const {
		if (!held) {
			for (u32 j = tid(); j < k; j += ntid()) f(src[j], j);
			return;
		}
		UNROLL for (u32 i = 0; i < HELD; i++) {
			u32 j = i * ntid() + tid();
			if (j < k / 4) {
				f(x[i].x, 4 * j);
				f(x[i].y, 4 * j + 1);
				f(x[i].z, 4 * j + 2);
				f(x[i].w, 4 * j + 3);
			}
		}
	}

	// map stores f(element, its column) as s32 or s8.
	template <class T, class F> __attribute__((device, always_inline)) void map(T *dst, F f) const {
		if (!held) {
			for (u32 j = tid(); j < k; j += ntid()) dst[j] = (T)f(src[j], j);
			return;
		}
		UNROLL for (u32 i = 0; i < HELD; i++) {
			u32 j = i * ntid() + tid();
			if (j >= k / 4)
				continue;
			i32x4 y = {f(x[i].x, 4 * j), f(x[i].y, 4 * j + 1), f(x[i].z, 4 * j + 2), f(x[i].w, 4 * j + 3)};
			if (sizeof(T) == 4)
				((i32x4 *)dst)[j] = y;
			else
				((u32 *)dst)[j] = ((u32)y.x & 255) | ((u32)y.y & 255) << 8 | ((u32)y.z & 255) << 16 | (u32)y.w << 24;
		}
	}
};

// recip is ⌊(127·2^(e+22) + ⌊a/2⌋)/a⌋ with e = bitlen(a), a > 0.
DEVICE u32 recip(u32 a, u32 e) { return (u32)(((127ull << (e + 22)) + a / 2) / a); }
// quant_one is clamp(RHU(v·r, s)) for s = e + 22.
DEVICE i32 quant_one(i32 v, u32 r, u32 s) { return clamp_i32((i32)rhu((i64)v * (i64)r, s), -127, 127); }

struct quant_args { i8 *dst; scale *scales; const i32 *src; u32 m, k; i32 frac; u32 pad; };
template <bool held> DEVICE void quant(const quant_args &p) {
	for (u32 row = ctaid(); row < p.m; row += nctaid()) {
		i8 *dst = p.dst + (u64)row * p.k;
		row_values<held> v(p.src + (u64)row * p.k, p.k);
		u32 a = 0;
		v.each([&](i32 x, u32) { a = max_u32(a, abs_u32(x)); });
		a = block_max(a);
		if (a == 0) {
			v.map(dst, [](i32, u32) { return 0; });
			if (tid() == 0)
				scale_store(p.scales + row, 0, 0);
			continue;
		}
		u32 e = bitlen32(a), r = recip(a, e);
		v.map(dst, [&](i32 x, u32) { return quant_one(x, r, e + 22); });
		if (tid() == 0) {
			u64 big = (u64)a << (32 - e), m = (64 * big + 63) / 127;
			i32 ex = 38 - (i32)e + p.frac;
			if (m >> 31) {
				m = (32 * big + 63) / 127;
				ex--;
			}
			scale_store(p.scales + row, (u32)m, ex);
		}
	}
}
KERNEL BOUNDS(1024, 1) assay_quant(quant_args p) { quant<true>(p); }
KERNEL BOUNDS(1024, 1) assay_quant_any(quant_args p) { quant<false>(p); }

// rms is the normalizer of a row: √k/√(Σx² + epsk) = m·2^-h; m = 0 if the sum is 0.
struct rms { u32 m; i32 h; };

// The square root of k, c, is the same in every row: the host passes it.
template <bool held> DEVICE rms row_rms(const row_values<held> &x, u64 epsk, root c) {
	u32 top = 0;
	x.each([&](i32 v, u32) { top = max_u32(top, abs_u32(v)); });
	i32 t = (i32)bitlen32(block_max(top)) - 23;
	t = t > 0 ? t : 0;
	u64 sum = 0;
	x.each([&](i32 v, u32) { sum += (u64)((i64)(v >> t) * (v >> t)); });
	sum = block_sum64(sum) + (epsk >> (2 * t));
	if (sum == 0)
		return rms{0, 0};
	root a = nroot(sum);
	i32 z = c.r >= a.r ? 30 : 31;
	return rms{(u32)(((u64)c.r << z) / a.r), z + c.u - a.u + t};
}

struct norm_args { i32 *dst; const i32 *src, *gain; u64 epsk; u32 m, k, root_r; i32 root_u; };
template <bool held> DEVICE void norm(const norm_args &p) {
	for (u32 row = ctaid(); row < p.m; row += nctaid()) {
		i32 *dst = p.dst + (u64)row * p.k;
		row_values<held> x(p.src + (u64)row * p.k, p.k);
		rms n = row_rms(x, p.epsk, root{p.root_r, p.root_u});
		if (n.m == 0) {
			x.map(dst, [](i32, u32) { return 0; });
			continue;
		}
		u32 s = (u32)(n.h - 22); // in [0, 49]
		x.map(dst, [&](i32 v, u32 j) { return sat32(rhu((i64)sat32(rhu((i64)v * n.m, s)) * p.gain[j], 22)); });
	}
}
KERNEL BOUNDS(1024, 1) assay_norm(norm_args p) { norm<true>(p); }
KERNEL BOUNDS(1024, 1) assay_norm_any(norm_args p) { norm<false>(p); }

struct norm_quant_args { i8 *dst; scale *scales; const i32 *src, *gain; u64 epsk; u32 m, k, root_r; i32 root_u; };
template <bool held> DEVICE void norm_quant(const norm_quant_args &p) {
	for (u32 row = ctaid(); row < p.m; row += nctaid()) {
		i8 *dst = p.dst + (u64)row * p.k;
		row_values<held> x(p.src + (u64)row * p.k, p.k);
		rms n = row_rms(x, p.epsk, root{p.root_r, p.root_u});
		u64 big = 0;
		x.each([&](i32 v, u32 j) {
			i64 y = (i64)v * p.gain[j];
			u64 z = (u64)(y < 0 ? -y : y);
			big = big > z ? big : z;
		});
		big = block_max64(big);
		if (n.m == 0 || big == 0) {
			x.map(dst, [](i32, u32) { return 0; });
			if (tid() == 0)
				scale_store(p.scales + row, 0, 0);
			continue;
		}
		u32 w = bitlen64(big) > 31 ? bitlen64(big) - 31 : 0;
		u32 a = (u32)(big >> w), e = bitlen32(a), r = recip(a, e);
		x.map(dst, [&](i32 v, u32 j) { return quant_one((i32)(((i64)v * p.gain[j]) >> w), r, e + 22); });
		if (tid() == 0) {
			u64 v = ((u64)a << (31 - e)) * n.m / 127;
			i32 b = (i32)bitlen64(v);
			scale_store(p.scales + row, (u32)(v >> (b - 31)), 16 + n.h - (i32)w - (i32)e + 31 - (b - 31));
		}
	}
}
KERNEL BOUNDS(1024, 1) assay_norm_quant(norm_quant_args p) { norm_quant<true>(p); }
KERNEL BOUNDS(1024, 1) assay_norm_quant_any(norm_quant_args p) { norm_quant<false>(p); }
