// expand: the ChaCha20 (RFC 8439) keystream under a 32-byte key, block counter
// from 0, as int8 with -128 read as 0. Four blocks at a time, one state word of
// all four in each vector.
#include "chacha.h"
#include "ops.h"

#define ROTL(x, n) wasm_v128_or(wasm_i32x4_shl(x, n), wasm_u32x4_shr(x, 32 - (n)))
#define QUARTER(a, b, c, d)        \
	a = wasm_i32x4_add(a, b);      \
	d = wasm_v128_xor(d, a);       \
	d = ROTL(d, 16);               \
	c = wasm_i32x4_add(c, d);      \
	b = wasm_v128_xor(b, c);       \
	b = ROTL(b, 12);               \
	a = wasm_i32x4_add(a, b);      \
	d = wasm_v128_xor(d, a);       \
	d = ROTL(d, 8);                \
	c = wasm_i32x4_add(c, d);      \
	b = wasm_v128_xor(b, c);       \
	b = ROTL(b, 7);

void chacha_init(chacha *c, const u8 *key, u64 stream) {
	static const u32 sigma[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
	const u32_u *k = (const u32_u *)key;
	for (u32 i = 0; i < 4; i++)
		c->s[i] = sigma[i];
	for (u32 i = 0; i < 8; i++)
		c->s[4 + i] = k[i];
	c->s[12] = 0; // block counter
	c->s[13] = 0; // nonce: four zero bytes, then the stream
	c->s[14] = (u32)stream;
	c->s[15] = (u32)(stream >> 32);
}

INLINE void store4(u8 *out, u32 word, v128_t a, v128_t b, v128_t c, v128_t d) {
	v128_t ab0 = wasm_i32x4_shuffle(a, b, 0, 4, 1, 5), ab1 = wasm_i32x4_shuffle(a, b, 2, 6, 3, 7);
	v128_t cd0 = wasm_i32x4_shuffle(c, d, 0, 4, 1, 5), cd1 = wasm_i32x4_shuffle(c, d, 2, 6, 3, 7);
	u8 *p = out + word * 4;
	wasm_v128_store(p, wasm_i64x2_shuffle(ab0, cd0, 0, 2));
	wasm_v128_store(p + 64, wasm_i64x2_shuffle(ab0, cd0, 1, 3));
	wasm_v128_store(p + 128, wasm_i64x2_shuffle(ab1, cd1, 0, 2));
	wasm_v128_store(p + 192, wasm_i64x2_shuffle(ab1, cd1, 1, 3));
}

void chacha_blocks4(chacha *c, u8 *out) {
	v128_t x[16];
	v128_t ctr = wasm_i32x4_add(wasm_i32x4_splat((i32)c->s[12]), wasm_i32x4_const(0, 1, 2, 3));
	for (u32 i = 0; i < 16; i++)
		x[i] = i == 12 ? ctr : wasm_i32x4_splat((i32)c->s[i]);
	for (u32 r = 0; r < 10; r++) {
		QUARTER(x[0], x[4], x[8], x[12])
		QUARTER(x[1], x[5], x[9], x[13])
		QUARTER(x[2], x[6], x[10], x[14])
		QUARTER(x[3], x[7], x[11], x[15])
		QUARTER(x[0], x[5], x[10], x[15])
		QUARTER(x[1], x[6], x[11], x[12])
		QUARTER(x[2], x[7], x[8], x[13])
		QUARTER(x[3], x[4], x[9], x[14])
	}
	for (u32 i = 0; i < 16; i++)
		x[i] = wasm_i32x4_add(x[i], i == 12 ? ctr : wasm_i32x4_splat((i32)c->s[i]));
	for (u32 i = 0; i < 16; i += 4)
		store4(out, i, x[i], x[i + 1], x[i + 2], x[i + 3]);
	c->s[12] += 4;
}

INLINE v128_t no_min(v128_t x) {
	return wasm_v128_andnot(x, wasm_i8x16_eq(x, wasm_i8x16_const_splat(-128)));
}

void op_expand(i8 *dst, const u8 *seed, u32 m, u32 k, u64 stream) {
	u32 n = m * k;
	chacha c;
	chacha_init(&c, seed, stream);
	static u8 buf[256] __attribute__((aligned(64)));
	while (n) {
		u8 *p = n >= 256 ? (u8 *)dst : buf;
		chacha_blocks4(&c, p);
		for (u32 i = 0; i < 256; i += 16)
			wasm_v128_store(p + i, no_min(wasm_v128_load(p + i)));
		if (n < 256) {
			__builtin_memcpy(dst, buf, n);
			return;
		}
		dst += 256;
		n -= 256;
	}
}
