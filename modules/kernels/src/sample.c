// sample: repetition penalty, top-k, weights, top-p and one draw. Nothing is
// sorted: weights fall with the logit, so the kept tokens are those above a
// logit plus the lowest indexes of those equal to it, and a radix search over
// the logit's bytes finds it.
#include "chacha.h"
#include "fixed.h"
#include "ops.h"

enum { VOCAB = 1 << 22, LOG2E = 1549082005 };

static i32 logit[VOCAB + 4] __attribute__((aligned(64)));
static u32 mass[VOCAB + 4] __attribute__((aligned(64)));
static u32 kept[VOCAB]; // tokens with mass, in index order
static u32 same[VOCAB]; // of a radix search: what agrees with the bytes found so far
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

// argmax is the lowest index of the largest logit; v > 0. It reads up to three
// slots behind the last, which the caller fills.
static u32 argmax(u32 v) {
	v128_t top = wasm_v128_load(logit);
	for (u32 i = 4; i < v; i += 4)
		top = wasm_i32x4_max(top, wasm_v128_load(logit + i));
	i32 best = hmax_i32(top);
	top = wasm_i32x4_splat(best);
	u32 i = 0;
	while (!wasm_v128_any_true(wasm_i32x4_eq(wasm_v128_load(logit + i), top)))
		i += 4;
	while (logit[i] != best)
		i++;
	return i;
}

// A cut keeps logits above `at`, and the first `ties` of those equal to it.
typedef struct {
	i32 at;
	u32 ties;
} cut;

INLINE u32 rank_key(i32 l) { return ~((u32)l ^ 0x80000000); } // ascending in rank order

// find_cut keeps the shortest prefix in rank order of the n tokens in `list`
// (0: all of 0..n-1) that holds `want` > 0: of tokens, or of mass if `heavy`;
// there is that much.
static cut find_cut(const u32 *list, u32 n, u64 want, u32 heavy) {
	u32 prefix = 0;
	for (i32 shift = 24; shift >= 0; shift -= 8) {
		static u64 hist[256];
		__builtin_memset(hist, 0, sizeof hist);
		for (u32 i = 0; i < n; i++) {
			u32 id = list ? list[i] : i;
			hist[rank_key(logit[id]) >> shift & 255] += heavy ? mass[id] : 1;
		}
		u32 digit = 0;
		for (; digit < 255 && hist[digit] < want; digit++)
			want -= hist[digit];
		prefix |= digit << shift;
		u32 m = 0;
		for (u32 i = 0; i < n; i++) {
			u32 id = list ? list[i] : i;
			same[m] = id;
			m += (rank_key(logit[id]) >> shift & 255) == digit;
		}
		list = same;
		n = m;
	}
	cut c = {(i32)(~prefix ^ 0x80000000), (u32)want};
	if (!heavy)
		return c;
	// Equal logits have equal weights; want is what the ties must still hold.
	u32 each = mass[same[0]];
	c.ties = (u32)((want + each - 1) / each);
	return c;
}

// INTEGER is the whole number x (not negative, below 2^52) in the low bits of
// a lane.
#define INTEGER(x) wasm_f64x2_add(x, wasm_f64x2_const_splat(0x1p52))

// log2_ratio is min(⌊diff·LOG2E / (T·2^15)⌋, 2^20) of the two low lanes of diff.
// diff·LOG2E >> 15 is below 2^48 and T at most 2^20, so a quotient below 2^20
// is at least 2^-20 away from the next whole number: double division floors right.
INLINE v128_t log2_ratio(v128_t product, v128_t t) {
	v128_t whole = wasm_v128_or(wasm_u64x2_shr(product, 15), wasm_i64x2_const_splat(0x4330000000000000));
	v128_t q = wasm_f64x2_div(wasm_f64x2_sub(whole, wasm_f64x2_const_splat(0x1p52)), t);
	return INTEGER(wasm_f64x2_pmin(wasm_f64x2_floor(q), wasm_f64x2_const_splat(0x1p20)));
}

