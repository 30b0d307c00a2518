// BLAKE3 (https://github.com/BLAKE3-team/BLAKE3-specs), hash and keyed hash,
// 32-byte output. Four whole chunks are compressed together, one word of all
// four in each vector; single blocks run with a state row in each vector.
#include "blake3.h"
#include "ops.h"

enum { CHUNK_START = 1, CHUNK_END = 2, PARENT = 4, ROOT = 8, KEYED = 16, CHUNK = 1024, BLOCK = 64 };

static const u32 iv[8] = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
                          0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};

static const u8 schedule[7][16] = {
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8},
	{3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1},
	{10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6},
	{12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4},
	{9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7},
	{11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13},
};

INLINE u32 rotr(u32 x, u32 n) { return __builtin_rotateright32(x, n); }

INLINE void mix(u32 *v, u32 a, u32 b, u32 c, u32 d, u32 x, u32 y) {
	v[a] += v[b] + x;
	v[d] = rotr(v[d] ^ v[a], 16);
	v[c] += v[d];
	v[b] = rotr(v[b] ^ v[c], 12);
	v[a] += v[b] + y;
	v[d] = rotr(v[d] ^ v[a], 8);
	v[c] += v[d];
	v[b] = rotr(v[b] ^ v[c], 7);
}

// compress replaces the chaining value cv.
static void compress(u32 *cv, const u8 *block, u32 len, u64 counter, u32 flags) {
	const u32_u *m = (const u32_u *)block;
	u32 v[16] = {cv[0], cv[1], cv[2], cv[3], cv[4], cv[5], cv[6], cv[7],
	             iv[0], iv[1], iv[2], iv[3], (u32)counter, (u32)(counter >> 32), len, flags};
#pragma unroll
	for (u32 r = 0; r < 7; r++) {
		const u8 *s = schedule[r];
		mix(v, 0, 4, 8, 12, m[s[0]], m[s[1]]);
		mix(v, 1, 5, 9, 13, m[s[2]], m[s[3]]);
		mix(v, 2, 6, 10, 14, m[s[4]], m[s[5]]);
		mix(v, 3, 7, 11, 15, m[s[6]], m[s[7]]);
		mix(v, 0, 5, 10, 15, m[s[8]], m[s[9]]);
		mix(v, 1, 6, 11, 12, m[s[10]], m[s[11]]);
		mix(v, 2, 7, 8, 13, m[s[12]], m[s[13]]);
		mix(v, 3, 4, 9, 14, m[s[14]], m[s[15]]);
	}
	for (u32 i = 0; i < 8; i++)
		cv[i] = v[i] ^ v[i + 8];
}

#define VROTR(x, n) wasm_v128_or(wasm_u32x4_shr(x, n), wasm_i32x4_shl(x, 32 - (n)))
#define VMIX(a, b, c, d, x, y)                        \
	a = wasm_i32x4_add(wasm_i32x4_add(a, b), x);      \
	d = wasm_v128_xor(d, a);                          \
	d = VROTR(d, 16);                                 \
	c = wasm_i32x4_add(c, d);                         \
	b = wasm_v128_xor(b, c);                          \
	b = VROTR(b, 12);                                 \
	a = wasm_i32x4_add(wasm_i32x4_add(a, b), y);      \
	d = wasm_v128_xor(d, a);                          \
	d = VROTR(d, 8);                                  \
	c = wasm_i32x4_add(c, d);                         \
	b = wasm_v128_xor(b, c);                          \
	b = VROTR(b, 7);

INLINE void transpose(v128_t *x) {
	v128_t ab0 = wasm_i32x4_shuffle(x[0], x[1], 0, 4, 1, 5), ab1 = wasm_i32x4_shuffle(x[0], x[1], 2, 6, 3, 7);
	v128_t cd0 = wasm_i32x4_shuffle(x[2], x[3], 0, 4, 1, 5), cd1 = wasm_i32x4_shuffle(x[2], x[3], 2, 6, 3, 7);
	x[0] = wasm_i64x2_shuffle(ab0, cd0, 0, 2);
	x[1] = wasm_i64x2_shuffle(ab0, cd0, 1, 3);
	x[2] = wasm_i64x2_shuffle(ab1, cd1, 0, 2);
	x[3] = wasm_i64x2_shuffle(ab1, cd1, 1, 3);
}

