// ChaCha20 (RFC 8439): a thread makes a block of 64 bytes.
#pragma once
#include "common.cuh"

DEVICE u32 rotl(u32 x, u32 by) { return x << by | x >> (32 - by); }
DEVICE u32 load_le(const u8 *p) { return (u32)p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24; }

#define QUARTER(a, b, c, d)                                                                                            \
	a += b, d = rotl(d ^ a, 16), c += d, b = rotl(b ^ c, 12), a += b, d = rotl(d ^ a, 8), c += d, b = rotl(b ^ c, 7)

DEVICE void chacha_block(u32 out[16], const u32 key[8], u32 counter, u64 stream) {
	u32 in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, key[0], key[1], key[2], key[3],
	              key[4], key[5], key[6], key[7], counter, 0, (u32)stream, (u32)(stream >> 32)};
	UNROLL for (u32 i = 0; i < 16; i++) out[i] = in[i];
	NOUNROLL for (u32 i = 0; i < 10; i++) {
		QUARTER(out[0], out[4], out[8], out[12]);
		QUARTER(out[1], out[5], out[9], out[13]);
		QUARTER(out[2], out[6], out[10], out[14]);
		QUARTER(out[3], out[7], out[11], out[15]);
		QUARTER(out[0], out[5], out[10], out[15]);
		QUARTER(out[1], out[6], out[11], out[12]);
		QUARTER(out[2], out[7], out[8], out[13]);
		QUARTER(out[3], out[4], out[9], out[14]);
	}
	UNROLL for (u32 i = 0; i < 16; i++) out[i] += in[i];
}

// no_minimum turns each byte 0x80 into 0: (x & 0x7F) + 0x7F has its top bit
// clear only where the low seven bits are 0.
DEVICE u32 no_minimum(u32 x) {
	u32 low = (x & 0x7F7F7F7F) + 0x7F7F7F7F;
	return x & ~(~low & x & 0x80808080);
}

// n is the bytes of dst, at most 2^31; the counter is 32 bits.
struct expand_args { u8 *dst; const u8 *seed; u64 stream; u32 n, pad; };
KERNEL BOUNDS(128, 4) assay_expand(expand_args p) {
	u32 block = ctaid() * 128 + tid(), at = block * 64;
	if (at >= p.n)
		return;
	u32 key[8], out[16];
	UNROLL for (u32 i = 0; i < 8; i++) key[i] = load_le(p.seed + 4 * i);
	chacha_block(out, key, block, p.stream);
	UNROLL for (u32 i = 0; i < 16; i++) out[i] = no_minimum(out[i]);
	u8 *dst = p.dst + at;
	if (((u64)dst & 15) == 0 && p.n - at >= 64) {
		UNROLL for (u32 i = 0; i < 4; i++)
			((u32x4 *)dst)[i] = u32x4{out[4 * i], out[4 * i + 1], out[4 * i + 2], out[4 * i + 3]};
		return;
	}
	u32 left = min_u32(64, p.n - at);
	UNROLL for (u32 i = 0; i < 64; i++)
		if (i < left)
			dst[i] = (u8)(out[i / 4] >> (i % 4 * 8));
}
