package devicetest

import "github.com/assaynet/assay/hostgpu/device"

// mat is a decoded tensor of integers, row-major.
type mat struct {
	rows, cols int
	v          []int64
}

func newMat(rows, cols int) mat { return mat{rows, cols, make([]int64, rows*cols)} }

func (m mat) at(i, j int) int64     { return m.v[i*m.cols+j] }
func (m mat) set(i, j int, x int64) { m.v[i*m.cols+j] = x }
func (m mat) row(i int) []int64     { return m.v[i*m.cols : (i+1)*m.cols] }
func (m mat) each(f func(i, j int)) {
	for i := range m.rows {
		for j := range m.cols {
			f(i, j)
		}
	}
}

func refGemm(a, b mat) mat {
	dst := newMat(a.rows, b.rows)
	dst.each(func(i, j int) {
		x, y := a.row(i), b.row(j)
		var sum int64
		for k := range x {
			sum += x[k] * y[k]
		}
		dst.set(i, j, sum)
	})
	return dst
}

func refRescale(acc mat, row, channel []device.Scale, eout int) mat {
	dst := newMat(acc.rows, acc.cols)
	dst.each(func(i, j int) {
		mi, ei := load(row[i])
		mj, ej := load(channel[j])
		dst.set(i, j, shr(mul(num(acc.at(i, j)), num(cmul(mj, mi))), ej+ei-eout))
	})
	return dst
}

func refAdd(a, b mat) mat {
	dst := newMat(a.rows, a.cols)
	dst.each(func(i, j int) { dst.set(i, j, sat32(num(a.at(i, j)+b.at(i%b.rows, j)))) })
	return dst
}

// refQuantRow quantizes one row, its largest magnitude being a.
func refQuantRow(v []int64, a int64, q []int64) {
	if a == 0 {
		clear(q)
		return
	}
	e := bitlen(a)
	r := floorDiv(add(mul(num(127), pow2(e+22)), num(a/2)), num(a))
	for j, x := range v {
		q[j] = clamp(rhu(mul(num(x), r), e+22).Int64(), -127, 127)
	}
}

func maxAbs(v []int64) (a int64) {
	for _, x := range v {
		a = max(a, abs(x))
	}
	return a
}

func refQuant(src mat, frac int) (mat, []device.Scale) {
	dst, scales := newMat(src.rows, src.cols), make([]device.Scale, src.rows)
	for i := range src.rows {
		a := maxAbs(src.row(i))
		refQuantRow(src.row(i), a, dst.row(i))
		if a == 0 {
			continue
		}
		e := bitlen(a)
		n := num(a << (32 - e))
		m := floorDiv(add(mul(num(64), n), num(63)), num(127)).Int64()
		exp := 38 - e + frac
		if m >= 1<<31 {
			m, exp = floorDiv(add(mul(num(32), n), num(63)), num(127)).Int64(), exp-1
		}
		scales[i] = device.Scale{M: uint32(m), E: int32(exp)}
	}
	return dst, scales
}

func refEmbed(table mat, scale []device.Scale, ids []int64, frac int) mat {
	dst := newMat(len(ids), table.cols)
	dst.each(func(i, j int) {
		id := int(clamp(ids[i], 0, int64(table.rows-1)))
		m, e := load(scale[id])
		dst.set(i, j, shr(num(table.at(id, j)*m), e-frac))
	})
	return dst
}
