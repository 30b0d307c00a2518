// Shared declarations of the CUDA kernels: types, attributes, and the few
// instructions that need inline PTX. Built by clang without CUDA's headers.
//
// Every kernel takes one struct by value: pointers, then 64-bit values, then
// 32-bit ones, padded to a multiple of eight bytes; plan.go writes the same
// bytes. Operands were checked by hostgpu/device: shapes, bounds, no overlap
// but the allowed in-place ones. s8 and u8 tensors may begin at any byte, s32
// at any multiple of four, scales at any multiple of eight.
#pragma once

typedef unsigned char u8;
typedef signed char i8;
typedef unsigned short u16;
typedef short i16;
typedef int i32;
typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;
typedef u32 u32x2 __attribute__((ext_vector_type(2)));
typedef u32 u32x4 __attribute__((ext_vector_type(4)));
typedef i32 i32x2 __attribute__((ext_vector_type(2)));
typedef i32 i32x4 __attribute__((ext_vector_type(4)));

// A scale m·2^-e as stored: any bits.
struct scale { u32 m; i32 e; };

#define KERNEL extern "C" __attribute__((global)) void
#define DEVICE static inline __attribute__((device, always_inline))
#define SHARED static __attribute__((shared))
// BOUNDS: threads a block, and blocks that must fit a multiprocessor, which
// bounds the registers.
#define BOUNDS(threads, blocks) __attribute__((launch_bounds(threads, blocks)))
#define UNROLL _Pragma("unroll")
#define NOUNROLL _Pragma("nounroll")

DEVICE u32 tid() { return __nvvm_read_ptx_sreg_tid_x(); }
DEVICE u32 ntid() { return __nvvm_read_ptx_sreg_ntid_x(); }
DEVICE u32 ctaid() { return __nvvm_read_ptx_sreg_ctaid_x(); }
DEVICE u32 nctaid() { return __nvvm_read_ptx_sreg_nctaid_x(); }
DEVICE u32 lane() { return tid() & 31; }
DEVICE u32 warp() { return tid() >> 5; }

// barrier waits for the whole block; shared memory written before is seen after.
DEVICE void barrier() { __nvvm_bar_sync(0); }
// warp_barrier waits for the warp.
DEVICE void warp_barrier() { __nvvm_bar_warp_sync(-1); }
// fence orders this thread's global writes before its later ones.
DEVICE void fence() { __nvvm_membar_gl(); }

DEVICE u32 min_u32(u32 a, u32 b) { return a < b ? a : b; }
DEVICE u32 max_u32(u32 a, u32 b) { return a > b ? a : b; }
DEVICE i32 min_i32(i32 a, i32 b) { return a < b ? a : b; }
DEVICE i32 max_i32(i32 a, i32 b) { return a > b ? a : b; }

DEVICE u32 shuffle_xor(u32 x, u32 by) { return (u32)__nvvm_shfl_sync_bfly_i32(-1, (i32)x, (i32)by, 31); }
DEVICE u64 shuffle_xor64(u64 x, u32 by) {
	return (u64)shuffle_xor((u32)(x >> 32), by) << 32 | shuffle_xor((u32)x, by);
}
DEVICE u32 shuffle_up(u32 x, u32 by) { return (u32)__nvvm_shfl_sync_up_i32(-1, (i32)x, (i32)by, 0); }
DEVICE u32 shuffle_idx(u32 x, u32 from) { return (u32)__nvvm_shfl_sync_idx_i32(-1, (i32)x, (i32)from, 31); }

// all says whether x holds on every lane.
DEVICE bool all(bool x) { return __nvvm_vote_all_sync(-1, x); }

// Atomics on global memory; the sums and maxima of integers do not depend on
// the order in which threads come.
DEVICE u32 atomic_add(u32 *p, u32 x) {
	u32 old;
	asm volatile("atom.global.add.u32 %0, [%1], %2;" : "=r"(old) : "l"(p), "r"(x) : "memory");
	return old;
}
DEVICE void reduce_add(u32 *p, u32 x) { asm volatile("red.global.add.u32 [%0], %1;" ::"l"(p), "r"(x) : "memory"); }
DEVICE void reduce_add64(u64 *p, u64 x) { asm volatile("red.global.add.u64 [%0], %1;" ::"l"(p), "l"(x) : "memory"); }
DEVICE void reduce_max64(u64 *p, u64 x) { asm volatile("red.global.max.u64 [%0], %1;" ::"l"(p), "l"(x) : "memory"); }
DEVICE void reduce_max(u32 *p, u32 x) { asm volatile("red.global.max.u32 [%0], %1;" ::"l"(p), "r"(x) : "memory"); }

