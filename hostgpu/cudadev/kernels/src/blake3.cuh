// digest: BLAKE3 (github.com/BLAKE3-team/BLAKE3-specs, sections 2.1 to 2.6) of
// nine bytes of type and shape and the elements. A chunk's chaining value needs
// only the chunk, so a thread takes a chunk; then pairs of neighbours are
// merged, level by level, an odd last one rising as it is: this is the
// specification's tree, whose left subtrees are full.
#pragma once
#include "chacha.cuh"

enum { CHUNK_START = 1, CHUNK_END = 2, PARENT = 4, ROOT = 8, KEYED = 16 };
enum { LEAVES = 128 }; // threads a block: chunks of a leaf block
enum { NODES = 2 * LEAVES }; // nodes that a tree block merges into one

#define IV0 0x6A09E667
#define IV1 0xBB67AE85
#define IV2 0x3C6EF372
#define IV3 0xA54FF53A

DEVICE u32 rotr(u32 x, u32 by) { return x >> by | x << (32 - by); }

#define MIX(a, b, c, d, x, y)                                                                                          \
	a += b + (x), d = rotr(d ^ a, 16), c += d, b = rotr(b ^ c, 12), a += b + (y), d = rotr(d ^ a, 8), c += d,      \
	b = rotr(b ^ c, 7)

// compress replaces the chaining value by that of one block.
DEVICE void compress(u32 cv[8], const u32 block[16], u32 counter, u32 len, u32 flags) {
	u32 m[16], v[16] = {cv[0], cv[1], cv[2], cv[3], cv[4], cv[5], cv[6], cv[7],
	                    IV0, IV1, IV2, IV3, counter, 0, len, flags};
	UNROLL for (u32 i = 0; i < 16; i++) m[i] = block[i];
	UNROLL for (u32 round = 0; round < 7; round++) {
		MIX(v[0], v[4], v[8], v[12], m[0], m[1]);
		MIX(v[1], v[5], v[9], v[13], m[2], m[3]);
		MIX(v[2], v[6], v[10], v[14], m[4], m[5]);
		MIX(v[3], v[7], v[11], v[15], m[6], m[7]);
		MIX(v[0], v[5], v[10], v[15], m[8], m[9]);
		MIX(v[1], v[6], v[11], v[12], m[10], m[11]);
		MIX(v[2], v[7], v[8], v[13], m[12], m[13]);
		MIX(v[3], v[4], v[9], v[14], m[14], m[15]);
		// The permutation of the message between rounds costs nothing once unrolled.
		u32 t[16] = {m[2], m[6], m[3], m[10], m[7], m[0], m[4], m[13], m[1], m[11], m[12], m[5], m[9], m[14], m[15], m[8]};
		UNROLL for (u32 i = 0; i < 16; i++) m[i] = t[i];
	}
	UNROLL for (u32 i = 0; i < 8; i++) cv[i] = v[i] ^ v[i + 8];
}

// digest_args<N> are up to N digests of tensors of one shape and type. Of an
// item's two words the second is the address of the elements, with its highest
// bit set where the digest is keyed.
struct digest_item { u8 *dst; u64 src; };
template <int N> struct digest_args {
	u32 *cvs; // scratch: `blocks` chaining values an item
	const u8 *key;
	u32 n, rows, cols, type; // n: bytes of elements
	u32 chunks, blocks;      // ⌈(n+9)/1024⌉, ⌈chunks/LEAVES⌉
	digest_item item[N];
};

// message is one item, as a block sees it.
struct message {
	u8 *dst;
	const u8 *src, *key;
	u32 n, rows, cols, type;
};

DEVICE void digest_key(u32 cv[8], const u8 *key) {
	const u32 iv[8] = {IV0, IV1, IV2, IV3, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};
	UNROLL for (u32 i = 0; i < 8; i++) cv[i] = key ? load_le(key + 4 * i) : iv[i];
}

// head_word is word i of the nine bytes before the elements, zero behind them.
DEVICE u32 head_word(const message &p, u32 i) {
	return i == 0 ? p.type | p.rows << 8 : i == 1 ? p.rows >> 24 | p.cols << 8 : i == 2 ? p.cols >> 24 : 0;
}

// message_block reads 64 bytes of the message from `at` (a multiple of 64) as
// words; what lies behind the end is zero. Message byte i is byte i - 9 of src.
DEVICE void message_block(const message &p, u32 m[16], u32 at) {
	u64 end = (u64)p.n + 9;
	if (at >= 64 && at + 64ull <= end) {
		const u8 *q = p.src + (at - 9);
		// Whole words around the block stay inside src: it begins one to three
		// bytes behind a multiple of four and ends as far before another only
		// if src has those bytes, so the edges are read byte by byte.
		u32 skew = (u32)(u64)q & 3;
		if (skew == 0) {
			UNROLL for (u32 i = 0; i < 16; i++) m[i] = ((const u32 *)q)[i];
			return;
		}
		const u32 *w = (const u32 *)(q - skew);
		u32 low = 0;
		UNROLL for (u32 i = 0; i < 3; i++)
			if (i >= skew)
				low |= (u32)q[i - skew] << (8 * i);
		low |= (u32)q[3 - skew] << 24;
		UNROLL for (u32 i = 0; i < 15; i++) {
			u32 high = w[i + 1];
			m[i] = (u32)(((u64)high << 32 | low) >> (8 * skew));
			low = high;
		}
		u32 high = 0;
		UNROLL for (u32 i = 0; i < 3; i++)
			if (i < skew)
				high |= (u32)q[64 - skew + i] << (8 * i);
		m[15] = (u32)(((u64)high << 32 | low) >> (8 * skew));
		return;
	}
	UNROLL for (u32 i = 0; i < 16; i++) {
		u32 w = at == 0 ? head_word(p, i) : 0;
		UNROLL for (u32 b = 0; b < 4; b++) {
			u64 j = (u64)at + 4 * i + b;
			if (j >= 9 && j < end)
				w |= (u32)p.src[j - 9] << (8 * b);
		}
		m[i] = w;
	}
}

