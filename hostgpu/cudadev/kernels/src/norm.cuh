// quant, norm, norm_quant: a block takes a row, reduces it, then walks it
// again; the second reading comes from the caches.
#pragma once
#include "fixed.cuh"

// recip is ⌊(127·2^(e+22) + ⌊a/2⌋)/a⌋ with e = bitlen(a), a > 0.
DEVICE u32 recip(u32 a, u32 e) { return (u32)(((127ull << (e + 22)) + a / 2) / a); }
DEVICE i8 quant_one(i32 v, u32 r, u32 s) { return (i8)clamp_i32((i32)rhu((i64)v * (i64)r, s), -127, 127); }

#define ROW(j, k) for (u32 j = tid(); j < (k); j += ntid())

struct quant_args { i8 *dst; scale *scales; const i32 *src; u32 m, k; i32 frac; u32 pad; };
KERNEL BOUNDS(1024, 1) assay_quant(quant_args p) {
	for (u32 row = ctaid(); row < p.m; row += nctaid()) {
		const i32 *src = p.src + (u64)row * p.k;
		i8 *dst = p.dst + (u64)row * p.k;
		u32 a = 0;
		ROW(j, p.k) a = max_u32(a, abs_u32(src[j]));
		a = block_max(a);
		if (a == 0) {
			ROW(j, p.k) dst[j] = 0;
			if (tid() == 0)
				scale_store(p.scales + row, 0, 0);
			continue;
		}
		u32 e = bitlen32(a), r = recip(a, e);
		ROW(j, p.k) dst[j] = quant_one(src[j], r, e + 22);
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

// rms is the normalizer of a row: √k/√(Σx² + epsk) = m·2^-h; m = 0 if the sum is 0.
struct rms { u32 m; i32 h; };

// The square root of k is the same in every row: the host passes it.
DEVICE rms row_rms(const i32 *x, u32 k, u64 epsk, root c) {
	u32 top = 0;
	ROW(j, k) top = max_u32(top, abs_u32(x[j]));
	i32 t = (i32)bitlen32(block_max(top)) - 23;
	t = t > 0 ? t : 0;
	u64 sum = 0;
	ROW(j, k) {
		i64 v = x[j] >> t;
		sum += (u64)(v * v);
	}
	sum = block_sum64(sum) + (epsk >> (2 * t));
	if (sum == 0)
		return rms{0, 0};
	root a = nroot(sum);
	i32 z = c.r >= a.r ? 30 : 31;
	return rms{(u32)(((u64)c.r << z) / a.r), z + c.u - a.u + t};
}

struct norm_args { i32 *dst; const i32 *src, *gain; u64 epsk; u32 m, k, root_r; i32 root_u; };
KERNEL BOUNDS(1024, 1) assay_norm(norm_args p) {
	for (u32 row = ctaid(); row < p.m; row += nctaid()) {
		const i32 *src = p.src + (u64)row * p.k;
		i32 *dst = p.dst + (u64)row * p.k;
		rms n = row_rms(src, p.k, p.epsk, root{p.root_r, p.root_u});
		if (n.m == 0) {
			ROW(j, p.k) dst[j] = 0;
			continue;
		}
		u32 s = (u32)(n.h - 22); // in [0, 49]
		ROW(j, p.k) dst[j] = sat32(rhu((i64)sat32(rhu((i64)src[j] * n.m, s)) * p.gain[j], 22));
	}
}

DEVICE u64 abs_product(i32 x, i32 g) {
	i64 v = (i64)x * g;
	return (u64)(v < 0 ? -v : v);
}

struct norm_quant_args { i8 *dst; scale *scales; const i32 *src, *gain; u64 epsk; u32 m, k, root_r; i32 root_u; };
KERNEL BOUNDS(1024, 1) assay_norm_quant(norm_quant_args p) {
	for (u32 row = ctaid(); row < p.m; row += nctaid()) {
		const i32 *src = p.src + (u64)row * p.k;
		i8 *dst = p.dst + (u64)row * p.k;
		rms n = row_rms(src, p.k, p.epsk, root{p.root_r, p.root_u});
		u64 big = 0;
		ROW(j, p.k) {
			u64 v = abs_product(src[j], p.gain[j]);
			big = big > v ? big : v;
		}
		big = block_max64(big);
		if (n.m == 0 || big == 0) {
			ROW(j, p.k) dst[j] = 0;
			if (tid() == 0)
				scale_store(p.scales + row, 0, 0);
			continue;
		}
		u32 w = bitlen64(big) > 31 ? bitlen64(big) - 31 : 0;
		u32 a = (u32)(big >> w), e = bitlen32(a), r = recip(a, e);
		ROW(j, p.k) dst[j] = quant_one((i32)(((i64)src[j] * p.gain[j]) >> w), r, e + 22);
		if (tid() == 0) {
			u64 v = ((u64)a << (31 - e)) * n.m / 127;
			i32 b = (i32)bitlen64(v);
			scale_store(p.scales + row, (u32)(v >> (b - 31)), 16 + n.h - (i32)w - (i32)e + 31 - (b - 31));
		}
	}
}
