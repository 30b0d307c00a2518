// What the kernels of gemm and linear share: arguments, the walk over tiles
// and the epilogue.
#pragma once
#include "fixed.cuh"
#include "tensorcore.cuh"

// arow is 0 for gemm, whose sums are the result; linear rescales them and adds
// bias and residual where they are not 0.
struct gemm_args {
	i32 *dst;
	const i8 *a, *w;
	const scale *arow, *wchan;
	const i32 *bias, *residual;
	i32 *partial;  // zeroed sums, one an element, where K is split
	u32 *counters; // zeroed, one a tile
	u32 m, n, k;
	i32 eout;
	u32 tiles_m, tiles_n;
	u32 splits, k_split; // a split works on k_split columns, the last on fewer
	u32 pairs;           // dst and residual may be accessed two elements at a time
	u32 pad;
};

// A block's tile and its share of K.
struct tile { u32 m, n, index, k0, k1; };

// tile_of orders tiles so that blocks running together share operands in the
// second-level cache: bands of eight tiles of rows, column after column.
DEVICE tile tile_of(const gemm_args &p) {
	enum { BAND = 8 };
	u32 tiles = p.tiles_m * p.tiles_n, index = ctaid() % tiles, split = ctaid() / tiles;
	u32 band = index / (BAND * p.tiles_n), in = index % (BAND * p.tiles_n);
	u32 height = min_u32(BAND, p.tiles_m - band * BAND);
	u32 k0 = split * p.k_split;
	return tile{band * BAND + in % height, in / height, index, k0, min_u32(p.k, k0 + p.k_split)};
}

// finish_one is the epilogue for one sum; at is its index in dst.
DEVICE i32 finish_one(const gemm_args &p, i32 acc, u32 row, u32 col) {
	u64 at = (u64)row * p.n + col;
	if (p.arow) {
		scale r = scale_load(p.arow + row), c = scale_load(p.wchan + col);
		acc = mul_shr(acc, cmul(c.m, r.m), c.e + r.e - p.eout);
	}
	if (p.bias)
		acc = sat_add(acc, p.bias[col]);
	return p.residual ? sat_add(acc, p.residual[at]) : acc;
}

// The fragments of MI×NI products of mma: lane l has rows 16·i + l/4 + {0, 8}
// and columns 8·j + 2·(l%4) + {0, 1}.
template <int MI, int NI> struct sums { i32 c[MI][NI][4]; };

// A patch is 16 rows of sums in shared memory. Its pitch of 8 mod 32 words
// spreads the fragments of half a warp over all banks.
template <int NI> struct patch {
	enum { COLS = 8 * NI, PITCH = COLS + 8, LANES = COLS / 2, WORDS = 16 * PITCH };
};

