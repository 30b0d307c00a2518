package device

import "strconv"

// DType is the element type of a tensor. Elements are little-endian.
type DType uint8

const (
	DTypeInvalid DType = 0
	U8           DType = 1 // raw bytes: seeds, keys, digests
	S8           DType = 2 // int8 in [-127, 127]; a written -128 is stored as -127
	S32          DType = 3 // two's complement fixed point, the fraction bits are the caller's
	ScaleT       DType = 4 // 8 bytes: mantissa u32 in [2^30, 2^31), exponent i32; value m·2^-e
)

// Size of one element in bytes; 0 for an unknown type.
func (d DType) Size() int {
	switch d {
	case U8, S8:
		return 1
	case S32:
		return 4
	case ScaleT:
		return 8
	}
	return 0
}

func (d DType) String() string {
	switch d {
	case U8:
		return "u8"
	case S8:
		return "s8"
	case S32:
		return "s32"
	case ScaleT:
		return "scale"
	}
	return "dtype(" + strconv.Itoa(int(d)) + ")"
}

// Shape of a tensor: row-major, contiguous. Every tensor has two dimensions;
// vectors are [n,1] (one value a row) or [1,n] (one value a column).
type Shape struct{ Rows, Cols int }

// Bounds of one dimension and of one tensor. MaxDim keeps every index
// computation of a kernel inside 32 bits; MaxBytes keeps a tensor inside one
// 4 GiB address space with room for the operands beside it.
const (
	MaxDim   = 1 << 24
	MaxBytes = 1 << 31
)

// Elems is the number of elements; it does not overflow for a valid shape.
func (s Shape) Elems() int64 { return int64(s.Rows) * int64(s.Cols) }

// Valid reports whether both dimensions are within [0, MaxDim]. Zero is
// allowed: an op over an empty tensor does nothing.
func (s Shape) Valid() bool {
	return s.Rows >= 0 && s.Cols >= 0 && s.Rows <= MaxDim && s.Cols <= MaxDim
}

func (s Shape) String() string {
	return "[" + strconv.Itoa(s.Rows) + "," + strconv.Itoa(s.Cols) + "]"
}

// Handle names a tensor inside one Space. Zero is never a tensor.
type Handle uint32

// Scale is the value M·2^-E with M in [2^30, 2^31), or the all-zero value 0.
type Scale struct {
	M uint32
	E int32
}