// compress4 compresses one block of four inputs, `stride` bytes apart, into h.
static void compress4(v128_t *h, const u8 *p, u32 stride, v128_t counter, u32 flags) {
	v128_t m[16], v[16];
#pragma unroll
	for (u32 i = 0; i < 4; i++) {
		for (u32 j = 0; j < 4; j++)
			m[4 * i + j] = wasm_v128_load(p + j * stride + 16 * i);
		transpose(m + 4 * i);
	}
	for (u32 i = 0; i < 8; i++)
		v[i] = h[i];
	for (u32 i = 0; i < 4; i++)
		v[8 + i] = wasm_i32x4_splat((i32)iv[i]);
	v[12] = counter;
	v[13] = wasm_i32x4_const_splat(0); // fewer than 2^32 chunks in 4 GiB
	v[14] = wasm_i32x4_const_splat(BLOCK);
	v[15] = wasm_i32x4_splat((i32)flags);
#pragma unroll
	for (u32 r = 0; r < 7; r++) {
		const u8 *s = schedule[r];
		VMIX(v[0], v[4], v[8], v[12], m[s[0]], m[s[1]])
		VMIX(v[1], v[5], v[9], v[13], m[s[2]], m[s[3]])
		VMIX(v[2], v[6], v[10], v[14], m[s[4]], m[s[5]])
		VMIX(v[3], v[7], v[11], v[15], m[s[6]], m[s[7]])
		VMIX(v[0], v[5], v[10], v[15], m[s[8]], m[s[9]])
		VMIX(v[1], v[6], v[11], v[12], m[s[10]], m[s[11]])
		VMIX(v[2], v[7], v[8], v[13], m[s[12]], m[s[13]])
		VMIX(v[3], v[4], v[9], v[14], m[s[14]], m[s[15]])
	}
	for (u32 i = 0; i < 8; i++)
		h[i] = wasm_v128_xor(v[i], v[i + 8]);
}

// hash4 hashes four inputs of `blocks` blocks each into four chaining values.
static void hash4(u32 *out, const u8 *p, u32 stride, u32 blocks, const u32 *key, u32 counter, u32 step, u32 flags,
                  u32 start, u32 end) {
	v128_t h[8];
	v128_t ctr = wasm_i32x4_make((i32)counter, (i32)(counter + step), (i32)(counter + 2 * step), (i32)(counter + 3 * step));
	for (u32 i = 0; i < 8; i++)
		h[i] = wasm_i32x4_splat((i32)key[i]);
	for (u32 i = 0; i < blocks; i++)
		compress4(h, p + i * BLOCK, stride, ctr, flags | (i == 0 ? start : 0) | (i + 1 == blocks ? end : 0));
	transpose(h);
	transpose(h + 4);
	for (u32 i = 0; i < 4; i++) {
		wasm_v128_store(out + 8 * i, h[i]);
		wasm_v128_store(out + 8 * i + 4, h[4 + i]);
	}
}

// The stack of subtree chaining values. A push merges complete subtrees lazily,
// so that the last node is left for the root.
typedef struct {
	u32 cv[33][8];
	u32 depth;
	u64 chunks;
	const u32 *key;
	u32 flags;
} tree;

static void parent(u32 *out, const u32 *left, const u32 *right, const u32 *key, u32 flags) {
	u32 block[16], cv[8];
	for (u32 i = 0; i < 8; i++) {
		block[i] = left[i];
		block[8 + i] = right[i];
		cv[i] = key[i];
	}
	compress(cv, (const u8 *)block, BLOCK, 0, flags | PARENT);
	for (u32 i = 0; i < 8; i++)
		out[i] = cv[i];
}

