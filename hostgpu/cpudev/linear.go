package cpudev

import (
	"slices"
	"sync"

	"github.com/assaynet/assay/hostgpu/device"
)

// gemmCols is the width of a piece of the output that one goroutine takes.
const gemmCols = 64

// rightRows is a right operand: rows, or panels where gemm takes panels.
type rightRows struct {
	data   []int8
	packed bool
	gemm   func(dst sums, a leftRows, b []int8, m, n, k int)
}

func (e *engine) rightOf(t device.Tensor) rightRows {
	r := rightRows{data: s8Of(t), gemm: e.k.gemm}
	if m, ok := t.Mem.(*memory); ok && m.packed != (packing{}) {
		r.packed, r.gemm = true, e.k.gemmPacked
	}
	return r
}

func (e *engine) gemm(dst []int32, a []int8, b rightRows, m, n, k int) {
	if k == 0 {
		clear(dst)
		return
	}
	left := e.k.prepare(a, m, k)
	out := sums{dst, n, 4*m*n >= pastBytes}
	e.parallel(n, e.gemmGrain(n), 1+m*k/128, func(lo, hi int) {
		tiles(m, b.rows(m, k), func(i, rows int) {
			b.gemm(out.from(i, lo), left.from(i), b.data[lo*k:], rows, hi-lo, k)
		})
	})
}

// pastBytes is the size of a result of which nothing would be left in a
// second-level cache, of 1 to 2 MiB, when it is read.
const pastBytes = 4 << 20

// leftBytes is how much of the left operand stays in the second-level cache
// while panels pass by.
const leftBytes = 384 << 10

// rows is how many rows of m are best multiplied at a time: not so few that
// reading panels again shows, and all where each time would pack them again.
func (r rightRows) rows(m, k int) int {
	if !r.packed {
		return m
	}
	return max(48, leftBytes/k/6*6)
}

// gemmGrain cuts the columns so that every goroutine gets a few pieces: each
// passes over the left operand.
func (e *engine) gemmGrain(n int) int {
	grain := min(n/(4*e.threads), 512)
	return max(gemmCols, grain/gemmCols*gemmCols)
}

// tiles cuts m rows into the fewest tiles of at most most rows, evenly.
func tiles(m, most int, f func(i, rows int)) {
	count := (m + most - 1) / most
	for t := range count {
		i := t * m / count
		f(i, (t+1)*m/count-i)
	}
}

// gemmPortable takes four columns at a time, so that each load of a serves four.
func gemmPortable(dst sums, a leftRows, b []int8, m, n, k int) {
	for i := range m {
		x := a.data[i*a.ld:][:k]
		out := dst.data[i*dst.ld:]
		j := 0
		for ; j+4 <= n; j += 4 {
			b0, b1 := b[j*k:(j+1)*k], b[(j+1)*k:(j+2)*k]
			b2, b3 := b[(j+2)*k:(j+3)*k], b[(j+3)*k:(j+4)*k]
			b0, b1, b2, b3 = b0[:len(x)], b1[:len(x)], b2[:len(x)], b3[:len(x)]
			var s0, s1, s2, s3 int32
			for l, v := range x {
				w := int32(v)
				s0 += w * int32(b0[l])
				s1 += w * int32(b1[l])
				s2 += w * int32(b2[l])
				s3 += w * int32(b3[l])
			}
			out[j], out[j+1], out[j+2], out[j+3] = s0, s1, s2, s3
		}
		for ; j < n; j++ {
			out[j] = dotPortable(x, b[j*k:(j+1)*k])
		}
	}
}

func dotPortable(x, y []int8) (s int32) {
	y = y[:len(x)]
	for l, v := range x {
		s += int32(v) * int32(y[l])
	}
	return s
}

// channels are scales as loaded, one after another in each slice.
type channels struct {
	m []uint32
	e []int32
}

// loadChannels loads n scales, stride apart from the first.
func loadChannels(s []device.Scale, n, stride int) channels {
	c := makeChannels(n)
	c.load(s, n, stride)
	return c
}

func makeChannels(n int) channels { return channels{make([]uint32, n), make([]int32, n)} }

func (c channels) load(s []device.Scale, n, stride int) {
	for i := range n {
		m, e := load(s[i*stride])
		c.m[i], c.e[i] = uint32(m), int32(e)
	}
}

func (c channels) slice(lo, hi int) channels { return channels{c.m[lo:hi], c.e[lo:hi]} }

