// gemm and linear with wgmma, for compute capability 9.0 (PTX ISA,
// "Asynchronous Warpgroup Level Matrix Instructions"). A block of two
// warpgroups computes 128×BN results from slices of 128 columns of K, which pass
// through a ring of STAGES buffers; both operands are read from shared memory.
#pragma once
#include "gemm.cuh"

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

enum { WIDE = 128 }; // bytes of a row of a slice

// A slice lies as the 128-byte swizzle wants it: eight rows of 128 bytes are an
// atom of 1,024, chunk c (16 bytes) of row r is at chunk c ^ (r & 7).
DEVICE u32 wide_offset(u32 row, u32 chunk) { return row * WIDE + ((chunk ^ (row & 7)) << 4); }

// descriptor of a matrix with K contiguous ("Matrix Descriptor Format"):
// address/16; leading offset, not used with a swizzle; 1,024/16 from one group of
// eight rows to the next; swizzle mode 1, 128 bytes. The address of an atom's
// column k is 2·k/32 units further: the hardware swizzles address bits.
DEVICE u64 descriptor(u32 addr) {
	return (u64)(addr >> 4 & 0x3FFF) | 1ull << 16 | 64ull << 32 | 1ull << 62;
}

DEVICE void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int left> DEVICE void wgmma_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(left) : "memory"); }
// proxy_fence makes this thread's writes to shared memory visible to wgmma.
DEVICE void proxy_fence() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

#define R4(j) "+r"(c[j][0]), "+r"(c[j][1]), "+r"(c[j][2]), "+r"(c[j][3])
#define R32(j) R4(j), R4(j + 1), R4(j + 2), R4(j + 3), R4(j + 4), R4(j + 5), R4(j + 6), R4(j + 7)

// wgmma adds the product of a warpgroup's 64 rows of a and all rows of w, 32
// columns of K. The fragments are those of mma: warp i of the group has rows
// 16·i .. 16·i+15, c[j] its columns 8j .. 8j+7.
DEVICE void wgmma(i32 (&c)[32][4], u64 a, u64 w) {
	asm volatile("wgmma.mma_async.sync.aligned.m64n256k32.s32.s8.s8 {"
	             "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
	             "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
	             "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
	             "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63,"
	             "%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,"
	             "%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95,"
	             "%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111,"
	             "%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
	             "}, %128, %129, 1;" : R32(0), R32(8), R32(16), R32(24) : "l"(a), "l"(w));
}
DEVICE void wgmma(i32 (&c)[16][4], u64 a, u64 w) {
	asm volatile("wgmma.mma_async.sync.aligned.m64n128k32.s32.s8.s8 {"
	             "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
	             "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
	             "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
	             "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
	             "}, %64, %65, 1;" : R32(0), R32(8) : "l"(a), "l"(w));
}

// fill_wide copies rows [row0, row0+ROWS), columns [k, k+128) to a buffer; what
// is outside is zero.
template <int ROWS> DEVICE void fill_wide(u32 buffer, const i8 *src, u32 row0, u32 rows, u32 pitch, u32 k) {
	UNROLL for (int i = 0; i < ROWS * 8 / 256; i++) {
		u32 at = i * 256 + tid(), r = at >> 3, chunk = at & 7, col = k + chunk * 16;
		bool in = row0 + r < rows && col < pitch;
		copy_async(buffer + wide_offset(r, chunk), in ? src + (u64)(row0 + r) * pitch + col : src, in ? 16 : 0);
	}
}

// Two slices of products are under way, so the buffer that is filled next is
// the one before them: copies run STAGES - 2 slices ahead.
template <int BN, int STAGES> DEVICE void gemm_wgmma(const gemm_args &p) {
	enum { BM = 128, NI = BN / 8, STAGE = (BM + BN) * WIDE, AHEAD = STAGES - 2 };
	tile t = tile_of(p);
	u32 m0 = t.m * BM, n0 = t.n * BN, slices = (p.k + WIDE - 1) / WIDE;
	u32 base = (shared_addr(dynamic_shared) + 1023) & ~1023u; // whole atoms
	auto load = [&](u32 slice) {
		if (slice < slices) {
			u32 to = base + slice % STAGES * STAGE;
			fill_wide<BM>(to, p.a, m0, p.m, p.k, slice * WIDE);
			fill_wide<BN>(to + BM * WIDE, p.w, n0, p.n, p.k, slice * WIDE);
		}
		copy_commit();
	};
	UNROLL for (u32 s = 0; s < AHEAD; s++) load(s);

	u32 group = warp() / 4;
	i32 c[NI][4];
	UNROLL for (int j = 0; j < NI; j++) UNROLL for (int e = 0; e < 4; e++) c[j][e] = 0;
	NOUNROLL for (u32 slice = 0; slice < slices; slice++) {
		copy_wait<AHEAD - 1>();
		proxy_fence();
		barrier(); // slice is there for all; products of slice - 2 are done
		load(slice + AHEAD);
		u32 at = base + slice % STAGES * STAGE;
		u64 a = descriptor(at + group * 64 * WIDE), w = descriptor(at + BM * WIDE);
		wgmma_fence();
		UNROLL for (u32 k = 0; k < WIDE / 32; k++) wgmma(c, a + 2 * k, w + 2 * k);
		wgmma_commit();
		wgmma_wait<1>();
	}
	wgmma_wait<0>();
	copy_wait<0>();
	barrier(); // the buffers become patches
	i32 *words = (i32 *)(dynamic_shared + (base - shared_addr(dynamic_shared))) + warp() * patch<8>::WORDS;
	UNROLL for (int j = 0; j < NI; j += 8) emit_tile<8>(p, c + j, words, m0 + warp() * 16, n0 + 8 * j);
}

KERNEL BOUNDS(256, 1) assay_gemm_wgmma_256(gemm_args p) { gemm_wgmma<256, 4>(p); }
KERNEL BOUNDS(256, 2) assay_gemm_wgmma_128(gemm_args p) { gemm_wgmma<128, 3>(p); }

#endif
