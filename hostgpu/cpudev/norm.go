package cpudev

import (
	"math/bits"

	"github.com/assaynet/assay/hostgpu/device"
)

// normFactor gives √K/√(Σx²+epsk) as m·2^-h; m is 0 where the sum is 0.
func (e *engine) normFactor(x []int32, epsk int64) (m int64, h int) {
	t := uint(max(0, bits.Len32(e.k.rowMax(x))-23))
	sum := uint64(epsk)>>(2*t) + e.k.sumSquares(x, t)
	if sum == 0 {
		return 0, 0
	}
	r, u := nroot(sum)
	rk, uk := nroot(uint64(len(x)))
	z := 31
	if rk >= r {
		z = 30
	}
	return int64(rk << uint(z) / r), z + uk - u + int(t)
}

// sumSquares is Σ (x >> t)².
func sumSquares(x []int32, t uint) (sum uint64) {
	for _, v := range x {
		w := int64(v >> t)
		sum += uint64(w * w)
	}
	return sum
}

func (e *engine) norm(dst, src, gain []int32, epsk int64) {
	k := len(gain)
	e.rows(len(dst)/k, 4*k, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			x, y := src[i*k:(i+1)*k], dst[i*k:(i+1)*k]
			m, h := e.normFactor(x, epsk)
			if m == 0 {
				clear(y)
				continue
			}
			e.k.normRow(y, x, gain, m, h-22)
		}
	})
}

// normRow is SHR(SHR(x·m, s)·gain, 22), s in [0, 49].
func normRow(dst, x, gain []int32, m int64, s int) {
	x, gain = x[:len(dst)], gain[:len(dst)]
	for j := range dst {
		dst[j] = shr(int64(shr(int64(x[j])*m, s))*int64(gain[j]), 22)
	}
}

func (e *engine) normQuant(q []int8, scale []device.Scale, src, gain []int32, epsk int64) {
	k := len(gain)
	e.rows(len(scale), 5*k, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			e.normQuantRow(q[i*k:(i+1)*k], &scale[i], src[i*k:(i+1)*k], gain, epsk)
		}
	})
}

func (e *engine) normQuantRow(q []int8, scale *device.Scale, x, gain []int32, epsk int64) {
	top := e.k.maxProduct(x, gain)
	if top == 0 {
		clear(q)
		*scale = device.Scale{}
		return
	}
	m, h := e.normFactor(x, epsk)
	w := uint(max(0, bits.Len64(top)-31))
	a := uint32(top >> w)
	r, s := quantFactor(a)
	e.k.quantProduct(q, x, gain, w, r, s)
	bl := bits.Len32(a)
	p := uint64(a) << (31 - bl) * uint64(m) / 127
	cut := bits.Len64(p) - 31
	*scale = device.Scale{M: uint32(p >> cut), E: int32(16 + h - int(w) - bl + 31 - cut)}
}

// maxProduct is the largest |x·gain|.
func maxProduct(x, gain []int32) (top uint64) {
	x = x[:len(gain)]
	for j, g := range gain {
		p := int64(x[j]) * int64(g)
		top = max(top, uint64(max(p, -p)))
	}
	return top
}

// quantProduct is quantRow over v = x·gain >> w.
func quantProduct(q []int8, x, gain []int32, w uint, r int64, s uint) {
	x, gain = x[:len(q)], gain[:len(q)]
	for j := range q {
		v := int64(x[j]) * int64(gain[j]) >> w
		q[j] = int8(max(-127, min(127, rhu(v*r, s))))
	}
}

// ropeOne is 1 in Q30, the bound of the table's entries.
const ropeOne = 1 << 30

func (e *engine) rope(dst, src, table, pos []int32, c, d int) {
	half, positions := d/2, len(table)/d
	e.rows(len(pos), 3*c, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			tau := table[clampIndex(pos[i], positions)*d:][:d]
			for at := i * c; at < (i+1)*c; at += d {
				x, y := src[at:at+d], dst[at:at+d]
				e.k.rotate(y[:half], y[half:], x[:half], x[half:], tau[:half], tau[half:])
			}
		}
	})
}

// rotate turns the pairs (x0, x1). y0 may be x0, and y1 may be x1.
func rotate(y0, y1, x0, x1, cosine, sine []int32) {
	for j := range y0 {
		cos := int64(max(-ropeOne, min(ropeOne, cosine[j])))
		sin := int64(max(-ropeOne, min(ropeOne, sine[j])))
		a, b := int64(x0[j]), int64(x1[j])
		y0[j] = sat32(rhu(a*cos-b*sin, 30))
		y1[j] = sat32(rhu(b*cos+a*sin, 30))
	}
}

func (e *engine) siluMul(dst, gate, up []int32) {
	const piece = 4096
	e.parallel(len(dst), piece, 8, func(lo, hi int) { e.k.siluRow(dst[lo:hi], gate[lo:hi], up[lo:hi]) })
}

func siluRow(dst, gate, up []int32) {
	gate, up = gate[:len(dst)], up[:len(dst)]
	for j := range dst {
		dst[j] = siluMul(gate[j], up[j])
	}
}

// log2e is log2(e) in Q30.
const log2e = 1549082005

func siluMul(x, y int32) int32 {
	d := uint64(absU32(x))*log2e + 1<<30
	d >>= 31
	p := uint64(exp2(int32(d&32767))) << 9 >> min(d>>15, 31)
	numerator := p
	if x >= 0 {
		numerator = 1 << 24
	}
	den := 1<<24 + p
	sigma := int64((numerator<<24 + den/2) / den)
	return shr(rhu(int64(x)*sigma, 24)*int64(y), 16)
}
