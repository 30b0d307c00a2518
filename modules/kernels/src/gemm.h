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

// gemm_out is where the sums go: as they are if arow is 0, else rescaled and
// added to bias and residual (0 where absent) as linear says.
typedef struct {
	i32 *dst;
	u32 n; // row length of dst
	const scale *arow, *wchan;
	const i32 *bias, *residual;
	i32 eout;
} gemm_out;

// gemm_run multiplies a[m,k] by the transpose of b[n,k].
void gemm_run(const gemm_out *out, const i8 *a, const i8 *b, u32 m, u32 n, u32 k);
