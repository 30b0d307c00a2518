// attention: for each query row and head, scores in the log2 domain over all
// visible keys, their maximum, 16-bit probabilities, 16-bit weights that carry
// the scale of each value row, and one rounded division. Nothing is rescaled
// on the way, so no result depends on the order of the keys.
#include "fixed.h"
#include "ops.h"
#include "scales.h"

enum {
	KEYS = SCALES_MAX, // most keys of a segment
	HEAD = 1024,       // most columns of a head
	RUN = 512,         // keys whose weights are spread over vectors at a time
	DOT_HEADROOM = 7,  // |dot| < 2^24
};

static u32 km[KEYS] __attribute__((aligned(64)));
static i32 ke[KEYS], kpow[KEYS] __attribute__((aligned(64)));
static u32 vmu[KEYS] __attribute__((aligned(64)));  // μ of each value row
static i32 ve[KEYS] __attribute__((aligned(64)));   // its exponent
static u32 vpow[KEYS] __attribute__((aligned(64))); // 2^(15-δ), 0 for δ > 15
static i32 score[KEYS + 8] __attribute__((aligned(64)));
static u16 weight[KEYS + 8] __attribute__((aligned(64)));
static i16 query[HEAD + 8] __attribute__((aligned(64)));
static i32 sum_lo[HEAD], sum_hi[HEAD] __attribute__((aligned(64))); // Σ of the weights' low and high bytes times v

INLINE i32 hsum(v128_t x) {
	return wasm_i32x4_extract_lane(x, 0) + wasm_i32x4_extract_lane(x, 1) + wasm_i32x4_extract_lane(x, 2) +
	       wasm_i32x4_extract_lane(x, 3);
}

// dot1 is the product of the query (padded to a multiple of eight) and a key.
INLINE i32 dot1(const i8 *k, u32 d) {
	v128_t s = wasm_i32x4_const_splat(0);
	u32 j = 0;
	for (; j + 8 <= d; j += 8)
		s = wasm_i32x4_add(s, wasm_i32x4_dot_i16x8(wasm_v128_load(query + j), wasm_i16x8_load8x8(k + j)));
	i32 r = hsum(s);
	for (; j < d; j++)
		r += query[j] * k[j];
	return r;
}

// dots computes the products of the query and n keys, four at a time.
static void dots(const i8 *k, u32 stride, u32 d, u32 n) {
	u32 i = 0;
	for (; i + 4 <= n; i += 4, k += 4 * stride) {
		const i8 *k0 = k, *k1 = k0 + stride, *k2 = k1 + stride, *k3 = k2 + stride;
		const i16 *q = query;
		v128_t s0 = wasm_i32x4_const_splat(0), s1 = s0, s2 = s0, s3 = s0;
		u32 left = d;
		for (; left >= 16; left -= 16, q += 16, k0 += 16, k1 += 16, k2 += 16, k3 += 16) {
			v128_t x = wasm_v128_load(q + 8);
			s0 = wasm_i32x4_add(s0, wasm_i32x4_dot_i16x8(x, wasm_i16x8_load8x8(k0 + 8)));
			s1 = wasm_i32x4_add(s1, wasm_i32x4_dot_i16x8(x, wasm_i16x8_load8x8(k1 + 8)));
			s2 = wasm_i32x4_add(s2, wasm_i32x4_dot_i16x8(x, wasm_i16x8_load8x8(k2 + 8)));
			s3 = wasm_i32x4_add(s3, wasm_i32x4_dot_i16x8(x, wasm_i16x8_load8x8(k3 + 8)));
			x = wasm_v128_load(q);
			s0 = wasm_i32x4_add(s0, wasm_i32x4_dot_i16x8(x, wasm_i16x8_load8x8(k0)));
			s1 = wasm_i32x4_add(s1, wasm_i32x4_dot_i16x8(x, wasm_i16x8_load8x8(k1)));
			s2 = wasm_i32x4_add(s2, wasm_i32x4_dot_i16x8(x, wasm_i16x8_load8x8(k2)));
			s3 = wasm_i32x4_add(s3, wasm_i32x4_dot_i16x8(x, wasm_i16x8_load8x8(k3)));
		}
		for (; left >= 8; left -= 8, q += 8, k0 += 8, k1 += 8, k2 += 8, k3 += 8) {
			v128_t x = wasm_v128_load(q);
			s0 = wasm_i32x4_add(s0, wasm_i32x4_dot_i16x8(x, wasm_i16x8_load8x8(k0)));
			s1 = wasm_i32x4_add(s1, wasm_i32x4_dot_i16x8(x, wasm_i16x8_load8x8(k1)));
			s2 = wasm_i32x4_add(s2, wasm_i32x4_dot_i16x8(x, wasm_i16x8_load8x8(k2)));
			s3 = wasm_i32x4_add(s3, wasm_i32x4_dot_i16x8(x, wasm_i16x8_load8x8(k3)));
		}
		v128_t a = wasm_i32x4_add(wasm_i32x4_shuffle(s0, s1, 0, 4, 1, 5), wasm_i32x4_shuffle(s0, s1, 2, 6, 3, 7));
		v128_t b = wasm_i32x4_add(wasm_i32x4_shuffle(s2, s3, 0, 4, 1, 5), wasm_i32x4_shuffle(s2, s3, 2, 6, 3, 7));
		v128_t s = wasm_i32x4_add(wasm_i64x2_shuffle(a, b, 0, 2), wasm_i64x2_shuffle(a, b, 1, 3));
		for (; left; left--, q++, k0++, k1++, k2++, k3++)
			s = wasm_i32x4_add(s, wasm_i32x4_make(*q * *k0, *q * *k1, *q * *k2, *q * *k3));
		wasm_v128_store(score + i, s);
	}
	for (; i < n; i++, k += stride)
		score[i] = dot1(k, d);
}

