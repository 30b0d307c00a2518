// Ops whose elements are independent. A thread takes every (grid·block)th
// element, so any grid is right; the launch chooses one that fills the device.
#pragma once
#include "fixed.cuh"

#define EACH(i, n) for (u32 i = ctaid() * ntid() + tid(), step_ = nctaid() * ntid(); i < (n); i += step_)

struct add_args { i32 *dst; const i32 *a, *b; u32 n, pad; };
KERNEL BOUNDS(256, 4) assay_add(add_args p) {
	EACH(i, p.n) p.dst[i] = sat_add(p.a[i], p.b[i]);
}

// With n elements in rows of k.
struct add_row_args { i32 *dst; const i32 *a, *row; u32 n, k; };
KERNEL BOUNDS(256, 4) assay_add_row(add_row_args p) {
	EACH(i, p.n) p.dst[i] = sat_add(p.a[i], p.row[i % p.k]);
}

struct rescale_args { i32 *dst; const i32 *acc; const scale *row, *chan; u32 count, n; i32 eout; u32 pad; };
KERNEL BOUNDS(256, 4) assay_rescale(rescale_args p) {
	EACH(i, p.count) {
		scale r = scale_load(p.row + i / p.n), c = scale_load(p.chan + i % p.n);
		p.dst[i] = shr_sat((i64)p.acc[i] * cmul(c.m, r.m), c.e + r.e - p.eout);
	}
}

// sigma is ⌊(num·2^24 + ⌊den/2⌋) / den⌋ for num <= 2^24 <= den <= 2^25 and num
// <= den: long division by four digits of six bits, so that a remainder, below
// 2^25, and a digit fit 32 bits.
DEVICE u32 sigma(u32 num, u32 den) {
	u32 q = 0, rest = num;
	UNROLL for (u32 done = 0; done < 24; done += 6) {
		rest <<= 6;
		u32 digit = rest / den;
		rest -= digit * den;
		q = q << 6 | digit;
	}
	// What is left adds ⌊den/2⌋: one more if 2·rest reaches den, rounded up.
	return q + (rest + den / 2 >= den);
}

DEVICE i32 silu(i32 x, i32 y) {
	u32 d = (u32)(((u64)abs_u32(x) * LOG2E + (1u << 30)) >> 31);
	u32 n = min_u32(d >> 15, 31);
	u32 p = (exp2q15(d & 32767) << 9) >> n;
	i64 s = sigma(x >= 0 ? 1u << 24 : p, (1u << 24) + p);
	return shr_sat(rhu(x * s, 24) * y, 16);
}

struct silu_args { i32 *dst; const i32 *gate, *up; u32 n, pad; };
KERNEL BOUNDS(256, 4) assay_silu_mul(silu_args p) {
	EACH(i, p.n) p.dst[i] = silu(p.gate[i], p.up[i]);
}

// A thread turns one pair of columns; pairs = M·C/2, in rows of C/2.
struct rope_args { i32 *dst; const i32 *src, *table, *pos; u32 pairs, c, d, p; };
KERNEL BOUNDS(256, 4) assay_rope(rope_args p) {
	u32 half = p.d / 2, per_row = p.c / 2;
	EACH(i, p.pairs) {
		u32 row = i / per_row, pair = i % per_row, head = pair / half, j = pair % half;
		const i32 *t = p.table + (u64)(u32)clamp_i32(p.pos[row], 0, (i32)p.p - 1) * p.d;
		i64 cos = clamp_i32(t[j], -(1 << 30), 1 << 30), sin = clamp_i32(t[j + half], -(1 << 30), 1 << 30);
		u64 at = (u64)row * p.c + head * p.d + j;
		i64 x0 = p.src[at], x1 = p.src[at + half];
		p.dst[at] = sat32(rhu(x0 * cos - x1 * sin, 30));
		p.dst[at + half] = sat32(rhu(x1 * cos + x0 * sin, 30));
	}
}

struct embed_args { i32 *dst; const i8 *table; const scale *scales; const i32 *ids; u32 n, k, v, frac; };
KERNEL BOUNDS(256, 4) assay_embed(embed_args p) {
	EACH(i, p.n) {
		u32 row = i / p.k, j = i % p.k, id = (u32)clamp_i32(p.ids[row], 0, (i32)p.v - 1);
		scale s = scale_load(p.scales + id);
		p.dst[i] = shr_sat((i64)p.table[(u64)id * p.k + j] * s.m, s.e - (i32)p.frac);
	}
}

// move copies rows of bytes, in units of the kernel's width: row i of dst is
// row (ids ? clamp(ids[i]) : i) of src from column col0 on. copy is one row.
struct move_args { void *dst; const void *src; const i32 *ids; u32 n, units, pitch, col0, rows, pad; };

template <typename T> DEVICE void move(const move_args &p) {
	T *dst = (T *)p.dst;
	const T *src = (const T *)p.src;
	EACH(i, p.n) {
		u32 row = i / p.units, j = i % p.units;
		if (p.ids)
			row = (u32)clamp_i32(p.ids[row], 0, (i32)p.rows - 1);
		dst[i] = src[(u64)row * p.pitch + p.col0 + j];
	}
}
KERNEL BOUNDS(256, 4) assay_move_1(move_args p) { move<u8>(p); }
KERNEL BOUNDS(256, 4) assay_move_4(move_args p) { move<u32>(p); }
KERNEL BOUNDS(256, 4) assay_move_16(move_args p) { move<u32x4>(p); }

// zero clears n 32-bit words of scratch.
struct zero_args { u32 *dst; u32 n, pad; };
KERNEL BOUNDS(256, 4) assay_zero(zero_args p) {
	EACH(i, p.n) p.dst[i] = 0;
}
