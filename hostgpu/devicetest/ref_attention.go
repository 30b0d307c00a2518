package devicetest

import "github.com/assaynet/assay/hostgpu/device"

// attentionArgs are the decoded operands of op attention.
type attentionArgs struct {
	q, k, v        mat
	qs, ks, vs     []device.Scale // row-major [M,H], [S,G], [S,G]
	heads, kvHeads int
	seg            int
	mant           int64
	exp, eout      int
}

func refAttention(x attentionArgs) mat {
	dst := newMat(x.q.rows, x.q.cols)
	if x.q.rows == 0 {
		return dst
	}
	d := x.q.cols / x.heads
	kseg := x.k.rows / (x.q.rows / x.seg)
	for row := range x.q.rows {
		first := row / x.seg * kseg
		visible := kseg - x.seg + row%x.seg + 1
		for h := range x.heads {
			g := h * x.kvHeads / x.heads
			out := refAttentionHead(x, row, h, g, first, visible, d)
			copy(dst.row(row)[h*d:], out)
		}
	}
	return dst
}

func refAttentionHead(x attentionArgs, row, h, g, first, visible, d int) []int64 {
	mq, eq := load(x.qs[row*x.heads+h])
	c1 := cmul(mq, x.mant)
	t := make([]int64, visible)
	for k := range t {
		var dot int64
		for j := range d {
			dot += x.q.at(row, h*d+j) * x.k.at(first+k, g*d+j)
		}
		mk, ek := load(x.ks[(first+k)*x.kvHeads+g])
		t[k] = shr(mul(num(dot), num(cmul(c1, mk))), eq+x.exp+ek-77)
	}
	top, eps := t[0], 1024
	for k := range t {
		top = max(top, t[k])
		_, ev := load(x.vs[(first+k)*x.kvHeads+g])
		eps = min(eps, ev)
	}
	var total int64
	sums := make([]int64, d)
	for k := range t {
		diff := top - t[k]
		p := rhu(num(2*exp2(diff&32767)), int(min(diff>>15, 17))).Int64()
		total += p
		mv, ev := load(x.vs[(first+k)*x.kvHeads+g])
		var w int64
		if delta := ev - eps; delta <= 15 {
			w = rhu(num(p*min(65535, (mv+1<<14)>>15)), 16+delta).Int64()
		}
		for j := range sums {
			sums[j] += w * x.v.at(first+k, g*d+j)
		}
	}
	for j := range sums {
		mean := divNearest(mul(num(sums[j]), pow2(24)), num(total))
		sums[j] = shr(mean, 24+eps-x.eout)
	}
	return sums
}
