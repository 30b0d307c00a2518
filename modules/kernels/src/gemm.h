#pragma once
#include "kernels.h"

// Blocks of a matrix product. A block of A is packed as 16-bit panels of four
// rows, a pair of rows of B as one panel; the inner loop then needs two base
// pointers and constant offsets only, which is what an engine without an
// addressing-mode optimizer compiles best.
enum {
	GEMM_MB = 128,  // rows of A in a block
	GEMM_NB = 256,  // rows of B (columns of the result) in a block
	GEMM_KB = 2048, // depth of a block; a multiple of 8
	GEMM_DIRECT = 16, // up to this many rows of A, B is read unpacked
	GEMM_VECTOR = 3,  // up to this many rows of A, one row at a time
};

// gemm_epilogue consumes acc[mb][GEMM_NB], the finished sums of the rows
// i0.. and columns j0.. of a result.
typedef struct gemm_out gemm_out;
struct gemm_out {
	i32 *dst;
	u32 n; // row length of dst
	// Of linear only; arow == 0 means plain sums.
	const scale *arow, *wchan;
	const i32 *bias, *residual;
	i32 eout;
};

void gemm_run(const gemm_out *out, const i8 *a, const i8 *b, u32 m, u32 n, u32 k);
