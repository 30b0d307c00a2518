// All kernels, one translation unit an architecture.
#include "attention_mma.cuh"
#include "blake3.cuh"
#include "chacha.cuh"
#include "elementwise.cuh"
#include "gemm_mma.cuh"
#include "gemv.cuh"
#include "norm.cuh"
#include "sample.cuh"
