// sample: repetition penalty, top-k, weights, top-p and one draw. Nothing is
// sorted: weights fall with the logit, so the kept tokens are those above a
// logit plus the lowest indexes of those equal to it, and a radix search over
// the logit's bytes finds it.
#include "chacha.h"
#include "fixed.h"
#include "ops.h"

enum { VOCAB = 1 << 22, LOG2E = 1549082005 };

static i32 logit[VOCAB] __attribute__((aligned(64)));
static u32 mass[VOCAB] __attribute__((aligned(64)));
static u8 seen[VOCAB / 8];

static void penalize(const i32 *history, u32 n, u32 v, u32 penalty) {
	__builtin_memset(seen, 0, (v + 7) / 8);
	for (u32 i = 0; i < n; i++) {
		u32 id = (u32)history[i];
		if (id >= v || (seen[id / 8] >> (id & 7) & 1))
			continue;
		seen[id / 8] |= (u8)(1 << (id & 7));
		i64 l = logit[id];
		logit[id] = l > 0 ? sat32((l * 65536 + penalty / 2) / penalty) : shr_sat(l * (i64)penalty, 16);
	}
}

static u32 argmax(u32 v) {
	u32 best = 0;
	for (u32 i = 1; i < v; i++)
		if (logit[i] > logit[best])
			best = i;
	return best;
}

// A cut keeps logits above `at`, and the first `ties` of those equal to it.
typedef struct {
	i32 at;
	u32 ties;
} cut;

INLINE u32 rank_key(i32 l) { return ~((u32)l ^ 0x80000000); } // ascending in rank order

// find_cut keeps the shortest prefix in rank order that holds `want` > 0: of
// tokens, or of weight if `heavy`. Every token that is left out has mass 0 in
// the second case, and the total is at least want.
static cut find_cut(u32 v, u64 want, u32 heavy) {
	u32 prefix = 0, fixed = 0;
	for (i32 shift = 24; shift >= 0; shift -= 8) {
		static u64 hist[256];
		__builtin_memset(hist, 0, sizeof hist);
		for (u32 i = 0; i < v; i++) {
			u32 key = rank_key(logit[i]);
			if ((key & fixed) == prefix)
				hist[key >> shift & 255] += heavy ? mass[i] : 1;
		}
		u32 digit = 0;
		for (; digit < 255 && hist[digit] < want; digit++)
			want -= hist[digit];
		prefix |= digit << shift;
		fixed |= 255u << shift;
	}
	cut c = {(i32)(~prefix ^ 0x80000000), 0};
	if (!heavy) {
		c.ties = (u32)want;
		return c;
	}
	// Equal logits have equal weights; want is what the ties must still hold.
	for (u32 i = 0; i < v && want; i++) {
		if (logit[i] != c.at || mass[i] == 0)
			continue;
		want = want > mass[i] ? want - mass[i] : 0;
		c.ties++;
	}
	return c;
}

// apply_cut zeroes the mass of what is not kept.
static void apply_cut(u32 v, cut c) {
	for (u32 i = 0; i < v; i++) {
		if (logit[i] > c.at)
			continue;
		if (logit[i] == c.at && mass[i] && c.ties) {
			c.ties--;
			continue;
		}
		mass[i] = 0;
	}
}

static u32 weigh(u64 z, u64 div) {
	u64 d = z / div, n = d >> 15;
	return n >= 32 ? 0 : (exp2q15((u32)d & 32767) << 16) >> n;
}

static u64 total(u32 v) {
	u64 w = 0;
	for (u32 i = 0; i < v; i++)
		w += mass[i];
	return w;
}

void op_sample(i32 *dst, const i32 *logits, const i32 *history, const u8 *seed, u32 v, u32 hist, u64 step,
               u32 temperature, u32 topk, u32 topp, u32 penalty) {
	__builtin_memcpy(logit, logits, v * sizeof(i32));
	if (hist)
		penalize(history, hist, v, penalty);
	u32 top = argmax(v);
	if (temperature == 0) {
		*dst = (i32)top;
		return;
	}
	cut k = {INT32_MIN, v};
	if (topk && topk < v)
		k = find_cut(v, topk, 0);
	u64 div = (u64)temperature << 15;
	u32 ties = k.ties;
	for (u32 i = 0; i < v; i++) {
		u32 keep = logit[i] > k.at;
		if (logit[i] == k.at && ties) {
			ties--;
			keep = 1;
		}
		mass[i] = keep ? weigh((u64)((i64)logit[top] - logit[i]) * LOG2E, div) : 0;
	}
	u64 all = total(v);
	if (topp < 65536) {
		u64 want = (all >> 16) * topp + (((all & 65535) * topp) >> 16);
		apply_cut(v, find_cut(v, want ? want : 1, 1));
		all = total(v);
	}
	static u8 stream[256] __attribute__((aligned(64)));
	chacha c;
	chacha_init(&c, seed, step);
	chacha_blocks4(&c, stream);
	u64 r;
	__builtin_memcpy(&r, stream, 8);
	r %= all;
	u32 i = 0;
	for (; r >= mass[i]; i++)
		r -= mass[i];
	*dst = (i32)i;
}
