package devicetest

import (
	"math/big"

	"github.com/assaynet/assay/hostgpu/device"
)

// refNormFactor returns m and h with √K/√(Σx²+epsk) = m·2^-h; ok is false
// where the sum is 0.
func refNormFactor(x []int64, epsk int64) (m int64, h int, ok bool) {
	t := max(0, bitlen(maxAbs(x))-23)
	sum := new(big.Int).Rsh(num(epsk), uint(2*t))
	for _, v := range x {
		sum.Add(sum, mul(num(v>>t), num(v>>t)))
	}
	if sum.Sign() == 0 || len(x) == 0 {
		return 0, 0, false
	}
	r, u := nroot(sum)
	rk, uk := nroot(num(int64(len(x))))
	z := 31
	if rk >= r {
		z = 30
	}
	return floorDiv(mul(num(rk), pow2(z)), num(r)).Int64(), z + uk - u + t, true
}

func refNorm(src mat, gain []int64, epsk int64) mat {
	dst := newMat(src.rows, src.cols)
	for i := range src.rows {
		m, h, ok := refNormFactor(src.row(i), epsk)
		if !ok {
			continue
		}
		for j, x := range src.row(i) {
			n := shr(mul(num(x), num(m)), h-22)
			dst.set(i, j, shr(mul(num(n), num(gain[j])), 22))
		}
	}
	return dst
}

func refNormQuant(src mat, gain []int64, epsk int64) (mat, []device.Scale) {
	dst, scales := newMat(src.rows, src.cols), make([]device.Scale, src.rows)
	for i := range src.rows {
		m, h, ok := refNormFactor(src.row(i), epsk)
		p := make([]int64, src.cols)
		for j, x := range src.row(i) {
			p[j] = mul(num(x), num(gain[j])).Int64() // at most 2^62
		}
		top := maxAbs(p)
		if !ok || top == 0 {
			continue
		}
		w := max(0, bitlen(top)-31)
		a := top >> w
		e := bitlen(a)
		for j := range p {
			p[j] >>= w
		}
		refQuantRow(p, a, dst.row(i))
		prod := floorDiv(mul(num(a<<(31-e)), num(m)), num(127)).Int64()
		b := bitlen(prod)
		scales[i] = device.Scale{
			M: uint32(prod >> (b - 31)),
			E: int32(16 + h - w - e + 31 - (b - 31)),
		}
	}
	return dst, scales
}

func refRope(src, table mat, pos []int64) mat {
	dst := newMat(src.rows, src.cols)
	half := table.cols / 2
	const one = 1 << 30
	for i := range src.rows {
		tau := table.row(int(clamp(pos[i], 0, int64(table.rows-1))))
		for head := 0; head < src.cols; head += table.cols {
			for j := range half {
				cos, sin := num(clamp(tau[j], -one, one)), num(clamp(tau[j+half], -one, one))
				x0, x1 := num(src.at(i, head+j)), num(src.at(i, head+j+half))
				re := new(big.Int).Sub(mul(x0, cos), mul(x1, sin))
				im := add(mul(x1, cos), mul(x0, sin))
				dst.set(i, head+j, sat32(rhu(re, 30)))
				dst.set(i, head+j+half, sat32(rhu(im, 30)))
			}
		}
	}
	return dst
}

func refSiluMul(gate, up mat) mat {
	dst := newMat(gate.rows, gate.cols)
	dst.each(func(i, j int) {
		x := gate.at(i, j)
		d := rhu(mul(num(abs(x)), num(1549082005)), 31).Int64()
		n := min(d>>15, 31)
		p := exp2(d&32767) << 9 >> n
		numerator := p
		if x >= 0 {
			numerator = 1 << 24
		}
		den := int64(1<<24) + p
		sigma := (numerator<<24 + den/2) / den
		g := rhu(mul(num(x), num(sigma)), 24)
		dst.set(i, j, shr(mul(g, num(up.at(i, j))), 16))
	})
	return dst
}
