package kernels

import "encoding/binary"

// args are the bytes of a kernel's struct. Eight-byte members come first, so
// that no padding lies between members.
type args struct{ b []byte }

func newArgs(pointers ...uint64) *args {
	a := &args{make([]byte, 0, 96)}
	return a.u64(pointers...)
}

func (a *args) u64(v ...uint64) *args {
	for _, x := range v {
		a.b = binary.LittleEndian.AppendUint64(a.b, x)
	}
	return a
}

func (a *args) u32(v ...uint32) *args {
	for _, x := range v {
		a.b = binary.LittleEndian.AppendUint32(a.b, x)
	}
	return a
}

// i32 takes immediates, which the table bounds to 32 bits.
func (a *args) i32(v ...int64) *args {
	for _, x := range v {
		a.b = binary.LittleEndian.AppendUint32(a.b, uint32(int32(x)))
	}
	return a
}

func ceilDiv(a, b uint32) uint32 { return uint32((uint64(a) + uint64(b) - 1) / uint64(b)) }
