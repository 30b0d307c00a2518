// gemm: dst[i,j] = sum over k of a[i,k]·b[j,k], int8 × int8 → int32, mod 2^32
// (exact for K ≤ 131,072). i32x4.dot_i16x8_s adds two products of int8 values
// in 32 bits, so no step saturates.
#include "gemm.h"
#include "linear.h"
#include "ops.h"

static i16 pack_a[GEMM_MB * GEMM_KB] __attribute__((aligned(64)));
static i16 pack_b[2 * GEMM_KB] __attribute__((aligned(64)));
static i32 acc[GEMM_MB * GEMM_NB] __attribute__((aligned(64)));

// pack_row widens one row of k values into slot `slot` of a panel with `width`
// rows: groups of eight values, padded with zeros.
INLINE void pack_row(i16 *panel, const i8 *src, u32 k, u32 slot, u32 width) {
	i16 *d = panel + slot * 8;
	u32 step = width * 8, i = 0;
	for (; i + 8 <= k; i += 8, d += step)
		wasm_v128_store(d, wasm_i16x8_load8x8(src + i));
	if (i < k) {
		wasm_v128_store(d, wasm_i16x8_const_splat(0));
		for (u32 j = 0; i < k; i++, j++)
			d[j] = src[i];
	}
}

INLINE void pack_zero(i16 *panel, u32 k, u32 slot, u32 width) {
	i16 *d = panel + slot * 8;
	for (u32 i = 0; i < k; i += 8, d += width * 8)
		wasm_v128_store(d, wasm_i16x8_const_splat(0));
}

// hsum2 reduces two accumulators to the low two lanes {sum x, sum y}.
INLINE v128_t hsum2(v128_t x, v128_t y) {
	v128_t lo = wasm_i32x4_shuffle(x, y, 0, 4, 1, 5), hi = wasm_i32x4_shuffle(x, y, 2, 6, 3, 7);
	v128_t s = wasm_i32x4_add(lo, hi); // x0+x2, y0+y2, x1+x3, y1+y3
	return wasm_i32x4_add(s, wasm_i64x2_shuffle(s, s, 1, 1));
}

// TILE accumulates one group of eight terms of a 4×2 tile. The highest offset
// comes first: an engine that checks bounds per access then checks once.
#define TILE(load0, load1, o)                                   \
	{                                                           \
		v128_t x0 = load0, x1 = load1;                          \
		v128_t x = wasm_v128_load(a + (o) * 32 + 24);           \
		c30 = wasm_i32x4_add(c30, wasm_i32x4_dot_i16x8(x, x0)); \
		c31 = wasm_i32x4_add(c31, wasm_i32x4_dot_i16x8(x, x1)); \
		x = wasm_v128_load(a + (o) * 32 + 16);                  \
		c20 = wasm_i32x4_add(c20, wasm_i32x4_dot_i16x8(x, x0)); \
		c21 = wasm_i32x4_add(c21, wasm_i32x4_dot_i16x8(x, x1)); \
		x = wasm_v128_load(a + (o) * 32 + 8);                   \
		c10 = wasm_i32x4_add(c10, wasm_i32x4_dot_i16x8(x, x0)); \
		c11 = wasm_i32x4_add(c11, wasm_i32x4_dot_i16x8(x, x1)); \
		x = wasm_v128_load(a + (o) * 32);                       \
		c00 = wasm_i32x4_add(c00, wasm_i32x4_dot_i16x8(x, x0)); \
		c01 = wasm_i32x4_add(c01, wasm_i32x4_dot_i16x8(x, x1)); \
	}
#define STEP(o) TILE(wasm_v128_load(b + (o) * 16), wasm_v128_load(b + (o) * 16 + 8), o)

#define TILE_ZERO                                                       \
	v128_t c00 = wasm_i32x4_const_splat(0), c01 = c00, c10 = c00, c11 = c00; \
	v128_t c20 = c00, c21 = c00, c30 = c00, c31 = c00;

INLINE void tile_row(v128_t x, v128_t y, i32 *c, u32 first) {
	v128_t r = hsum2(x, y);
	if (!first)
		r = wasm_i32x4_add(r, wasm_v128_load64_zero(c));
	wasm_v128_store64_lane(c, r, 0);
}

#define TILE_STORE                       \
	tile_row(c00, c01, c, first);           \
	tile_row(c10, c11, c + ldc, first);     \
	tile_row(c20, c21, c + 2 * ldc, first); \
	tile_row(c30, c31, c + 3 * ldc, first);

