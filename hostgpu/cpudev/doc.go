// Package cpudev is the native CPU device: Go assembly for AVX-512-VNNI, AVX2
// and (matrix products) arm64's dot product, chosen at run time, and portable
// Go for every op. It gives the bits that docs/spec/ops.md defines, whatever
// the instruction set and the number of threads.
//
// It owns memory and arithmetic only: handles, checks and accounting are
// device.New's. It must not know the sandbox, Wasm or any other device.
package cpudev
