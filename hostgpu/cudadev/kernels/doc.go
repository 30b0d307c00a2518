// Package kernels holds the CUDA kernels of the tensor ops and decides how to
// launch them. docs/spec/ops.md defines every op; a kernel that differs from it
// in one bit is a bug in the kernel.
//
// The kernels are C++ (src/), compiled by clang to PTX text that is committed
// and embedded: assay_sm80.ptx for every GPU since Ampere, assay_sm90a.ptx,
// which adds wgmma, for Hopper. NVIDIA's driver compiles the text when it is
// loaded, so neither a CUDA toolkit nor a GPU is needed to build.
//
// Image picks the text, Plan turns a checked task into launches, Scratch says
// how much memory those launches need beside the operands. All three are pure
// functions of their arguments: the same task gives the same launches, so they
// can be recorded into a CUDA graph. Batch and PlanBatch do the same for small
// tasks that may share a launch. Every kernel takes one struct by value,
// whose bytes are in Launch.Args.
//
// What is checked without a GPU: the tests run the shipped PTX on the emulator
// of hostgpu/cudadev/ptx against devicetest's reference; check.sh (make
// test-ptx) gives it to NVIDIA's assembler. docs/bench/cuda.md has the results.
//
// The package must not know how a launch reaches a GPU: the driver, streams
// and memory are hostgpu/cudadev's.
package kernels
