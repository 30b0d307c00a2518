// attention on the tensor cores, for heads of 64 or 128 columns.
//
// A warp takes a tile of eight rows: the (query, head) pairs that share a head
// of k and v, in order of the query. It walks its keys twice, 32 at a time: for
// the rows' maxima, then for the weights and their products with v. Scores are
// computed twice rather than stored. Nothing passes through shared memory but
// scales, because sums may be taken in any order, which lets fragments be
// whatever a lane can read in one piece. With g = lane/4, q = lane%4:
//   k    n-tile j has keys 8j..8j+7. Lane (g, q) reads a quarter, the q-th, of
//        the row of key 8j+g; step s of the product takes words 2s and 2s+1 of
//        it as b0 and b1. Queries are cut up in the same way.
//   w    the product leaves lane (g, q) the scores of row g with keys 8j+2q,
//        8j+2q+1. As the operand of the next product their low bytes are rows
//        0..7 and their high bytes rows 8..15, so that one mma sums both limbs;
//        position 4q+i of K is key 2q+i%2+8·(i/2), 16 further the same plus 16.
//   v    lane (g, q) reads the g-th eighth of the rows of those eight keys and
//        transposes 4×4 bytes at a time; n-tile t has columns g·D/8 + t.
#pragma once
#include "attention.cuh"
#include "tensorcore.cuh"

enum { TILE = 8, CHUNK = 32, MMA_WARPS = 4 };

// What the rows need of a key: its scale, and μ and exponent of its value row.
struct alignas(16) key_scales { u32 m; i32 e; u32 mu; i32 ev; };
SHARED key_scales staged[MMA_WARPS][CHUNK];

SHARED u32 tile_top[MMA_WARPS][TILE], tile_least[MMA_WARPS][TILE], tile_total[TILE];
SHARED u64 tile_sum[TILE * 128];

// key_of is the place in a chunk of the i-th of a lane's eight keys.
DEVICE u32 key_of(int i) { return lane() % 4 * 2 + i % 2 + i / 2 * 8; }

DEVICE u32 permute(u32 a, u32 b, u32 by) { return (u32)__nvvm_prmt((i32)a, (i32)b, (i32)by); }

// transpose replaces four rows of four bytes by its columns.
DEVICE void transpose(u32 x[4]) {
	u32 a = permute(x[0], x[1], 0x5140), b = permute(x[2], x[3], 0x5140);
	u32 c = permute(x[0], x[1], 0x7362), d = permute(x[2], x[3], 0x7362);
	x[0] = permute(a, b, 0x5410);
	x[1] = permute(a, b, 0x7632);
	x[2] = permute(c, d, 0x5410);
	x[3] = permute(c, d, 0x7632);
}

template <int WORDS> DEVICE void load_words(u32 x[WORDS], const i8 *p) {
	if (WORDS == 2) {
		u32x2 y = *(const u32x2 *)p;
		x[0] = y.x;
		x[1] = y.y;
		return;
	}
	UNROLL for (int i = 0; i < WORDS / 4; i++) {
		u32x4 y = ((const u32x4 *)p)[i];
		x[4 * i] = y.x;
		x[4 * i + 1] = y.y;
		x[4 * i + 2] = y.z;
		x[4 * i + 3] = y.w;
	}
}

// One warp's tile: what stays the same over all keys.
template <int D> struct tile_state {
	enum { QUARTER = D / 4, EIGHTH = D / 8 };
	const i8 *k, *v;         // the segment's first key of the group
	const scale *ks, *vs;
	u64 pitch;               // bytes from key to key
	u32 groups, kseg;
	u32 query[QUARTER / 4];  // this lane's quarter of row g
	u32 c1, visible;         // of row g
	i32 base;

	// stage loads the scales of 32 keys, one a lane.
	__attribute__((device, always_inline)) key_scales *stage(u32 first) const {
		u64 i = (u64)min_u32(first + lane(), kseg - 1) * groups;
		scale sk = scale_load(ks + i), sv = scale_load(vs + i);
		warp_barrier();
		staged[warp()][lane()] = key_scales{sk.m, sk.e, mu_of(sv), sv.e};
		warp_barrier();
		return staged[warp()];
	}

	// dots computes the products of row g with keys first + 8j + 2q + {0, 1}.
	__attribute__((device, always_inline)) void dots(i32 dot[8], u32 first) const {
		UNROLL for (int j = 0; j < 4; j++) {
			u32 key[QUARTER / 4];
			load_words<QUARTER / 4>(key, k + min_u32(first + 8 * j + lane() / 4, kseg - 1) * pitch + lane() % 4 * QUARTER);
			i32 c[4] = {0, 0, 0, 0};
			UNROLL for (int s = 0; s < QUARTER / 8; s++) {
				u32 a[4] = {query[2 * s], 0, query[2 * s + 1], 0};
				mma(c, a, key[2 * s], key[2 * s + 1]);
			}
			dot[2 * j] = c[0];
			dot[2 * j + 1] = c[1];
		}
	}
};

