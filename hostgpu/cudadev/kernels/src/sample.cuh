// sample: every step as its own launch over the vocabulary, because each needs
// a sum or a maximum of all tokens from the one before. Nothing is sorted.
//
// Tokens have unique ranks: the key (logit descending, index ascending) of 54
// bits. A radix search over its digits finds the last key that top-k or top-p
// keeps; sums of integers make every launch independent of its grid.
#pragma once
#include "chacha.cuh"
#include "fixed.cuh"

enum { BINS = 2048, SAMPLE_BLOCK = 256, SAMPLE_BLOCKS = 128 };

// sample_state lives in scratch, zeroed before the first launch.
struct sample_state {
	u64 top;      // largest (logit ^ 2^31) << 32 | ~index
	u64 prefix;   // digits of the cut found so far
	u64 want;     // tokens or mass that the cut must still hold
	u64 cut[2];   // last key kept by top-k, by top-p
	u64 mass;     // Σ weights within top-k
	u32 arrived;  // blocks of this launch that are done
	u32 pad;
	u64 part[SAMPLE_BLOCKS]; // kept mass of a block's tokens
	u64 bins[5][BINS];       // a histogram a digit
};

// weight and logits are in scratch too; logit may be the operand itself.
struct sample_args {
	i32 *dst;
	const i32 *logit; // after the penalty
	u32 *weight;
	sample_state *state;
	const u8 *seed;
	u64 step;
	u32 v, per_block; // a block works on per_block tokens, the last on fewer
	u32 temperature, topk, topp, level;
};

// last says whether this block is the last of the launch to come here. What
// other blocks wrote before is seen through fresh().
SHARED u32 last_flag;
DEVICE bool last(sample_state *s) {
	barrier();
	if (tid() == 0) {
		fence();
		last_flag = atomic_add(&s->arrived, 1) == nctaid() - 1;
		if (last_flag)
			s->arrived = 0;
		fence();
	}
	barrier();
	return last_flag;
}

#define TOKENS(i, p)                                                                                                   \
	for (u32 i = ctaid() * (p).per_block + tid(), end_ = min_u32((p).v, (ctaid() + 1) * (p).per_block); i < end_;  \
	     i += SAMPLE_BLOCK)

// Rank order: smaller keys come first.
DEVICE u64 rank_key(i32 l, u32 index) { return (u64)~((u32)l ^ 0x80000000) << 22 | index; }

// penalize computes from the untouched logits, so that a token that occurs
// often is still penalized once.
struct penalize_args { i32 *dst; const i32 *logits, *history; u32 n, v, penalty, pad; };
KERNEL BOUNDS(256, 4) assay_penalize(penalize_args p) {
	for (u32 i = ctaid() * ntid() + tid(); i < p.n; i += nctaid() * ntid()) {
		u32 id = (u32)p.history[i];
		if (id >= p.v)
			continue;
		i64 l = p.logits[id];
		p.dst[id] = l > 0 ? sat32((i64)(((u64)l * 65536 + p.penalty / 2) / p.penalty)) : shr_sat(l * (i64)p.penalty, 16);
	}
}

// sample_top finds the first in rank order; with temperature 0 that is the result.
KERNEL BOUNDS(SAMPLE_BLOCK, 4) assay_sample_top(sample_args p) {
	u64 top = 0;
	TOKENS(i, p) {
		u64 key = (u64)((u32)p.logit[i] ^ 0x80000000) << 32 | (u32)~i;
		top = key > top ? key : top;
	}
	top = block_max64(top);
	if (tid() == 0)
		reduce_max64(&p.state->top, top);
	if (last(p.state) && tid() == 0) {
		if (p.temperature == 0)
			*p.dst = (i32) ~(u32)fresh64(&p.state->top);
		p.state->want = p.topk;
		p.state->cut[0] = p.state->cut[1] = ~0ull;
	}
}

// Digits of a key, the first ten bits wide, then four of eleven.
DEVICE u32 digit_shift(u32 level) { return 44 - 11 * level; }

SHARED u64 hist[BINS];

// pick finds the digit at which the running sum reaches want.
DEVICE void pick(const sample_args &p, u32 which) {
	sample_state *s = p.state;
	u64 own[8], sum = 0, want = fresh64(&s->want);
	UNROLL for (u32 i = 0; i < 8; i++) sum += own[i] = fresh64(&s->bins[p.level][tid() * 8 + i]);
	u64 before = block_before64(sum); // a barrier: everyone has read want
	if (before < want && want <= before + sum) {
		u32 digit = tid() * 8;
		u64 sum = before;
		UNROLL for (u32 i = 0; i < 8; i++) {
			sum += own[i];
			if (sum < want)
				digit++, before = sum;
		}
		u64 prefix = s->prefix << 11 | digit;
		s->want = want - before;
		s->prefix = prefix;
		if (p.level == 4)
			s->cut[which] = prefix;
	}
	barrier();
	UNROLL for (u32 i = 0; i < 8; i++) s->bins[p.level][tid() * 8 + i] = 0;
	if (p.level == 4 && tid() == 0)
		s->prefix = 0;
}