// emit_patch writes results from row row0 and column col0 on: a lane has two
// columns, whose channel scales it loads once, and every (64/COLS)th row.
template <int NI> DEVICE void emit_patch(const gemm_args &p, const i32 *words, u32 row0, u32 col0) {
	typedef patch<NI> P;
	u32 in = lane() % P::LANES * 2, col = col0 + in, first = lane() / P::LANES;
	bool one = col < p.n, two = col + 1 < p.n;
	u64 mine = 0; // the row scale of row lane()%16
	scale left = {0, 0}, right = {0, 0};
	i32 bias_l = 0, bias_r = 0;
	if (p.arow) {
		if (row0 + lane() % 16 < p.m) {
			scale r = scale_load(p.arow + row0 + lane() % 16);
			mine = (u64)(u32)r.e << 32 | r.m;
		}
		if (one)
			left = scale_load(p.wchan + col);
		if (two)
			right = scale_load(p.wchan + col + 1);
		if (p.bias && one)
			bias_l = p.bias[col];
		if (p.bias && two)
			bias_r = p.bias[col + 1];
	}
	_Pragma("unroll 2") for (u32 i = 0; i < P::LANES / 2; i++) {
		u32 r = i * (32 / P::LANES) + first;
		i32x2 v = *(const i32x2 *)(words + r * P::PITCH + in);
		scale row = {shuffle_idx((u32)mine, r), (i32)shuffle_idx((u32)(mine >> 32), r)};
		if (p.arow) {
			u32 cl = cmul(left.m, row.m), cr = cmul(right.m, row.m);
			// What is not there must not keep the rest from the simple case.
			bool in = row0 + r < p.m;
			i32 sl = in && one ? left.e + row.e - p.eout : 33, sr = in && two ? right.e + row.e - p.eout : 33;
			if (all(is_high(sl) && is_high(sr))) {
				v.x = mul_shr_high(v.x, cl, sl);
				v.y = mul_shr_high(v.y, cr, sr);
			} else {
				v.x = shr_sat((i64)v.x * cl, sl);
				v.y = shr_sat((i64)v.y * cr, sr);
			}
			v.x = sat_add(v.x, bias_l);
			v.y = sat_add(v.y, bias_r);
		}
		if (row0 + r >= p.m || !one)
			continue;
		u64 at = (u64)(row0 + r) * p.n + col;
		if (p.pairs) {
			if (p.residual) {
				i32x2 z = *(const i32x2 *)(p.residual + at);
				v.x = sat_add(v.x, z.x);
				v.y = sat_add(v.y, z.y);
			}
			*(i32x2 *)(p.dst + at) = v;
			continue;
		}
		p.dst[at] = p.residual ? sat_add(v.x, p.residual[at]) : v.x;
		if (two)
			p.dst[at + 1] = p.residual ? sat_add(v.y, p.residual[at + 1]) : v.y;
	}
}

// emit_tile writes 16 rows of NI n-tiles of sums, from row row0 and column col0
// on; words is the warp's own room for a patch.
template <int NI> DEVICE void emit_tile(const gemm_args &p, const i32 (*c)[4], i32 *words, u32 row0, u32 col0) {
	typedef patch<NI> P;
	i32 *mine = words + lane() / 4 * P::PITCH + lane() % 4 * 2;
	UNROLL for (int j = 0; j < NI; j++) {
		*(i32x2 *)(mine + 8 * j) = i32x2{c[j][0], c[j][1]};
		*(i32x2 *)(mine + 8 * P::PITCH + 8 * j) = i32x2{c[j][2], c[j][3]};
	}
	warp_barrier();
	emit_patch<NI>(p, words, row0, col0);
	warp_barrier();
}

// gather adds a split's sums to those of the others, exactly, in any order. It
// says whether this block is the last of its tile, whose sums are then whole.
SHARED u32 gather_last;
template <int MI, int NI> DEVICE bool gather(const gemm_args &p, const tile &t, sums<MI, NI> &s, u32 row0, u32 col0) {
	u32 row = row0 + lane() / 4, col = col0 + lane() % 4 * 2;
	UNROLL for (int i = 0; i < MI; i++) UNROLL for (int j = 0; j < NI; j++) UNROLL for (int e = 0; e < 4; e++) {
		u32 r = row + 16 * i + 8 * (e >> 1), c = col + 8 * j + (e & 1);
		if (r < p.m && c < p.n)
			reduce_add((u32 *)p.partial + r * p.n + c, (u32)s.c[i][j][e]);
	}
	barrier();
	if (tid() == 0) {
		fence();
		gather_last = atomic_add(p.counters + t.index, 1) == p.splits - 1;
		fence();
	}
	barrier();
	if (!gather_last)
		return false;
	UNROLL for (int i = 0; i < MI; i++) UNROLL for (int j = 0; j < NI; j++) UNROLL for (int e = 0; e < 4; e++) {
		u32 r = row + 16 * i + 8 * (e >> 1), c = col + 8 * j + (e & 1);
		s.c[i][j][e] = r < p.m && c < p.n ? (i32)fresh((const u32 *)p.partial + r * p.n + c) : 0;
	}
	return true;
}
