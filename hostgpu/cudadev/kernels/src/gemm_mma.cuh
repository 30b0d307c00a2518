// gemm and linear with mma.sync: a block computes BM×BN results from slices of
// 64 columns of K, which pass through a ring of STAGES buffers in shared
// memory; its WM×WN warps take parts of the tile.
//
// A slice's row is 64 bytes, four chunks of 16. Chunk c of row r lies at chunk
// c ^ (r/2 & 3): the eight rows that ldmatrix reads at once are then in eight
// different groups of four banks.
#pragma once
#include "gemm.cuh"

enum { SLICE = 64 };

DEVICE u32 slice_offset(u32 row, u32 chunk) { return row * SLICE + ((chunk ^ (row >> 1 & 3)) << 4); }

// fill copies rows [row0, row0+ROWS) of a matrix, columns [k, k+64) below
// `end`, to a buffer; what is outside is zero. With BYTES neither addresses nor
// K need be multiples of 16, and the copy is done on return.
template <int ROWS, int THREADS, bool BYTES>
DEVICE void fill(u32 buffer, u8 *generic, const i8 *src, u32 row0, u32 rows, u32 pitch, u32 k, u32 end) {
	UNROLL for (int i = 0; i < ROWS * 4 / THREADS; i++) {
		u32 at = i * THREADS + tid(), r = at >> 2, chunk = at & 3, col = k + chunk * 16;
		bool in = row0 + r < rows && col < end;
		const i8 *from = in ? src + (u64)(row0 + r) * pitch + col : src;
		if (!BYTES) {
			copy_async(buffer + slice_offset(r, chunk), from, in ? 16 : 0);
			continue;
		}
		u32 n = in ? min_u32(16, end - col) : 0;
		u32x4 x = {0, 0, 0, 0};
		UNROLL for (u32 b = 0; b < 16; b++)
			if (b < n)
				x[b / 4] |= (u32)(u8)from[b] << (b % 4 * 8);
		*(u32x4 *)(generic + slice_offset(r, chunk)) = x;
	}
}

template <int BM, int BN, int WM, int WN, int STAGES, bool BYTES, bool SPLIT> DEVICE void gemm_mma(const gemm_args &p) {
	enum { THREADS = 32 * WM * WN, MI = BM / WM / 16, NI = BN / WN / 8, STAGE = (BM + BN) * SLICE };
	tile t = tile_of(p);
	u32 m0 = t.m * BM, n0 = t.n * BN, base = shared_addr(dynamic_shared);
	u32 slices = (t.k1 - t.k0 + SLICE - 1) / SLICE;
	auto load = [&](u32 slice) {
		u32 at = slice % STAGES * STAGE, k = t.k0 + slice * SLICE;
		if (slice < slices) {
			fill<BM, THREADS, BYTES>(base + at, dynamic_shared + at, p.a, m0, p.m, p.k, k, t.k1);
			fill<BN, THREADS, BYTES>(base + at + BM * SLICE, dynamic_shared + at + BM * SLICE, p.w, n0, p.n, p.k, k, t.k1);
		}
		copy_commit();
	};
	UNROLL for (u32 s = 0; s < STAGES - 1; s++) load(s);

	sums<MI, NI> s = {};
	u32 wm = warp() / WN * (BM / WM), wn = warp() % WN * (BN / WN), l = lane();
	// Rows of ldmatrix: of a, matrices 0 and 1 are rows 0..7 and 8..15 of the
	// left half of K, 2 and 3 of the right; of w, 0 and 1 are the halves of K of
	// columns 0..7, 2 and 3 of columns 8..15.
	u32 row_a = wm + (l & 15), half_a = l >> 4, row_w = wn + (l & 7) + (l >> 4 << 3), half_w = l >> 3 & 1;
	NOUNROLL for (u32 slice = 0; slice < slices; slice++) {
		copy_wait<STAGES - 2>();
		barrier(); // slice is there for all, and the buffer filled next is read
		load(slice + STAGES - 1);
		u32 at_a = base + slice % STAGES * STAGE, at_w = at_a + BM * SLICE;
		UNROLL for (u32 k = 0; k < SLICE / 32; k++) {
			u32 a[MI][4], w[NI / 2][4];
			UNROLL for (int i = 0; i < MI; i++) load_matrix(a[i], at_a + slice_offset(row_a + 16 * i, 2 * k + half_a));
			UNROLL for (int j = 0; j < NI / 2; j++) load_matrix(w[j], at_w + slice_offset(row_w + 16 * j, 2 * k + half_w));
			UNROLL for (int i = 0; i < MI; i++) UNROLL for (int j = 0; j < NI; j++)
				mma(s.c[i][j], a[i], w[j / 2][j % 2 * 2], w[j / 2][j % 2 * 2 + 1]);
		}
	}
	copy_wait<0>();
	barrier(); // the buffers become patches
	if (SPLIT && p.splits > 1 && !gather(p, t, s, m0 + wm, n0 + wn))
		return;
	UNROLL for (int i = 0; i < MI; i++)
		emit_tile<NI>(p, s.c[i], (i32 *)dynamic_shared + warp() * patch<NI>::WORDS, m0 + wm + 16 * i, n0 + wn);
}

// Large: 64×64 results a warp, so that a byte read from shared memory feeds 32
// products, and a byte from the second-level cache 85. One block fills the registers.
KERNEL BOUNDS(256, 1) assay_gemm_128x256(gemm_args p) { gemm_mma<128, 256, 2, 4, 4, false, false>(p); }
// Medium: for results too small to fill the device with large tiles.
KERNEL BOUNDS(128, 2) assay_gemm_128x128(gemm_args p) { gemm_mma<128, 128, 2, 2, 4, false, false>(p); }
// Small: batches of decoding, where weights pass once: many blocks, each with
// three slices on their way.
KERNEL BOUNDS(128, 4) assay_gemm_64x64(gemm_args p) { gemm_mma<64, 64, 2, 2, 4, false, true>(p); }
// Any shape and address.
KERNEL BOUNDS(128, 4) assay_gemm_bytes(gemm_args p) { gemm_mma<64, 64, 2, 2, 2, true, true>(p); }