// weigh sets the mass of every token, 0 below `at`; it writes up to three
// slots behind the last.
static void weigh(u32 v, i32 top, i32 at, u32 temperature) {
	v128_t max = wasm_i32x4_splat(top), least = wasm_i32x4_splat(at), log2e = wasm_i32x4_const_splat(LOG2E);
	v128_t t = wasm_f64x2_splat((double)temperature), ones = wasm_i32x4_const_splat(31);
	for (u32 i = 0; i < v; i += 4) {
		v128_t l = wasm_v128_load(logit + i), diff = wasm_i32x4_sub(max, l);
		v128_t lo = log2_ratio(wasm_u64x2_extmul_low_u32x4(diff, log2e), t);
		v128_t hi = log2_ratio(wasm_u64x2_extmul_high_u32x4(diff, log2e), t);
		v128_t d = wasm_i32x4_shuffle(lo, hi, 0, 2, 4, 6), n = wasm_u32x4_shr(d, 15);
		v128_t e = wasm_i32x4_shl(vexp2_i32(wasm_v128_and(d, wasm_i32x4_const_splat(32767))), 16);
		v128_t by = pow2(wasm_v128_and(wasm_i32x4_sub(ones, n), ones));
		e = wasm_i32x4_shuffle(wasm_u64x2_shr(wasm_u64x2_extmul_low_u32x4(e, by), 31),
		                       wasm_u64x2_shr(wasm_u64x2_extmul_high_u32x4(e, by), 31), 0, 2, 4, 6);
		v128_t in = wasm_v128_and(wasm_i32x4_le(n, ones), wasm_i32x4_ge(l, least));
		wasm_v128_store(mass + i, wasm_v128_and(e, in));
	}
}

// keep lists the tokens of `list` (0: all) that have mass and are within the
// cut; it returns their number and adds up their mass. list may be kept.
static u32 keep(const u32 *list, u32 n, cut c, u64 *total) {
	u32 m = 0;
	u64 sum = 0;
	for (u32 i = 0; i < n; i++) {
		if (!list && (i & 3) == 0 && i + 4 <= n && !wasm_v128_any_true(wasm_v128_load(mass + i))) {
			i += 3;
			continue;
		}
		u32 id = list ? list[i] : i;
		if (mass[id] == 0 || logit[id] < c.at || (logit[id] == c.at && c.ties == 0))
			continue;
		c.ties -= logit[id] == c.at;
		kept[m++] = id;
		sum += mass[id];
	}
	*total = sum;
	return m;
}

void op_sample(i32 *dst, const i32 *logits, const i32 *history, const u8 *seed, u32 v, u32 hist, u64 step,
               u32 temperature, u32 topk, u32 topp, u32 penalty) {
	__builtin_memcpy(logit, logits, v * sizeof(i32));
	if (hist)
		penalize(history, hist, v, penalty);
	for (u32 i = v; i & 3; i++)
		logit[i] = INT32_MIN;
	u32 top = argmax(v);
	if (temperature == 0) {
		*dst = (i32)top;
		return;
	}
	cut c = {INT32_MIN, v};
	if (topk && topk < v)
		c = find_cut(0, v, topk, 0);
	weigh(v, logit[top], c.at, temperature);
	u64 all;
	u32 n = keep(0, v, c, &all);
	if (topp < 65536) {
		u64 want = (all >> 16) * topp + (((all & 65535) * topp) >> 16);
		n = keep(kept, n, find_cut(kept, n, want ? want : 1, 1), &all);
	}
	static u8 stream[256] __attribute__((aligned(64)));
	chacha s;
	chacha_init(&s, seed, step);
	chacha_blocks4(&s, stream);
	u64 r;
	__builtin_memcpy(&r, stream, 8);
	r %= all;
	u32 i = 0;
	for (; r >= mass[kept[i]]; i++)
		r -= mass[kept[i]];
	*dst = (i32)kept[i];
}