// scores turns products into t and returns their maximum. base is added to
// each key's exponent.
static i32 scores(const scales *ks, u32 n, u32 c1, i32 base) {
	i32 best = INT32_MIN;
	u32 i = 0;
	if (scales_shift(ks, base, DOT_HEADROOM)) {
		vshift v = vshift_make((u32)(ks->emax + base));
		v128_t c = wasm_i32x4_splat((i32)c1), top = wasm_i32x4_const_splat(INT32_MIN);
		for (; i + 4 <= n; i += 4) {
			v128_t x = wasm_i32x4_mul(wasm_v128_load(score + i), wasm_v128_load(kpow + i));
			x = vmul_shr_sat(x, vcmul(c, wasm_v128_load(km + i)), v);
			top = wasm_i32x4_max(top, x);
			wasm_v128_store(score + i, x);
		}
		best = hmax_i32(top);
	}
	for (; i < n; i++) {
		i32 t = shr_sat((i64)score[i] * cmul(c1, km[i]), ke[i] + base);
		score[i] = t;
		best = t > best ? t : best;
	}
	return best;
}

// vprob is RHU(2·EXP2(d & 32767), min(d >> 15, 17)) of eight distances, as u16.
// For n >= 2 it is q15(EXP2, 2^(16-n)), where n = 17 multiplies by nothing.
INLINE v128_t vprob(v128_t d0, v128_t d1) {
	v128_t low = wasm_i32x4_const_splat(32767), most = wasm_i32x4_const_splat(17);
	v128_t f = wasm_i16x8_narrow_i32x4(wasm_v128_and(d0, low), wasm_v128_and(d1, low));
	v128_t n = wasm_i16x8_narrow_i32x4(wasm_u32x4_min(wasm_u32x4_shr(d0, 15), most),
	                                   wasm_u32x4_min(wasm_u32x4_shr(d1, 15), most));
	v128_t e = vexp2_i16(f);
	// 2^(16-n) of n - 2 in [0, 15], one table a byte; indexes from 16 up give 0.
	v128_t idx = wasm_i16x8_sub(n, wasm_i16x8_const_splat(2));
	v128_t lo = wasm_i8x16_swizzle(wasm_i8x16_const(0, 0, 0, 0, 0, 0, 0, -128, 64, 32, 16, 8, 4, 2, 1, 0),
	                               wasm_v128_or(idx, wasm_i16x8_const_splat((i16)0xFF00)));
	v128_t hi = wasm_i8x16_swizzle(wasm_i8x16_const(64, 32, 16, 8, 4, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0),
	                               wasm_v128_or(wasm_i16x8_shl(idx, 8), wasm_i16x8_const_splat(0x00FF)));
	v128_t p = wasm_i16x8_q15mulr_sat(e, wasm_v128_or(lo, hi));
	p = wasm_v128_bitselect(e, p, wasm_i16x8_eq(n, wasm_i16x8_const_splat(1)));
	return wasm_v128_bitselect(wasm_i16x8_shl(e, 1), p, wasm_i16x8_eq(n, wasm_i16x8_const_splat(0)));
}