// fresh reads what other blocks wrote during this launch: past the first-level
// cache, and never moved by the compiler.
DEVICE u32 fresh(const u32 *p) {
	u32 x;
	asm volatile("ld.global.cg.u32 %0, [%1];" : "=r"(x) : "l"(p) : "memory");
	return x;
}
DEVICE u64 fresh64(const u64 *p) {
	u64 x;
	asm volatile("ld.global.cg.u64 %0, [%1];" : "=l"(x) : "l"(p) : "memory");
	return x;
}

// shared_addr is the shared-window address of a shared variable, which is what
// ldmatrix and cp.async take.
#define shared_ptr(p) ((__attribute__((address_space(3))) void *)(p))
DEVICE u32 shared_addr(const void *p) { return (u32)(u64)shared_ptr(p); }

// The same in shared memory, by shared_addr.
DEVICE void shared_add(u32 at, u32 x) { asm volatile("red.shared.add.u32 [%0], %1;" ::"r"(at), "r"(x) : "memory"); }
DEVICE void shared_add64(u32 at, u64 x) { asm volatile("red.shared.add.u64 [%0], %1;" ::"r"(at), "l"(x) : "memory"); }

// Sums over a warp: every lane gets the result.
DEVICE u32 warp_max(u32 x) {
	UNROLL for (u32 i = 16; i; i >>= 1) x = max_u32(x, shuffle_xor(x, i));
	return x;
}
DEVICE i32 warp_max_i32(i32 x) {
	UNROLL for (u32 i = 16; i; i >>= 1) x = max_i32(x, (i32)shuffle_xor((u32)x, i));
	return x;
}
DEVICE i32 warp_min_i32(i32 x) {
	UNROLL for (u32 i = 16; i; i >>= 1) x = min_i32(x, (i32)shuffle_xor((u32)x, i));
	return x;
}
DEVICE u32 warp_sum(u32 x) {
	UNROLL for (u32 i = 16; i; i >>= 1) x += shuffle_xor(x, i);
	return x;
}
DEVICE u64 warp_sum64(u64 x) {
	UNROLL for (u32 i = 16; i; i >>= 1) x += shuffle_xor64(x, i);
	return x;
}
DEVICE u64 warp_max64(u64 x) {
	UNROLL for (u32 i = 16; i; i >>= 1) {
		u64 y = shuffle_xor64(x, i);
		x = x > y ? x : y;
	}
	return x;
}

// Reductions over a block of up to 1,024 threads, a multiple of 32. All threads
// must call; all get the result.
SHARED u64 block_part[32];

#define BLOCK_REDUCE(name, type, warp_op, zero)                                                                         \
	DEVICE type name(type x) {                                                                                       \
		x = warp_op(x);                                                                                          \
		barrier();                                                                                               \
		if (lane() == 0)                                                                                         \
			block_part[warp()] = (u64)x;                                                                     \
		barrier();                                                                                               \
		return warp_op(lane() < ntid() / 32 ? (type)block_part[lane()] : (type)(zero));                          \
	}
BLOCK_REDUCE(block_max, u32, warp_max, 0)
BLOCK_REDUCE(block_max_i32, i32, warp_max_i32, -0x7FFFFFFF - 1)
BLOCK_REDUCE(block_min_i32, i32, warp_min_i32, 0x7FFFFFFF)
BLOCK_REDUCE(block_sum, u32, warp_sum, 0)
BLOCK_REDUCE(block_sum64, u64, warp_sum64, 0)
BLOCK_REDUCE(block_max64, u64, warp_max64, 0)

// block_before64 is the sum of x over the threads before this one.
DEVICE u64 block_before64(u64 x) {
	u64 sum = x;
	UNROLL for (u32 i = 1; i < 32; i <<= 1) {
		u64 y = (u64)shuffle_up((u32)(sum >> 32), i) << 32 | shuffle_up((u32)sum, i);
		sum += lane() >= i ? y : 0;
	}
	barrier();
	if (lane() == 31)
		block_part[warp()] = sum;
	barrier();
	for (u32 i = 0; i < warp(); i++) sum += block_part[i];
	return sum - x;
}
