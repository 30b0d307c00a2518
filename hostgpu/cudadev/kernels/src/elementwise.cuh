// Ops whose elements are independent. A thread takes every (grid·block)th
// group of four elements, so any grid is right; the launch chooses one that
// fills the device. Four elements are 16 bytes a load: enough bytes are under
// way to use the memory's whole bandwidth. What no group of four covers (all of
// it where addresses or rows are not multiples of four elements) goes one by one.
#pragma once
#include "fixed.cuh"

#define EACH(i, n) for (u32 i = ctaid() * ntid() + tid(), step_ = nctaid() * ntid(); i < (n); i += step_)
// REST walks the elements behind the groups.
#define REST(i, p) for (u32 i = 4 * (p).quads + ctaid() * ntid() + tid(), step_ = nctaid() * ntid(); i < (p).n; i += step_)

DEVICE i32x4 load4(const i32 *p, u32 quad) { return ((const i32x4 *)p)[quad]; }
DEVICE void store4(i32 *p, u32 quad, i32x4 x) { ((i32x4 *)p)[quad] = x; }
DEVICE i32x4 sat_add4(i32x4 a, i32x4 b) {
	return i32x4{sat_add(a.x, b.x), sat_add(a.y, b.y), sat_add(a.z, b.z), sat_add(a.w, b.w)};
}

struct add_args { i32 *dst; const i32 *a, *b; u32 n, quads; };
KERNEL BOUNDS(256, 4) assay_add(add_args p) {
	EACH(i, p.quads) store4(p.dst, i, sat_add4(load4(p.a, i), load4(p.b, i)));
	REST(i, p) p.dst[i] = sat_add(p.a[i], p.b[i]);
}

// With n elements in rows of k.
struct add_row_args { i32 *dst; const i32 *a, *row; u32 n, quads, k, pad; };
KERNEL BOUNDS(256, 4) assay_add_row(add_row_args p) {
	EACH(i, p.quads) store4(p.dst, i, sat_add4(load4(p.a, i), load4(p.row, i % (p.k / 4))));
	REST(i, p) p.dst[i] = sat_add(p.a[i], p.row[i % p.k]);
}

DEVICE i32 rescale(i32 acc, scale r, scale c, i32 eout) { return mul_shr(acc, cmul(c.m, r.m), c.e + r.e - eout); }

// k is N of the spec.
struct rescale_args { i32 *dst; const i32 *acc; const scale *row, *chan; u32 n, quads, k; i32 eout; };
KERNEL BOUNDS(256, 4) assay_rescale(rescale_args p) {
	EACH(i, p.quads) {
		u32 per = p.k / 4;
		scale r = scale_load(p.row + i / per);
		const scale *c = p.chan + i % per * 4;
		i32x4 x = load4(p.acc, i);
		x.x = rescale(x.x, r, scale_load(c), p.eout);
		x.y = rescale(x.y, r, scale_load(c + 1), p.eout);
		x.z = rescale(x.z, r, scale_load(c + 2), p.eout);
		x.w = rescale(x.w, r, scale_load(c + 3), p.eout);
		store4(p.dst, i, x);
	}
	REST(i, p) p.dst[i] = rescale(p.acc[i], scale_load(p.row + i / p.k), scale_load(p.chan + i % p.k), p.eout);
}

// sigma is ⌊(num·2^24 + ⌊den/2⌋) / den⌋ for num = 2^24 or, of a negative x, num =
// den - 2^24; den in [2^24, 2^25). Both follow from 2^48/den and its remainder:
// num·2^24 is 2^48, or 2^24·den - 2^48. The reciprocal is Newton's, in Q29, from
// the line 48/17 - 32/17·d, which is within 1/17: three steps leave an error below
// 2^-27, so the quotient is at most one off (all 2^24 denominators were tried).
DEVICE u32 sigma(bool negative, u32 den) {
	u32 d = den << 7; // d·2^-32 in [1/2, 1)
	i32 y = 1515870810 - (i32)__nvvm_mulhi_ui(d, 1010580540);
	UNROLL for (int i = 0; i < 3; i++) {
		i32 e = (1 << 29) - (i32)__nvvm_mulhi_ui(d, (u32)y);
		y += (i32)((i64)y * e >> 29);
	}
	u32 q = (u32)y >> 6;
	i32 rest = (i32)(0u - q * den); // of 2^48, whose low word is 0
	if (rest < 0) {
		q--;
		rest += (i32)den;
	} else if (rest >= (i32)den) {
		q++;
		rest -= (i32)den;
	}
	return negative ? (1u << 24) - q - ((u32)rest > den / 2) : q + ((u32)rest + den / 2 >= den);
}

