// Instructions of the tensor cores and their data paths, as the PTX ISA names
// them: cp.async (section "Asynchronous copy"), ldmatrix, mma.sync m16n8k32.
#pragma once
#include "common.cuh"

// copy_async copies 16 bytes to shared memory without passing registers, the
// first `bytes` of them from src and zeros behind; both are multiples of 16.
DEVICE void copy_async(u32 dst, const void *src, u32 bytes) {
	asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(dst), "l"(src), "r"(bytes) : "memory");
}
DEVICE void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// copy_wait waits until at most `left` groups of this thread are under way.
template <int left> DEVICE void copy_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(left) : "memory"); }

// load_matrix reads four 8×8 matrices of 16-bit elements, here 8 rows of 16
// bytes: lane l gives the address of row l%8 of matrix l/8, and gets of each
// matrix bytes 4·(l%4) .. +3 of row l/4.
DEVICE void load_matrix(u32 r[4], u32 addr) {
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
	             : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(addr) : "memory");
}

// mma multiplies s8[16,32] by s8[8,32]ᵀ and adds s32[16,8]. With g = lane/4 and
// q = lane%4 (PTX ISA, "Matrix fragments for mma.m16n8k32"): a[0] is row g,
// k = 4q..4q+3; a[1] row g+8; a[2], a[3] the same at k+16; b0 is column g, k =
// 4q..; b1 at k+16; c[0], c[1] are row g, columns 2q, 2q+1; c[2], c[3] row g+8.
DEVICE void mma(i32 c[4], const u32 a[4], u32 b0, u32 b1) {
	asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
	    : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// mma_u8 is mma with unsigned a.
DEVICE void mma_u8(i32 c[4], const u32 a[4], u32 b0, u32 b1) {
	asm("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
	    : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// dot4 adds the products of four s8 pairs.
DEVICE i32 dot4(u32 a, u32 b, i32 c) {
	asm("dp4a.s32.s32 %0, %1, %2, %0;" : "+r"(c) : "r"(a), "r"(b));
	return c;
}

extern __attribute__((shared, aligned(1024))) u8 dynamic_shared[];
