package cpudev

import (
	"math/bits"

	"github.com/assaynet/assay/hostgpu/device"
)

// rowMax is the largest |v|.
func rowMax(v []int32) (a uint32) {
	for _, x := range v {
		a = max(a, absU32(x))
	}
	return a
}

// quantFactor is r and the shift e+22 of the spec, for a > 0.
func quantFactor(a uint32) (r int64, s uint) {
	e := uint(bits.Len32(a))
	return int64((127<<(e+22) + uint64(a)/2) / uint64(a)), e + 22
}

// quantRow is q of the spec, with s = e+22.
func quantRow(q []int8, v []int32, r int64, s uint) {
	q = q[:len(v)]
	for j, x := range v {
		q[j] = int8(max(-127, min(127, rhu(int64(x)*r, s))))
	}
}

// quantScale is QSCALE of the spec.
func quantScale(a uint32, frac int) device.Scale {
	e := bits.Len32(a)
	n := uint64(a) << (32 - e)
	m, exp := (64*n+63)/127, 38-e+frac
	if m >= 1<<31 {
		m, exp = (32*n+63)/127, exp-1
	}
	return device.Scale{M: uint32(m), E: int32(exp)}
}

func (e *engine) quant(q []int8, scale []device.Scale, src []int32, k, frac int) {
	e.rows(len(scale), 2*k, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			e.quantizeRow(q[i*k:(i+1)*k], &scale[i], src[i*k:(i+1)*k], frac)
		}
	})
}

func (e *engine) quantizeRow(q []int8, scale *device.Scale, v []int32, frac int) {
	a := e.k.rowMax(v)
	if a == 0 {
		clear(q)
		*scale = device.Scale{}
		return
	}
	r, s := quantFactor(a)
	e.k.quant(q, v, r, s)
	*scale = quantScale(a, frac)
}