// vweight is ((p·μ >> (15+δ)) + 1) >> 1 for four keys: the shift by δ is a
// product with 2^(15-δ), because p·μ >> 15 has 17 bits.
INLINE v128_t vweight(v128_t p, u32 i) {
	v128_t z = wasm_u32x4_shr(wasm_i32x4_mul(p, wasm_v128_load(vmu + i)), 15);
	z = wasm_u32x4_shr(wasm_i32x4_mul(z, wasm_v128_load(vpow + i)), 15);
	return wasm_u32x4_shr(wasm_i32x4_add(z, wasm_i32x4_const_splat(1)), 1);
}

// weights fills weight[0..n) and returns L. Slots up to the next multiple of
// eight become zero.
static u32 weights(u32 n, i32 top) {
	v128_t t = wasm_i32x4_splat(top), total = wasm_i32x4_const_splat(0);
	for (u32 i = n; i & 7; i++)
		score[i] = INT32_MIN;
	u32 i = 0;
	for (; i + 8 <= n; i += 8) {
		v128_t p = vprob(wasm_i32x4_sub(t, wasm_v128_load(score + i)), wasm_i32x4_sub(t, wasm_v128_load(score + i + 4)));
		v128_t p0 = wasm_u32x4_extend_low_u16x8(p), p1 = wasm_u32x4_extend_high_u16x8(p);
		total = wasm_i32x4_add(total, wasm_i32x4_add(p0, p1));
		wasm_v128_store(weight + i, wasm_u16x8_narrow_i32x4(vweight(p0, i), vweight(p1, i + 4)));
	}
	u32 sum = (u32)hsum(total);
	if (i < n) {
		u16 p[8] __attribute__((aligned(16)));
		wasm_v128_store(p, vprob(wasm_i32x4_sub(t, wasm_v128_load(score + i)), wasm_i32x4_sub(t, wasm_v128_load(score + i + 4))));
		for (u32 j = 0; j < 8; j++) {
			if (i + j >= n) {
				weight[i + j] = 0;
				continue;
			}
			sum += p[j];
			u32 z = (((p[j] * vmu[i + j]) >> 15) * vpow[i + j]) >> 15;
			weight[i + j] = (u16)((z + 1) >> 1);
		}
	}
	return sum;
}

// Weights of a run of keys as factors of a product of pairs: for keys i and
// i+1 the low bytes of both weights four times over, then the high bytes.
static i16 spread[RUN * 8] __attribute__((aligned(64)));

static void spread_weights(const u16 *w, u32 run) {
	for (u32 i = 0; i < run; i += 2) {
		v128_t x = wasm_i32x4_splat(*(const i32 *)(w + i));
		wasm_v128_store(spread + 8 * i, wasm_v128_and(x, wasm_i16x8_const_splat(255)));
		wasm_v128_store(spread + 8 * i + 8, wasm_u16x8_shr(x, 8));
	}
}

// PAIR adds weight·value of two keys for eight columns: z holds their values
// interleaved, l and h the weights' bytes.
#define PAIR(z, l, h, l0, l1, h0, h1)                     \
	{                                                     \
		v128_t z0 = wasm_i16x8_extend_low_i8x16(z);       \
		l0 = wasm_i32x4_add(l0, wasm_i32x4_dot_i16x8(z0, l)); \
		h0 = wasm_i32x4_add(h0, wasm_i32x4_dot_i16x8(z0, h)); \
		z0 = wasm_i16x8_extend_high_i8x16(z);             \
		l1 = wasm_i32x4_add(l1, wasm_i32x4_dot_i16x8(z0, l)); \
		h1 = wasm_i32x4_add(h1, wasm_i32x4_dot_i16x8(z0, h)); \
	}
#define INTERLEAVE_LOW(x, y) wasm_i8x16_shuffle(x, y, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define INTERLEAVE_HIGH(x, y) wasm_i8x16_shuffle(x, y, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)