// score_all turns this lane's products into scores, e being exponents of keys.
// Nearly always all shifts of a warp are of the simple kind: one branch for all
// of them leaves code in which the eight overlap.
template <int D> DEVICE void score_all(const tile_state<D> &t, i32 x[8], const u32 m[8], const i32 e[8]) {
	bool high = true;
	UNROLL for (int i = 0; i < 8; i++) high &= is_high(t.base + e[i]);
	if (all(high)) {
		UNROLL for (int i = 0; i < 8; i++) x[i] = mul_shr_high(x[i], cmul(t.c1, m[i]), t.base + e[i]);
		return;
	}
	UNROLL for (int i = 0; i < 8; i++) x[i] = shr_sat((i64)x[i] * cmul(t.c1, m[i]), t.base + e[i]);
}

// maxima is the first walk: the largest score and least exponent of v of row g
// among this lane's keys.
template <int D> DEVICE void maxima(const tile_state<D> &t, u32 part, u32 parts, u32 chunks, i32 &top, i32 &least) {
	NOUNROLL for (u32 c = part; c < chunks; c += parts) {
		u32 first = c * CHUNK;
		i32 x[8], e[8], ev[8];
		u32 m[8];
		t.dots(x, first);
		const key_scales *s = t.stage(first);
		UNROLL for (int i = 0; i < 8; i++) {
			key_scales y = s[key_of(i)];
			m[i] = y.m, e[i] = y.e, ev[i] = y.ev;
		}
		score_all(t, x, m, e);
		UNROLL for (int i = 0; i < 8; i++) {
			bool seen = first + key_of(i) < t.visible;
			top = seen ? max_i32(top, x[i]) : top;
			least = seen ? min_i32(least, ev[i]) : least;
		}
	}
}

// weigh is the second walk: the sums of p and of w·v. acc[n] are the columns
// t = n of the n-tiles: {low, low, high, high} limbs of columns 2q, 2q+1.
template <int D>
DEVICE void weigh(const tile_state<D> &t, u32 part, u32 parts, u32 chunks, i32 top, i32 least, u32 &total, i32 acc[D / 8][4]) {
	enum { WORDS = D / 32 };
	NOUNROLL for (u32 c = part; c < chunks; c += parts) {
		u32 first = c * CHUNK, w[8], m[8], mu[8];
		i32 score[8], e[8], ev[8];
		t.dots(score, first);
		const key_scales *s = t.stage(first);
		UNROLL for (int i = 0; i < 8; i++) {
			key_scales z = s[key_of(i)];
			m[i] = z.m, e[i] = z.e, mu[i] = z.mu, ev[i] = z.ev;
		}
		score_all(t, score, m, e);
		UNROLL for (int i = 0; i < 8; i++) {
			u32 pr = first + key_of(i) < t.visible ? prob((u32)top - (u32)score[i]) : 0;
			total += pr;
			w[i] = weight(pr, mu[i], ev[i], least);
		}
		u32 a[4], x = w[0] | w[1] << 16, y = w[2] | w[3] << 16;
		a[0] = permute(x, y, 0x6420);
		a[1] = permute(x, y, 0x7531);
		x = w[4] | w[5] << 16;
		y = w[6] | w[7] << 16;
		a[2] = permute(x, y, 0x6420);
		a[3] = permute(x, y, 0x7531);
		u32 v[8][WORDS];
		UNROLL for (int i = 0; i < 8; i++) {
			load_words<WORDS>(v[i], t.v + min_u32(first + key_of(i), t.kseg - 1) * t.pitch + lane() / 4 * (D / 8));
		}
		UNROLL for (int n = 0; n < WORDS; n++) {
			u32 b0[4] = {v[0][n], v[1][n], v[2][n], v[3][n]}, b1[4] = {v[4][n], v[5][n], v[6][n], v[7][n]};
			transpose(b0);
			transpose(b1);
			UNROLL for (int i = 0; i < 4; i++) mma_u8(acc[4 * n + i], a, b0[i], b1[i]);
		}
	}
}

DEVICE i32 attention_out(const attention_args &p, i64 n, u32 total, i32 least) {
	return shr_sat(divide(n, total), 24 + least - p.eout);
}