func (e *engine) rescale(dst, acc []int32, row, chans []device.Scale, eout int) {
	n := len(chans)
	ch := loadChannels(chans, n, 1)
	e.rows(len(row), 4*n, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			m, exp := load(row[i])
			e.k.rescaleRow(dst[i*n:(i+1)*n], acc[i*n:(i+1)*n], ch, m, exp-eout)
		}
	})
}

// rescaleRow is SHR(acc·CMUL(m, chan), e + chan's exponent).
func rescaleRow(dst, acc []int32, ch channels, m int64, e int) {
	acc, cm, ce := acc[:len(dst)], ch.m[:len(dst)], ch.e[:len(dst)]
	for j := range dst {
		dst[j] = shr(int64(acc[j])*cmul(int64(cm[j]), m), int(ce[j])+e)
	}
}

type linearArgs struct {
	dst            []int32
	a              []int8
	arow           []device.Scale
	w              rightRows
	wchan          []device.Scale
	bias, residual []int32 // nil if absent
	eout, m, n, k  int
}

// accPool holds accumulators of pieces of linear.
var accPool = sync.Pool{New: func() any { return new([]int32) }}

// linear computes a piece of columns of the accumulator, then finishes it
// while it is in the cache.
func (e *engine) linear(x linearArgs) {
	ch := loadChannels(x.wchan, x.n, 1)
	var left leftRows
	if x.k > 0 {
		left = e.k.prepare(x.a, x.m, x.k)
	}
	e.parallel(x.n, e.gemmGrain(x.n), 1+x.m*(8+x.k/128), func(from, to int) {
		buf := accPool.Get().(*[]int32)
		defer accPool.Put(buf)
		tiles(x.m, x.w.rows(x.m, x.k), func(i, rows int) {
			width := linearWidth(rows)
			for lo := from; lo < to; lo += width {
				hi := min(to, lo+width)
				acc := slices.Grow((*buf)[:0], rows*(hi-lo))[:rows*(hi-lo)]
				*buf = acc
				if x.k == 0 {
					clear(acc)
				} else {
					x.w.gemm(sums{data: acc, ld: hi - lo}, left.from(i), x.w.data[lo*x.k:], rows, hi-lo, x.k)
				}
				e.finish(&x, acc, ch, i, rows, lo, hi)
			}
		})
	})
}

// linearWidth is how many columns of m rows are multiplied before they are
// finished: at most 128 KiB of accumulators, but for very many rows.
func linearWidth(m int) int {
	return max(gemmCols, min(512, (32<<10)/max(1, m)&^(gemmCols-1)))
}

// finish makes columns [lo, hi) of rows from first on of their accumulators.
func (e *engine) finish(x *linearArgs, acc []int32, ch channels, first, rows, lo, hi int) {
	w := hi - lo
	for i := first; i < first+rows; i++ {
		row := acc[(i-first)*w : (i-first+1)*w]
		m, exp := load(x.arow[i])
		out := x.dst[i*x.n+lo : i*x.n+hi]
		if x.residual == nil {
			e.k.rescaleRow(out, row, ch.slice(lo, hi), m, exp-x.eout)
			if x.bias != nil {
				e.k.addRow(out, out, x.bias[lo:hi])
			}
			continue
		}
		// out may be the residual.
		e.k.rescaleRow(row, row, ch.slice(lo, hi), m, exp-x.eout)
		if x.bias != nil {
			e.k.addRow(row, row, x.bias[lo:hi])
		}
		e.k.addRow(out, row, x.residual[i*x.n+lo:i*x.n+hi])
	}
}

// addRow is the saturating sum.
func addRow(dst, a, b []int32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for j := range dst {
		dst[j] = sat32(int64(a[j]) + int64(b[j]))
	}
}

// addPiece is the number of elements that one goroutine adds at a time.
const addPiece = 1 << 14

// add adds b to a; b is as large as a, or one row that repeats.
func (e *engine) add(dst, a, b []int32) {
	if len(b) == len(a) {
		e.parallel(len(a), addPiece, 1, func(lo, hi int) { e.k.addRow(dst[lo:hi], a[lo:hi], b[lo:hi]) })
		return
	}
	n := len(b)
	e.rows(len(dst)/n, n, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			e.k.addRow(dst[i*n:(i+1)*n], a[i*n:(i+1)*n], b)
		}
	})
}