// Nodes in shared memory by word, so that threads touch neighbouring banks.
SHARED u32 tree[8][NODES];

// merge reduces n nodes of the tree to one, in node 0. With `root` this is the
// last launch, and the last merge makes the digest.
DEVICE void merge(const u8 *key, u32 n, bool root) {
	u32 flags = (key ? KEYED : 0) | PARENT;
	while (n > 1) {
		u32 cv[8], m[16], pairs = n / 2;
		barrier();
		bool has = tid() < pairs, odd = (n & 1) && tid() == pairs;
		if (has) {
			digest_key(cv, key);
			UNROLL for (u32 i = 0; i < 8; i++) {
				m[i] = tree[i][2 * tid()];
				m[8 + i] = tree[i][2 * tid() + 1];
			}
			compress(cv, m, 0, 64, flags | (root && n == 2 ? ROOT : 0));
		}
		if (odd)
			UNROLL for (u32 i = 0; i < 8; i++) cv[i] = tree[i][n - 1];
		barrier();
		if (has || odd)
			UNROLL for (u32 i = 0; i < 8; i++) tree[i][tid()] = cv[i];
		n = pairs + (n & 1);
	}
	barrier();
}

// finish writes node 0: the digest if it is the root, else a chaining value.
DEVICE void finish(u8 *dst, u32 *cv, bool root) {
	if (tid() < 8) {
		u32 w = tree[tid()][0];
		if (root) {
			UNROLL for (u32 b = 0; b < 4; b++) dst[4 * tid() + b] = (u8)(w >> (8 * b));
		} else {
			cv[tid()] = w;
		}
	}
}

template <int N> DEVICE void digest_leaf(const digest_args<N> &a) {
	u32 index = ctaid() / a.blocks, block = ctaid() % a.blocks;
	u64 src = a.item[index].src;
	message p = {a.item[index].dst, (const u8 *)(src << 1 >> 1), src >> 63 ? a.key : 0, a.n, a.rows, a.cols, a.type};
	u32 first = block * LEAVES, chunk = first + tid(), n = min_u32(LEAVES, a.chunks - first);
	u32 flags = p.key ? KEYED : 0;
	if (tid() < n) {
		u32 cv[8], m[16];
		digest_key(cv, p.key);
		u64 end = (u64)p.n + 9;
		u32 at = chunk * 1024u, left = (u32)(end - (u64)at < 1024 ? end - (u64)at : 1024);
		NOUNROLL for (u32 done = 0; done < left; done += 64) {
			u32 len = min_u32(64, left - done), f = flags | (done == 0 ? CHUNK_START : 0);
			if (left - done <= 64)
				f |= CHUNK_END | (a.chunks == 1 ? ROOT : 0);
			message_block(p, m, at + done);
			compress(cv, m, chunk, len, f);
		}
		UNROLL for (u32 i = 0; i < 8; i++) tree[i][tid()] = cv[i];
	}
	bool root = a.blocks == 1;
	merge(p.key, n, root);
	finish(p.dst, a.cvs + (u64)ctaid() * 8, root);
}
KERNEL BOUNDS(LEAVES, 4) assay_digest_leaf(digest_args<1> a) { digest_leaf(a); }
KERNEL BOUNDS(LEAVES, 4) assay_digest_leaves(digest_args<BATCH> a) { digest_leaf(a); }

// `nodes` chaining values an item in, ⌈nodes/NODES⌉ = `blocks` out; the digest
// if that is one.
template <int N> struct digest_tree_args {
	const u32 *in;
	u32 *out;
	const u8 *key;
	u32 nodes, blocks;
	digest_item item[N];
};
template <int N> DEVICE void digest_tree(const digest_tree_args<N> &a) {
	u32 index = ctaid() / a.blocks, first = ctaid() % a.blocks * NODES, n = min_u32(NODES, a.nodes - first);
	const u32 *in = a.in + ((u64)index * a.nodes + first) * 8;
	for (u32 i = tid(); i < 8 * n; i += LEAVES) tree[i & 7][i >> 3] = in[i];
	bool root = a.blocks == 1;
	merge(a.item[index].src >> 63 ? a.key : 0, n, root);
	finish(a.item[index].dst, a.out + (u64)ctaid() * 8, root);
}
KERNEL BOUNDS(LEAVES, 4) assay_digest_tree(digest_tree_args<1> a) { digest_tree(a); }
KERNEL BOUNDS(LEAVES, 4) assay_digest_trees(digest_tree_args<BATCH> a) { digest_tree(a); }