template <int D> DEVICE void attention_mma(const attention_args &p) {
	u32 split = ctaid() % p.splits, block = ctaid() / p.splits;
	u32 in = p.blocks_a_group - 1 - block % p.blocks_a_group; // the longest rows first
	u32 group = block / p.blocks_a_group % p.groups, seg = block / p.blocks_a_group / p.groups;
	u32 a_group = p.heads / p.groups, rows = p.seg * a_group;
	u32 tiles = MMA_WARPS / p.key_warps, tile = in * tiles + warp() / p.key_warps;
	u32 part = split * p.key_warps + warp() % p.key_warps, parts = p.splits * p.key_warps;

	// Row g of the tile; rows past the last repeat it and are not written.
	u32 r = tile * TILE + lane() / 4, query = min_u32(r, rows - 1) / a_group;
	u32 index = (seg * p.seg + query) * p.heads + group * a_group + min_u32(r, rows - 1) % a_group;
	u32 chunks = (p.kseg - p.seg + min_u32(tile * TILE + TILE - 1, rows - 1) / a_group + CHUNK) / CHUNK;
	if (tile * TILE >= rows)
		chunks = 0;
	tile_state<D> t;
	u64 first = (u64)seg * p.kseg;
	t.pitch = p.groups * D;
	t.k = p.k + first * t.pitch + group * D;
	t.v = p.v + first * t.pitch + group * D;
	t.ks = p.ks + first * p.groups + group;
	t.vs = p.vs + first * p.groups + group;
	t.groups = p.groups;
	t.kseg = p.kseg;
	load_words<D / 16>(t.query, p.q + (u64)index * D + lane() % 4 * (D / 4));
	scale qs = scale_load(p.qs + index);
	t.c1 = cmul(qs.m, p.mant);
	t.base = qs.e + p.exp - 77;
	t.visible = p.kseg - p.seg + query + 1;

	i32 top = I32_MIN, least = I32_MAX;
	if (p.phase != 2) {
		maxima(t, part, parts, chunks, top, least);
		UNROLL for (u32 i = 1; i < 4; i <<= 1) {
			top = max_i32(top, (i32)shuffle_xor((u32)top, i));
			least = min_i32(least, (i32)shuffle_xor((u32)least, i));
		}
		if (p.key_warps > 1) {
			if (lane() % 4 == 0) {
				tile_top[warp()][lane() / 4] = (u32)top;
				tile_least[warp()][lane() / 4] = (u32)least;
			}
			barrier();
			UNROLL for (u32 i = 0; i < MMA_WARPS; i++) {
				top = max_i32(top, (i32)tile_top[i][lane() / 4]);
				least = min_i32(least, (i32)tile_least[i][lane() / 4]);
			}
		}
		if (p.phase == 1) {
			if (warp() == 0 && lane() % 4 == 0 && r < rows && least != I32_MAX) {
				reduce_max(p.tops + index, (u32)top ^ 0x80000000);
				reduce_max(p.leasts + index, (u32)(2048 - least));
			}
			return;
		}
	} else {
		top = (i32)(p.tops[index] ^ 0x80000000);
		least = 2048 - (i32)p.leasts[index];
	}

	u32 total = 0;
	i32 acc[D / 8][4] = {};
	weigh<D>(t, part, parts, chunks, top, least, total, acc);
	total += shuffle_xor(total, 1);
	total += shuffle_xor(total, 2);
	if (p.key_warps == 1) {
		if (r >= rows)
			return;
		UNROLL for (int e = 0; e < 2; e++) {
			i32 *dst = p.dst + (u64)index * D + (lane() % 4 * 2 + e) * (D / 8);
			UNROLL for (int n = 0; n < D / 8; n++)
				dst[n] = attention_out(p, acc[n][e] + ((i64)acc[n][2 + e] << 8), total, least);
		}
		return;
	}
	// The warps' sums meet in shared memory.
	for (u32 i = tid(); i < TILE * D; i += 32 * MMA_WARPS) tile_sum[i] = 0;
	if (tid() < TILE)
		tile_total[tid()] = 0;
	barrier();
	if (lane() % 4 == 0)
		shared_add(shared_addr(&tile_total[lane() / 4]), total);
	UNROLL for (int e = 0; e < 2; e++) UNROLL for (int n = 0; n < D / 8; n++)
		shared_add64(shared_addr(&tile_sum[lane() / 4 * D + (lane() % 4 * 2 + e) * (D / 8) + n]),
		             (u64)(acc[n][e] + ((i64)acc[n][2 + e] << 8)));
	barrier();
	// A lane keeps row g: its index and exponent are here. It takes every 16th
	// column from 4·warp + q on.
	if (r >= rows)
		return;
	total = tile_total[lane() / 4];
	if (p.phase == 2 && warp() == 0 && lane() % 4 == 0)
		reduce_add(p.totals + index, total);
	for (u32 j = warp() * 4 + lane() % 4; j < D; j += 4 * MMA_WARPS) {
		u64 sum = tile_sum[lane() / 4 * D + j], at = (u64)index * D + j;
		if (p.phase == 2)
			reduce_add64(p.weighted + at, sum);
		else
			p.dst[at] = attention_out(p, (i64)sum, total, least);
	}
}

KERNEL BOUNDS(128, 4) assay_attention_64(attention_args p) { attention_mma<64>(p); }
KERNEL BOUNDS(128, 3) assay_attention_128(attention_args p) { attention_mma<128>(p); }

// The division, where blocks shared the keys.
KERNEL BOUNDS(256, 4) assay_attention_divide(attention_args p) {
	u32 n = p.m * p.heads * p.d;
	for (u32 i = ctaid() * ntid() + tid(); i < n; i += nctaid() * ntid()) {
		u32 row = i / p.d;
		p.dst[i] = attention_out(p, (i64)p.weighted[i], p.totals[row], 2048 - (i32)p.leasts[row]);
	}
}