DEVICE i32 silu(i32 x, i32 y) {
	u32 d = (u32)(((u64)abs_u32(x) * LOG2E + (1u << 30)) >> 31);
	u32 p = (exp2q15(d & 32767) << 9) >> min_u32(d >> 15, 31);
	i32 g = (i32)rhu((i64)x * (i32)sigma(x < 0, (1u << 24) + p), 24); // σ <= 2^24, so |g| <= |x|
	return sat32(rhu((i64)g * y, 16));
}

struct silu_args { i32 *dst; const i32 *gate, *up; u32 n, quads; };
KERNEL BOUNDS(256, 4) assay_silu_mul(silu_args p) {
	EACH(i, p.quads) {
		i32x4 x = load4(p.gate, i), y = load4(p.up, i);
		store4(p.dst, i, i32x4{silu(x.x, y.x), silu(x.y, y.y), silu(x.z, y.z), silu(x.w, y.w)});
	}
	REST(i, p) p.dst[i] = silu(p.gate[i], p.up[i]);
}

DEVICE void turn(i32 &x, i32 &y, i32 c, i32 s) {
	i64 cos = clamp_i32(c, -(1 << 30), 1 << 30), sin = clamp_i32(s, -(1 << 30), 1 << 30), x0 = x, x1 = y;
	x = sat32(rhu(x0 * cos - x1 * sin, 30));
	y = sat32(rhu(x1 * cos + x0 * sin, 30));
}

// A thread turns pairs of columns: n = M·C/2 of them, in rows of C/2.
struct rope_args { i32 *dst; const i32 *src, *table, *pos; u32 n, quads, c, d, p, pad; };
KERNEL BOUNDS(256, 4) assay_rope(rope_args p) {
	u32 half = p.d / 2, per_row = p.c / 2;
	// Of the pair's number: its first element and the entry of the table.
	auto place = [&](u32 i, u64 &at, const i32 *&t) {
		u32 row = i / per_row, pair = i % per_row, head = pair / half, j = pair % half;
		t = p.table + (u64)(u32)clamp_i32(p.pos[row], 0, (i32)p.p - 1) * p.d + j;
		at = (u64)row * p.c + head * p.d + j;
	};
	EACH(i, p.quads) {
		u64 at;
		const i32 *t;
		place(4 * i, at, t);
		i32x4 x = *(const i32x4 *)(p.src + at), y = *(const i32x4 *)(p.src + at + half);
		i32x4 c = *(const i32x4 *)t, s = *(const i32x4 *)(t + half);
		i32 a[4] = {x.x, x.y, x.z, x.w}, b[4] = {y.x, y.y, y.z, y.w};
		turn(a[0], b[0], c.x, s.x);
		turn(a[1], b[1], c.y, s.y);
		turn(a[2], b[2], c.z, s.z);
		turn(a[3], b[3], c.w, s.w);
		*(i32x4 *)(p.dst + at) = i32x4{a[0], a[1], a[2], a[3]};
		*(i32x4 *)(p.dst + at + half) = i32x4{b[0], b[1], b[2], b[3]};
	}
	REST(i, p) {
		u64 at;
		const i32 *t;
		place(i, at, t);
		i32 x = p.src[at], y = p.src[at + half];
		turn(x, y, t[0], t[half]);
		p.dst[at] = x;
		p.dst[at + half] = y;
	}
}

struct embed_args { i32 *dst; const i8 *table; const scale *scales; const i32 *ids; u32 n, quads, k, v, frac, pad; };
KERNEL BOUNDS(256, 4) assay_embed(embed_args p) {
	EACH(i, p.quads) {
		u32 per = p.k / 4, id = (u32)clamp_i32(p.ids[i / per], 0, (i32)p.v - 1);
		scale s = scale_load(p.scales + id);
		u32 x = ((const u32 *)p.table)[(u64)id * per + i % per];
		i32 e = s.e - (i32)p.frac;
		store4(p.dst, i, i32x4{shr_sat((i64)(i8)x * s.m, e), shr_sat((i64)(i8)(x >> 8) * s.m, e),
		                       shr_sat((i64)(i8)(x >> 16) * s.m, e), shr_sat((i64)(i8)(x >> 24) * s.m, e)});
	}
	REST(i, p) {
		u32 id = (u32)clamp_i32(p.ids[i / p.k], 0, (i32)p.v - 1);
		scale s = scale_load(p.scales + id);
		p.dst[i] = shr_sat((i64)p.table[(u64)id * p.k + i % p.k] * s.m, s.e - (i32)p.frac);
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
