// attention, for any shape: a block takes one query row and one head. The
// scores are computed twice, for their maximum and for the weights, so nothing
// is stored between.
#pragma once
#include "fixed.cuh"

struct attention_args {
	i32 *dst;
	const i8 *q;
	const scale *qs;
	const i8 *k;
	const scale *ks;
	const i8 *v;
	const scale *vs;
	// Zeroed scratch of the passes that share keys between blocks: for each
	// query row and head the largest score ^ 2^31, 2048 - least exponent, L, and
	// for each column of dst N.
	u32 *tops, *leasts, *totals;
	u64 *weighted;
	u32 m, heads, groups, d; // heads of q, heads of k and v, columns of a head
	u32 seg, kseg;           // query rows and keys of a segment
	u32 mant;
	i32 exp, eout;
	u32 phase;               // 0: everything; 1: maxima; 2: sums
	u32 key_warps;           // warps of a block that share the keys of a tile: 1 or 4
	u32 blocks_a_group;      // blocks of tiles in a segment and group
	u32 splits, pad;         // blocks that share the keys of a tile
};

// score is t of the spec from a dot product, c1 = CMUL(mq, mant), base = eq + exp - 77.
DEVICE i32 score(i32 dot, u32 c1, i32 base, scale k) { return mul_shr(dot, cmul(c1, k.m), base + k.e); }

// prob is p of the spec from the distance to the row's maximum.
DEVICE u32 prob(u32 d) {
	u32 n = min_u32(d >> 15, 17);
	return (2 * exp2q15(d & 32767) + ((1u << n) >> 1)) >> n;
}

// mu_of is μ of the spec.
DEVICE u32 mu_of(scale v) { return min_u32(65535, (v.m + (1u << 14)) >> 15); }

// weight is w of the spec: p·μ >> 15 has 17 bits, so a shift by 17 leaves 0.
DEVICE u32 weight(u32 p, u32 mu, i32 e, i32 least) {
	u32 delta = (u32)(e - least);
	return (((p * mu >> 15) >> (delta <= 15 ? delta : 17)) + 1) >> 1;
}

// divide is DIV(n·2^24, l) of the spec, for |n| < 2^39 and l > 0.
DEVICE i64 divide(i64 n, u32 l) {
	u64 a = (u64)(n < 0 ? -n : n);
	i64 q = (i64)(((a << 24) + l / 2) / l);
	return n < 0 ? -q : q;
}

enum { ATT_BLOCK = 128, MAX_HEAD = 1024 };
SHARED i8 att_query[MAX_HEAD];
SHARED u32 att_weight[ATT_BLOCK];

KERNEL BOUNDS(ATT_BLOCK, 4) assay_attention(attention_args p) {
	u32 row = ctaid() / p.heads, head = ctaid() % p.heads, seg = row / p.seg;
	u32 group = head / (p.heads / p.groups), keys = p.kseg - p.seg + row % p.seg + 1;
	u64 first = (u64)seg * p.kseg, pitch = (u64)p.groups * p.d;
	const i8 *q = p.q + ((u64)row * p.heads + head) * p.d;
	const i8 *k = p.k + first * pitch + group * p.d, *v = p.v + first * pitch + group * p.d;
	const scale *ks = p.ks + first * p.groups + group, *vs = p.vs + first * p.groups + group;
	for (u32 j = tid(); j < p.d; j += ATT_BLOCK) att_query[j] = q[j];
	barrier();
	scale qs = scale_load(p.qs + (u64)row * p.heads + head);
	u32 c1 = cmul(qs.m, p.mant);
	i32 base = qs.e + p.exp - 77, top = I32_MIN, least = I32_MAX;
	for (u32 i = tid(); i < keys; i += ATT_BLOCK) {
		i32 dot = 0;
		for (u32 j = 0; j < p.d; j++) dot += att_query[j] * k[i * pitch + j];
		top = max_i32(top, score(dot, c1, base, scale_load(ks + (u64)i * p.groups)));
		least = min_i32(least, scale_load(vs + (u64)i * p.groups).e);
	}
	top = block_max_i32(top);
	least = block_min_i32(least);
	// A thread adds up the columns j, j + 128, ...: eight for the widest head.
	i64 sum[MAX_HEAD / ATT_BLOCK] = {};
	u32 total = 0;
	for (u32 tile = 0; tile < keys; tile += ATT_BLOCK) {
		u32 i = tile + tid(), w = 0;
		if (i < keys) {
			i32 dot = 0;
			for (u32 j = 0; j < p.d; j++) dot += att_query[j] * k[i * pitch + j];
			u32 pr = prob((u32)top - (u32)score(dot, c1, base, scale_load(ks + (u64)i * p.groups)));
			total += pr;
			scale sv = scale_load(vs + (u64)i * p.groups);
			w = weight(pr, mu_of(sv), sv.e, least);
		}
		barrier();
		att_weight[tid()] = w;
		barrier();
		u32 n = min_u32(ATT_BLOCK, keys - tile);
		UNROLL for (u32 c = 0; c < MAX_HEAD / ATT_BLOCK; c++) {
			u32 j = c * ATT_BLOCK + tid();
			if (j < p.d)
				// A tile's sum is below 128·2^16·2^7 = 2^30.
				sum[c] += [&] {
					i32 s = 0;
					for (u32 t = 0; t < n; t++) s += (i32)att_weight[t] * v[(tile + t) * pitch + j];
					return s;
				}();
		}
	}
	u32 l = block_sum(total);
	UNROLL for (u32 c = 0; c < MAX_HEAD / ATT_BLOCK; c++) {
		u32 j = c * ATT_BLOCK + tid();
		if (j < p.d)
			p.dst[((u64)row * p.heads + head) * p.d + j] = shr_sat(divide(sum[c], l), 24 + least - p.eout);
	}
}
