// Package kernels embeds kernels.wasm, the reference kernels of the tensor ops:
// freestanding C (src/) compiled to Wasm with SIMD. docs/spec/ops.md defines
// them in formulas, this module in code; every native kernel must give its bits.
//
// The binary is committed with its SHA-256; build.sh makes both again. Each
// export is one op; its parameters follow from the op's table entry (Params),
// and src/ops.h, generated from it, holds the C compiler to that. The module
// allocates nothing: its user owns the memory from __heap_base up. It must not
// know what runs it.
package kernels

//go:generate go run ./gen src/ops.h