// columns8 and columns16 add a run of keys to the sums of eight or sixteen
// columns; an odd key at the end goes with zeros, as its weight's partner does.
INLINE void columns8(const i8 *v, u32 stride, u32 run, i32 *lo, i32 *hi) {
	v128_t l0 = wasm_v128_load(lo), l1 = wasm_v128_load(lo + 4), h0 = wasm_v128_load(hi), h1 = wasm_v128_load(hi + 4);
	const i16 *w = spread;
	for (; run > 1; run -= 2, w += 16, v += 2 * stride) {
		v128_t h = wasm_v128_load(w + 8), l = wasm_v128_load(w);
		v128_t x = wasm_v128_load64_zero(v), y = wasm_v128_load64_zero(v + stride);
		x = INTERLEAVE_LOW(x, y);
		PAIR(x, l, h, l0, l1, h0, h1)
	}
	if (run) {
		v128_t h = wasm_v128_load(w + 8), l = wasm_v128_load(w), x = wasm_v128_load64_zero(v);
		x = INTERLEAVE_LOW(x, wasm_i32x4_const_splat(0));
		PAIR(x, l, h, l0, l1, h0, h1)
	}
	wasm_v128_store(lo, l0);
	wasm_v128_store(lo + 4, l1);
	wasm_v128_store(hi, h0);
	wasm_v128_store(hi + 4, h1);
}

INLINE void columns16(const i8 *v, u32 stride, u32 run, i32 *lo, i32 *hi) {
	v128_t l0 = wasm_v128_load(lo), l1 = wasm_v128_load(lo + 4), l2 = wasm_v128_load(lo + 8), l3 = wasm_v128_load(lo + 12);
	v128_t h0 = wasm_v128_load(hi), h1 = wasm_v128_load(hi + 4), h2 = wasm_v128_load(hi + 8), h3 = wasm_v128_load(hi + 12);
	const i16 *w = spread;
	for (; run > 1; run -= 2, w += 16, v += 2 * stride) {
		v128_t h = wasm_v128_load(w + 8), l = wasm_v128_load(w);
		v128_t x = wasm_v128_load(v), y = wasm_v128_load(v + stride), z = INTERLEAVE_LOW(x, y);
		PAIR(z, l, h, l0, l1, h0, h1)
		z = INTERLEAVE_HIGH(x, y);
		PAIR(z, l, h, l2, l3, h2, h3)
	}
	if (run) {
		v128_t h = wasm_v128_load(w + 8), l = wasm_v128_load(w), x = wasm_v128_load(v), none = wasm_i32x4_const_splat(0);
		v128_t z = INTERLEAVE_LOW(x, none);
		PAIR(z, l, h, l0, l1, h0, h1)
		z = INTERLEAVE_HIGH(x, none);
		PAIR(z, l, h, l2, l3, h2, h3)
	}
	wasm_v128_store(lo, l0);
	wasm_v128_store(lo + 4, l1);
	wasm_v128_store(lo + 8, l2);
	wasm_v128_store(lo + 12, l3);
	wasm_v128_store(hi, h0);
	wasm_v128_store(hi + 4, h1);
	wasm_v128_store(hi + 8, h2);
	wasm_v128_store(hi + 12, h3);
}

// accumulate sets sum_lo and sum_hi to the sums of weight·v over n keys.
static void accumulate(const i8 *v, u32 stride, u32 d, u32 n) {
	for (u32 j = 0; j < d; j += 4) {
		wasm_v128_store(sum_lo + j, wasm_i32x4_const_splat(0));
		wasm_v128_store(sum_hi + j, wasm_i32x4_const_splat(0));
	}
	for (u32 k0 = 0; k0 < n; k0 += RUN, v += RUN * stride) {
		u32 run = min_u32(RUN, n - k0), j = 0;
		spread_weights(weight + k0, run);
		for (; j + 16 <= d; j += 16)
			columns16(v + j, stride, run, sum_lo + j, sum_hi + j);
		for (; j + 8 <= d; j += 8)
			columns8(v + j, stride, run, sum_lo + j, sum_hi + j);
		for (; j < d; j++) {
			i32 lo = sum_lo[j], hi = sum_hi[j];
			for (u32 i = 0; i < run; i++) {
				lo += (weight[k0 + i] & 255) * v[i * stride + j];
				hi += (weight[k0 + i] >> 8) * v[i * stride + j];
			}
			sum_lo[j] = lo;
			sum_hi[j] = hi;
		}
	}
}

// divide is DIV(n·2^24, l) for |n| < 2^39, l > 0.
INLINE i64 divide(i64 n, u32 l) {
	u64 a = (u64)(n < 0 ? -n : n) << 24;
	i64 q = (i64)((a + l / 2) / l);
	return n < 0 ? -q : q;
}

// span is what rows of one segment and key head share.
typedef struct {
	const i8 *k, *v;
	scales ks;
	u32 stride;
} span;