// tile computes a 4×2 tile over kc groups of eight and adds it to c, or stores
// it when first is set.
INLINE void tile(const i16 *a, const i16 *b, u32 kc, i32 *c, u32 ldc, u32 first) {
	TILE_ZERO
	for (; kc >= 4; kc -= 4, a += 128, b += 64) {
		STEP(3)
		STEP(2)
		STEP(1)
		STEP(0)
	}
	for (; kc; kc--, a += 32, b += 16)
		STEP(0)
	TILE_STORE
}

#define VSTEP(o)                                                                              \
	{                                                                                         \
		v128_t x = wasm_v128_load(a + (o));                                                   \
		c0 = wasm_i32x4_add(c0, wasm_i32x4_dot_i16x8(x, wasm_i16x8_load8x8(b0 + (o))));       \
		c1 = wasm_i32x4_add(c1, wasm_i32x4_dot_i16x8(x, wasm_i16x8_load8x8(b1 + (o))));       \
		c2 = wasm_i32x4_add(c2, wasm_i32x4_dot_i16x8(x, wasm_i16x8_load8x8(b2 + (o))));       \
		c3 = wasm_i32x4_add(c3, wasm_i32x4_dot_i16x8(x, wasm_i16x8_load8x8(b3 + (o))));       \
	}

#define DSTEP(o) TILE(wasm_i16x8_load8x8(b0 + (o) * 8), wasm_i16x8_load8x8(b1 + (o) * 8), o)

// load_tail is load8x8 of the n < 8 values at p, zeros behind them.
INLINE v128_t load_tail(const i8 *p, u32 n) {
	u64 x = 0;
	for (u32 i = 0; i < n; i++)
		x |= (u64)(u8)p[i] << (8 * i);
	return wasm_i16x8_extend_low_i8x16(wasm_i64x2_make(x, 0));
}

// tile_direct is tile over rows of B as they are, for blocks so low that
// packing would cost as much as it saves.
INLINE void tile_direct(const i16 *a, const i8 *b0, const i8 *b1, u32 k, i32 *c, u32 ldc, u32 first) {
	TILE_ZERO
	for (; k >= 32; k -= 32, a += 128, b0 += 32, b1 += 32) {
		DSTEP(3)
		DSTEP(2)
		DSTEP(1)
		DSTEP(0)
	}
	for (; k >= 8; k -= 8, a += 32, b0 += 8, b1 += 8)
		DSTEP(0)
	if (k)
		TILE(load_tail(b0, k), load_tail(b1, k), 0)
	TILE_STORE
}

// vector computes row i of the block: every row of B is read once, so it is
// widened as it is read. At the end of nb the last row is computed repeatedly.
NOINLINE static void vector(u32 i, const i8 *b, u32 k, u32 nb, u32 kb, u32 first) {
	u32 full = kb & ~7u, tail = kb & 7;
	for (u32 j = 0; j < nb; j += 4) {
		u32 left = nb - j;
		const i8 *b0 = b + j * k, *b1 = left > 1 ? b0 + k : b0, *b2 = left > 2 ? b1 + k : b1, *b3 = left > 3 ? b2 + k : b2;
		const i16 *a = pack_a + i * GEMM_KB;
		i32 *c = acc + i * GEMM_NB + j;
		v128_t c0 = wasm_i32x4_const_splat(0), c1 = c0, c2 = c0, c3 = c0;
		u32 n = full;
		for (; n >= 32; n -= 32, a += 32, b0 += 32, b1 += 32, b2 += 32, b3 += 32) {
			VSTEP(24)
			VSTEP(16)
			VSTEP(8)
			VSTEP(0)
		}
		for (; n; n -= 8, a += 8, b0 += 8, b1 += 8, b2 += 8, b3 += 8)
			VSTEP(0)
		if (tail) {
			v128_t x = wasm_v128_load(a);
			c0 = wasm_i32x4_add(c0, wasm_i32x4_dot_i16x8(x, load_tail(b0, tail)));
			c1 = wasm_i32x4_add(c1, wasm_i32x4_dot_i16x8(x, load_tail(b1, tail)));
			c2 = wasm_i32x4_add(c2, wasm_i32x4_dot_i16x8(x, load_tail(b2, tail)));
			c3 = wasm_i32x4_add(c3, wasm_i32x4_dot_i16x8(x, load_tail(b3, tail)));
		}
		v128_t s = wasm_i64x2_shuffle(hsum2(c0, c1), hsum2(c2, c3), 0, 2);
		if (!first)
			s = wasm_i32x4_add(s, wasm_v128_load(c));
		wasm_v128_store(c, s);
	}
}

