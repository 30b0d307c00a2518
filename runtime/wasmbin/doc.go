// Package wasmbin reads and writes WebAssembly binaries of the Core 2.0
// specification (with SIMD, bulk memory, multi-value, reference types).
//
// It owns the binary format and its type system: sections, instructions with
// their immediates and signatures, and full validation. Decoding is bounded
// (every count is checked against Limits and against the bytes that are left
// before anything is allocated) and lossless: Encode(Decode(b)) is b.
//
// It is a leaf. It must not know about gas, hosts, engines or policy: which
// valid modules are admitted is decided by runtime/meter.
package wasmbin