// radix narrows the cut by one digit, counting tokens or weights.
template <bool heavy> DEVICE void radix(const sample_args &p) {
	for (u32 i = tid(); i < BINS; i += SAMPLE_BLOCK) hist[i] = 0;
	barrier();
	u32 shift = digit_shift(p.level);
	u64 prefix = p.state->prefix;
	TOKENS(i, p) {
		u64 key = rank_key(p.logit[i], i);
		// Of the first digit there is nothing above.
		if (key >> shift >> 11 != prefix)
			continue;
		u64 x = heavy ? p.weight[i] : 1;
		if (x)
			shared_add64(shared_addr(&hist[key >> shift & (BINS - 1)]), x);
	}
	barrier();
	for (u32 i = tid(); i < BINS; i += SAMPLE_BLOCK)
		if (hist[i])
			reduce_add64(&p.state->bins[p.level][i], hist[i]);
	if (last(p.state))
		pick(p, heavy);
}
KERNEL BOUNDS(SAMPLE_BLOCK, 2) assay_sample_count(sample_args p) { radix<false>(p); }
KERNEL BOUNDS(SAMPLE_BLOCK, 2) assay_sample_heavy(sample_args p) { radix<true>(p); }

// sample_weigh makes the weights, 0 outside top-k, and what top-p must keep.
KERNEL BOUNDS(SAMPLE_BLOCK, 4) assay_sample_weigh(sample_args p) {
	i32 top = (i32)((u32)(p.state->top >> 32) ^ 0x80000000);
	u64 cut = p.state->cut[0], sum = 0, per = (u64)p.temperature << 15;
	TOKENS(i, p) {
		i32 l = p.logit[i];
		u64 d = (u64)((u32)top - (u32)l) * LOG2E / per;
		u32 w = 0;
		if (d < 32 << 15 && rank_key(l, i) <= cut)
			w = (exp2q15((u32)d & 32767) << 16) >> ((u32)d >> 15);
		p.weight[i] = w;
		sum += w;
	}
	sum = block_sum64(sum);
	if (tid() == 0)
		reduce_add64(&p.state->mass, sum);
	if (last(p.state) && tid() == 0) {
		u64 all = fresh64(&p.state->mass);
		u64 want = (all >> 16) * p.topp + (((all & 65535) * p.topp) >> 16);
		p.state->want = want ? want : 1;
	}
}

// sample_draw sums what was kept and walks it in index order.
KERNEL BOUNDS(SAMPLE_BLOCK, 4) assay_sample_draw(sample_args p) {
	sample_state *s = p.state;
	u64 cut = s->cut[1], sum = 0;
	TOKENS(i, p) if (rank_key(p.logit[i], i) <= cut) sum += p.weight[i];
	sum = block_sum64(sum);
	if (tid() == 0)
		*(volatile u64 *)&s->part[ctaid()] = sum;
	if (!last(s))
		return;
	u32 key[8], stream[16];
	UNROLL for (u32 i = 0; i < 8; i++) key[i] = load_le(p.seed + 4 * i);
	chacha_block(stream, key, 0, p.step);
	u64 all = 0;
	NOUNROLL for (u32 i = 0; i < nctaid(); i++) all += fresh64(&s->part[i]);
	u64 r = ((u64)stream[1] << 32 | stream[0]) % all;
	u32 block = 0;
	NOUNROLL for (u64 part; r >= (part = fresh64(&s->part[block])); block++) r -= part;
	// The token is in this block's range: tile after tile, the first one whose
	// running sum exceeds r.
	u32 from = block * p.per_block, end = min_u32(p.v, from + p.per_block);
	NOUNROLL for (u32 base = from; base < end; base += SAMPLE_BLOCK) {
		u32 i = base + tid();
		u64 w = i < end && rank_key(p.logit[i], i) <= cut ? p.weight[i] : 0;
		u64 before = block_before64(w);
		if (before <= r && r < before + w)
			*p.dst = (i32)i;
		u64 tile = block_sum64(w);
		if (r < tile)
			return;
		r -= tile;
	}
}