// merge leaves one entry for each bit set in the number of chunks pushed.
static void merge(tree *t, u64 chunks) {
	while (t->depth > (u32)__builtin_popcountll(chunks)) {
		parent(t->cv[t->depth - 2], t->cv[t->depth - 2], t->cv[t->depth - 1], t->key, t->flags);
		t->depth--;
	}
}

// push adds a subtree of `chunks` chunks (a power of two that divides the
// number of chunks pushed so far).
static void push(tree *t, const u32 *cv, u64 chunks) {
	merge(t, t->chunks);
	for (u32 i = 0; i < 8; i++)
		t->cv[t->depth][i] = cv[i];
	t->depth++;
	t->chunks += chunks;
}

// chunk hashes the last, possibly partial, chunk up to its final block; root
// is ROOT when it is the only one.
static void chunk(u32 *cv, const u8 *p, u32 n, u64 counter, const u32 *key, u32 flags, u32 root) {
	for (u32 i = 0; i < 8; i++)
		cv[i] = key[i];
	u32 start = CHUNK_START;
	for (; n > BLOCK; p += BLOCK, n -= BLOCK, start = 0)
		compress(cv, p, BLOCK, counter, flags | start);
	u8 last[BLOCK];
	for (u32 i = 0; i < BLOCK; i++)
		last[i] = i < n ? p[i] : 0;
	compress(cv, last, n, counter, flags | start | CHUNK_END | root);
}

void blake3(u8 *out, const u8 *key, const u8 *head, u32 headlen, const u8 *data, u32 n) {
	static tree t;
	static u8 first[CHUNK];
	u32 k[8], cv[32];
	t.depth = 0;
	t.chunks = 0;
	t.flags = key ? KEYED : 0;
	for (u32 i = 0; i < 8; i++)
		k[i] = key ? ((const u32_u *)key)[i] : iv[i];
	t.key = k;

	// The first chunk holds the head; behind it data runs on without copies.
	u32 rest = min_u32(n, CHUNK - headlen);
	__builtin_memcpy(first, head, headlen);
	__builtin_memcpy(first + headlen, data, rest);
	data += rest;
	n -= rest;
	if (n == 0) {
		chunk(cv, first, headlen + rest, 0, k, t.flags, ROOT);
		__builtin_memcpy(out, cv, 32);
		return;
	}
	chunk(cv, first, CHUNK, 0, k, t.flags, 0);
	push(&t, cv, 1);
	while (n > CHUNK) {
		if (n > 4 * CHUNK && t.chunks % 4 == 0) {
			hash4(cv, data, CHUNK, CHUNK / BLOCK, k, (u32)t.chunks, 1, t.flags, CHUNK_START, CHUNK_END);
			parent(cv, cv, cv + 8, k, t.flags);
			parent(cv + 16, cv + 16, cv + 24, k, t.flags);
			parent(cv, cv, cv + 16, k, t.flags);
			push(&t, cv, 4);
			data += 4 * CHUNK;
			n -= 4 * CHUNK;
			continue;
		}
		chunk(cv, data, CHUNK, t.chunks, k, t.flags, 0);
		push(&t, cv, 1);
		data += CHUNK;
		n -= CHUNK;
	}
	merge(&t, t.chunks);
	chunk(cv, data, n, t.chunks, k, t.flags, 0);
	for (u32 d = t.depth; d > 0; d--)
		parent(cv, t.cv[d - 1], cv, k, t.flags | (d == 1 ? ROOT : 0));
	__builtin_memcpy(out, cv, 32);
}

void op_digest(u8 *out, const u8 *data, const u8 *key, u32 rows, u32 cols, u32 type) {
	u8 head[9] = {(u8)type};
	__builtin_memcpy(head + 1, &rows, 4);
	__builtin_memcpy(head + 5, &cols, 4);
	blake3(out, key, head, sizeof head, data, rows * cols * type_size(type));
}
