//go:build wasip1

// Guest pow is a tiny proof of work: setup expands a weight matrix from the
// seed, a unit expands its input from its index and records their product,
// and some bytes.
package main

import (
	"encoding/binary"
	"unsafe"
)

//go:wasmimport assay seed
func seed(ptr unsafe.Pointer)

//go:wasmimport assay unit_index
func unitIndex(i uint32) uint64

//go:wasmimport assay record
func record(unit, tensor uint32)

//go:wasmimport assay record_bytes
func recordBytes(unit uint32, ptr unsafe.Pointer, n uint32)

//go:wasmimport tensor alloc
func alloc(dtype, rows, cols uint32) uint32

//go:wasmimport tensor write
func write(h uint32, off int64, ptr unsafe.Pointer, n uint32)

//go:wasmimport tensor read
func read(h uint32, off int64, ptr unsafe.Pointer, n uint32)

//go:wasmimport tensor view
func view(h, row, rows, cols uint32) uint32

//go:wasmimport tensor free
func free(h uint32)

//go:wasmimport tensor expand
func expand(dst, seed uint32, stream int64)

//go:wasmimport tensor gemm
func gemm(dst, a, b uint32)

const (
	u8, s8, s32 = 1, 2, 3
	width       = 64
)

var key, weights, input, output uint32

//go:wasmexport assay_abi
func assayABI() uint32 { return 1 }

//go:wasmexport pow_setup
func powSetup() {
	var s [32]byte
	seed(unsafe.Pointer(&s))
	key = alloc(u8, 1, 32)
	write(key, 0, unsafe.Pointer(&s), 32)
	weights = alloc(s8, width, width)
	expand(weights, key, -1)
	input, output = alloc(s8, 4, width), alloc(s32, 4, width)
}

//go:wasmexport pow_units
func powUnits(n uint32) {
	for i := range n {
		index := unitIndex(i)
		expand(input, key, int64(index))
		gemm(output, input, weights)
		record(i, output)
		row := view(output, 2, 1, width)
		var b [4]byte
		read(row, 4, unsafe.Pointer(&b), 4)
		sum := binary.LittleEndian.Uint32(b[:]) ^ uint32(index)
		recordBytes(i, unsafe.Pointer(&sum), 4)
		record(i, row)
		free(row)
	}
}

func main() {}