// epilogue moves the finished block to its destination.
static void epilogue(const gemm_out *o, u32 i0, u32 mb, u32 j0, u32 nb, u32 k) {
	if (!o->arow) {
		for (u32 i = 0; i < mb; i++)
			copy_bytes(o->dst + (i0 + i) * o->n + j0, acc + i * GEMM_NB, nb * sizeof(i32));
		return;
	}
	static u32 cm[GEMM_NB];
	static i32 ce[GEMM_NB], cp[GEMM_NB];
	scales s = {.m = cm, .e = ce, .pow = cp};
	// A sum over k terms is at most 127²·k; the bits above it are free.
	u32 headroom = 31 - bitlen32(127 * 127 * (k ? k : 1));
	scales_load(&s, o->wchan + j0, nb, 1, headroom);
	for (u32 i = 0; i < mb; i++) {
		u32 at = (i0 + i) * o->n + j0;
		linear_row(o->dst + at, acc + i * GEMM_NB, nb, o->arow + i0 + i, &s, headroom, o->bias ? o->bias + j0 : 0,
		           o->residual ? o->residual + at : 0, o->eout);
	}
}

static void pack_a_block(const i8 *a, u32 k, u32 mb, u32 kb) {
	if (mb <= GEMM_VECTOR) {
		for (u32 i = 0; i < mb; i++)
			pack_row(pack_a + i * GEMM_KB, a + i * k, kb, 0, 1);
		return;
	}
	u32 panel = ((kb + 7) & ~7u) * 4;
	for (u32 i = 0; i < mb; i += 4) {
		i16 *p = pack_a + (i / 4) * panel;
		for (u32 r = 0; r < 4; r++) {
			if (i + r < mb)
				pack_row(p, a + (i + r) * k, kb, r, 4);
			else
				pack_zero(p, kb, r, 4);
		}
	}
}

NOINLINE static void block(const i8 *b, u32 k, u32 mb, u32 nb, u32 kb, u32 first) {
	u32 kc = (kb + 7) / 8, panel = kc * 32;
	if (mb <= GEMM_DIRECT) {
		for (u32 j = 0; j < nb; j += 2) {
			const i8 *b0 = b + j * k, *b1 = j + 1 < nb ? b0 + k : b0;
			for (u32 i = 0; i < mb; i += 4)
				tile_direct(pack_a + i / 4 * panel, b0, b1, kb, acc + j + i * GEMM_NB, GEMM_NB, first);
		}
		return;
	}
	for (u32 j = 0; j < nb; j += 2) {
		pack_row(pack_b, b + j * k, kb, 0, 2);
		if (j + 1 < nb)
			pack_row(pack_b, b + (j + 1) * k, kb, 1, 2);
		const i16 *p = pack_a;
		i32 *c = acc + j;
		for (u32 i = 0; i < mb; i += 4, p += panel, c += 4 * GEMM_NB)
			tile(p, pack_b, kc, c, GEMM_NB, first);
	}
}

void gemm_run(const gemm_out *out, const i8 *a, const i8 *b, u32 m, u32 n, u32 k) {
	for (u32 i0 = 0; i0 < m; i0 += GEMM_MB) {
		u32 mb = min_u32(GEMM_MB, m - i0);
		for (u32 j0 = 0; j0 < n; j0 += GEMM_NB) {
			u32 nb = min_u32(GEMM_NB, n - j0);
			u32 k0 = 0;
			do { // at least once: a product over no terms is zero
				u32 kb = min_u32(GEMM_KB, k - k0);
				if (j0 == 0 || k > GEMM_KB)
					pack_a_block(a + i0 * k + k0, k, mb, kb);
				const i8 *bb = b + j0 * k + k0;
				if (mb <= GEMM_VECTOR)
					for (u32 i = 0; i < mb; i++)
						vector(i, bb, k, nb, kb, k0 == 0);
				else
					block(bb, k, mb, nb, kb, k0 == 0);
				k0 += kb;
			} while (k0 < k);
			epilogue(out, i0, mb, j0, nb, k);
		}
	}
}

void op_gemm(i32 *dst, const i8 *a, const i8 *b, u32 m, u32 n, u32 k) {
	gemm_out out = {.dst = dst, .n = n};
	gemm_run(&out, a, b, m, n, k);
}
