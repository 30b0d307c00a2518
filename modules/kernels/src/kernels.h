// Shared declarations of the reference kernels. docs/spec/ops.md defines what
// each must compute; every function here trusts its operands, which the device
// layer has checked (shapes, bounds, no overlap but the allowed in-place ones).
//
// Freestanding C: no libc, no floats, no allocation. Pointers are offsets into
// the one linear memory; tensors are 64-byte aligned unless they are views.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <wasm_simd128.h>

typedef uint8_t u8;
typedef int8_t i8;
typedef int16_t i16;
typedef uint16_t u16;
typedef int32_t i32;
typedef uint32_t u32;
typedef int64_t i64;
typedef uint64_t u64;

// A scale m·2^-e, m in [2^30, 2^31) or both zero. Written bytes may hold any
// bits, so no kernel may rely on the range of m.
typedef struct { u32 m; i32 e; } scale;

#define EXPORT(name) __attribute__((export_name(#name)))
#define INLINE static inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))

// type_size is the bytes of an element by its type's number.
INLINE u32 type_size(u32 type) { return type <= 2 ? 1 : type == 3 ? 4 : 8; }

INLINE u32 min_u32(u32 a, u32 b) { return a < b ? a : b; }

// Unaligned-safe little-endian loads (Wasm is little-endian by definition).
typedef u32 __attribute__((aligned(1), may_alias)) u32_u;

// copy_bytes copies short rows inline: a bulk copy is a call into the engine.
INLINE void copy_bytes(void *dst, const void *src, u32 n) {
	if (n > 512) {
		__builtin_memcpy(dst, src, n);
		return;
	}
	u8 *d = dst;
	const u8 *s = src;
	for (; n >= 16; n -= 16, d += 16, s += 16)
		wasm_v128_store(d, wasm_v128_load(s));
	for (; n; n--)
		*d++ = *s++;
}

// 64-byte staging and packing buffers live in .bss and are shared between
// kernels: an instance runs one kernel at a time.
