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

// BATCH is the most items of one launch: 16 bytes each, within the 4,096 bytes
// that a kernel's parameters may take.
enum { BATCH = 240 };

// expand_args<N> are up to N streams of one seed, n bytes each (at most 2^31, so
// that the counter's 32 bits suffice), of `blocks` blocks of threads.
struct expand_item { u8 *dst; u64 stream; };
template <int N> struct expand_args {
	const u8 *seed;
	u32 n, blocks;
	expand_item item[N];
};
template <int N> DEVICE void expand(const expand_args<N> &p) {
	u32 index = ctaid() / p.blocks, block = ctaid() % p.blocks * 128 + tid(), at = block * 64;
	if (at >= p.n)
		return;
	u32 key[8], out[16];
	UNROLL for (u32 i = 0; i < 8; i++) key[i] = load_le(p.seed + 4 * i);
	chacha_block(out, key, block, p.item[index].stream);
	UNROLL for (u32 i = 0; i < 16; i++) out[i] = no_minimum(out[i]);
	u8 *dst = p.item[index].dst + at;
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
KERNEL BOUNDS(128, 4) assay_expand(expand_args<1> p) { expand(p); }
KERNEL BOUNDS(128, 4) assay_expands(expand_args<BATCH> p) { expand(p); }