static void load_values(const scale *vs, u32 n, u32 stride) {
	u32 i = 0;
	for (; i + 4 <= n; i += 4) {
		vscales x = vscales_load(vs + i * stride, stride);
		v128_t mu = wasm_u32x4_shr(wasm_i32x4_add(x.m, wasm_i32x4_const_splat(1 << 14)), 15);
		wasm_v128_store(vmu + i, wasm_u32x4_min(mu, wasm_i32x4_const_splat(65535)));
		wasm_v128_store(ve + i, x.e);
	}
	for (; i < n; i++) {
		scale x = scale_load(vs + i * stride);
		u32 mu = (x.m + (1u << 14)) >> 15;
		vmu[i] = mu < 65535 ? mu : 65535;
		ve[i] = x.e;
	}
}

// set_vpow covers whole vectors; what lies behind n is never used.
static void set_vpow(u32 n, i32 eps) {
	v128_t least = wasm_i32x4_splat(eps), most = wasm_i32x4_const_splat(15);
	for (u32 i = 0; i < n; i += 4) {
		v128_t delta = wasm_i32x4_sub(wasm_v128_load(ve + i), least);
		v128_t in = wasm_u32x4_le(delta, most);
		wasm_v128_store(vpow + i, wasm_v128_and(pow2(wasm_v128_and(wasm_i32x4_sub(most, delta), most)), in));
	}
}

// least is the smallest exponent of values [from, to), or eps.
static i32 least(u32 from, u32 to, i32 eps) {
	for (; from < to && (from & 3); from++)
		eps = ve[from] < eps ? ve[from] : eps;
	v128_t v = wasm_i32x4_splat(eps);
	for (; from + 4 <= to; from += 4)
		v = wasm_i32x4_min(v, wasm_v128_load(ve + from));
	eps = hmin_i32(v);
	for (; from < to; from++)
		eps = ve[from] < eps ? ve[from] : eps;
	return eps;
}

// shape of a call, as far as the row loop needs it.
typedef struct {
	i32 *dst;
	const i8 *q;
	const scale *qs;
	u32 c, h, d;
	u32 mant;
	i32 exp, eout;
} heads;

static void attend(const heads *a, const span *s, u32 row, u32 head, u32 visible, i32 eps) {
	const i8 *q = a->q + row * a->c + head * a->d;
	u32 j = 0;
	for (; j + 8 <= a->d; j += 8)
		wasm_v128_store(query + j, wasm_i16x8_load8x8(q + j));
	for (; j < a->d; j++)
		query[j] = q[j];
	scale qs = scale_load(a->qs + row * a->h + head);
	dots(s->k, s->stride, a->d, visible);
	i32 top = scores(&s->ks, visible, cmul(qs.m, a->mant), qs.e + a->exp - 77);
	u32 total = weights(visible, top);
	accumulate(s->v, s->stride, a->d, visible);
	i32 *dst = a->dst + row * a->c + head * a->d;
	for (j = 0; j < a->d; j++)
		dst[j] = shr_sat(divide((i64)sum_hi[j] * 256 + sum_lo[j], total), 24 + eps - a->eout);
}

void op_attention(i32 *dst, const i8 *q, const scale *qs, const i8 *k, const scale *ks, const i8 *v, const scale *vs,
                  u32 m, u32 c, u32 h, u32 rows, u32 e, u32 g, u32 seg, u32 mant, i32 exp, i32 eout) {
	heads a = {.dst = dst, .q = q, .qs = qs, .c = c, .h = h, .d = c / h, .mant = mant, .exp = exp, .eout = eout};
	u32 n = m / seg, kseg = rows / n, group = h / g;
	for (u32 b = 0; b < n; b++) {
		for (u32 kg = 0; kg < g; kg++) {
			u32 at = b * kseg;
			span s = {.k = k + at * e + kg * a.d, .v = v + at * e + kg * a.d, .stride = e};
			s.ks = (scales){.m = km, .e = ke, .pow = kpow};
			scales_load(&s.ks, ks + at * g + kg, kseg, g, DOT_HEADROOM);
			load_values(vs + at * g + kg, kseg, g);
			u32 seen = 0;
			i32 eps = INT32_MAX;
			for (u32 i = 0; i < seg; i++) {
				u32 visible = kseg - seg + i + 1;
				i32 before = eps;
				eps = least(seen, visible, eps);
				seen = visible;
				// δ of a key changes only with the least exponent seen.
				if (eps != before)
					set_vpow(kseg, eps);
				for (u32 hh = kg * group; hh < (kg + 1) * group; hh++)
					attend(&a, &s, b * seg + i, hh, visible, eps);
			}
		}
	}
}
