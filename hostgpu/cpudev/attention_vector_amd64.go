package cpudev

import "slices"

// attendRowsVector is four passes of weighted3AVX512 or six of weighted2AVX2;
// the logits of as many rows take two passes of dot6x4AVX512.
const attendRowsVector = 12

// vectorScratch is what the vector kernels need beside the portable scratch.
type vectorScratch struct {
	q     []int8    // query rows of a head
	mu    []uint32  // mantissas of the value scales, 16 bits
	w     []byte    // AVX-512: for each row the high limbs of the weights, then the low limbs
	w16   []uint16  // AVX2: the same in 16 bits each
	sums  []int32   // of a group of columns: for each row the high sums, then the low sums
	out   [64]int32 // a group of columns narrower than the vectors
	total [attendRowsVector]int64
	eps   [attendRowsVector]int32 // least exponent of the value scales that each row sees
}

// vectorAttention is the two vector paths' own parts of attention.
type vectorAttention struct {
	// dots writes the products of the rows of left and n rows of b, ldb bytes apart.
	dots    func(dst []int32, ldc int, left leftRows, b []int8, ldb, m, n, k int)
	prepare func(a []int8, m, k int) leftRows
	rescale func(dst, acc []int32, ch channels, m int64, e int)
	maximum func(v []int32) int32
	// weights makes the limbs of row i's weights and returns the sum of the
	// probabilities; t has padded logits.
	weights func(s *scratch, t []int32, i, padded int, top, eps int32) int64
	// means computes the output of a few rows of the block from row i on.
	means    func(s *scratch, a *attention, b attentionBlock, g, i, rows, keys, padded int)
	meanRows int // how many
}

// attend computes the logits of a block of rows as a matrix product, their
// weights, and the weighted sums of the values a group of columns at a time.
func (x *vectorAttention) attend(a *attention, s *scratch, b attentionBlock) {
	g := b.head * a.kvHeads / a.heads
	s.loadScales(a, b.first, g)
	keys := b.visible + b.rows - 1 // that the last row sees
	padded := (keys + 15) &^ 15
	x.logits(a, s, b, g, keys, padded)
	for i := range b.rows {
		x.rowWeights(s, b, i, padded)
	}
	for i := 0; i < b.rows; i += x.meanRows {
		x.means(s, a, b, g, i, min(x.meanRows, b.rows-i), keys, padded)
	}
}

// loadScales reads the scales of a segment's keys and values, once for all
// blocks that use them.
func (s *scratch) loadScales(a *attention, first, g int) {
	id := first/a.kseg*a.kvHeads + g
	if s.cached == id {
		return
	}
	s.cached = id
	s.ks.load(a.ks[first*a.kvHeads+g:], a.kseg, a.kvHeads)
	s.vs.load(a.vs[first*a.kvHeads+g:], a.kseg, a.kvHeads)
	s.vector.mu = grown(s.vector.mu, len(s.vs.m))
	for k, m := range s.vs.m {
		s.vector.mu[k] = min(65535, (m+1<<14)>>15)
	}
}

// grown is p with n elements of any value.
func grown[T any](p []T, n int) []T { return slices.Grow(p[:0], n)[:n] }

// logits fills t: row i of the block at t[i*padded:].
func (x *vectorAttention) logits(a *attention, s *scratch, b attentionBlock, g, keys, padded int) {
	width := a.kvHeads * a.dim
	q := grown(s.vector.q, b.rows*a.dim)
	s.vector.q = q
	for i := range b.rows {
		copy(q[i*a.dim:(i+1)*a.dim], a.q[((b.row+i)*a.heads+b.head)*a.dim:])
	}
	x.dots(s.t, padded, x.prepare(q, b.rows, a.dim), a.k[b.first*width+g*a.dim:], width, b.rows, keys, a.dim)
	for i := range b.rows {
		mq, eq := load(a.qs[(b.row+i)*a.heads+b.head])
		t := s.t[i*padded:][:b.visible+i]
		x.rescale(t, t, s.ks, cmul(mq, a.mant), eq+a.exp-77)
	}
}

// rowWeights makes the weights of row i. Keys that the row does not see get a
// logit whose probability is 0.
func (x *vectorAttention) rowWeights(s *scratch, b attentionBlock, i, padded int) {
	visible := b.visible + i
	t := s.t[i*padded:][:padded]
	top := x.maximum(t[:visible])
	const farBelow = 32 << 15
	for k := visible; k < padded; k++ {
		t[k] = int32(uint32(top) - farBelow)
	}
	var eps int32
	if i > 0 {
		eps = min(s.vector.eps[i-1], s.vs.e[visible-1])
	} else {
		eps = slices.Min(s.vs.e[:visible])
	}
	s.vector.eps[i] = eps
	s.vector.total[i] = x.weights(s, t, i, padded, top, eps)
}

// maximumRow is the largest of v: with whole vectors of lanes by kernel.
func maximumRow(v []int32, lanes int, kernel func(v *int32, n int) int32) int32 {
	top := v[0]
	whole := len(v) / lanes
	if whole > 0 {
		top = kernel(&v[0], whole)
	}
	for _, x := range v[whole*lanes:] {
		top = max(top, x)
	}
	return top
}

// finish writes a row's means from its sums. mean is the kernel for columns
// that are a multiple of lanes and a shift in [0, 62].
func (s *scratch) finish(dst, hi, lo []int32, row int, eout, lanes int, mean func(dst, hi, lo *int32, n int, total, half, s int64)) {
	x := &s.vector
	shift := 24 + int(x.eps[row]) - eout
	if shift < 0 || shift > 62 {
		for j := range dst {
			dst[j] = shr(divNearest(int64(hi[j])<<8+int64(lo[j]), uint64(x.total[row])), shift)
		}
		return
	}
	out := dst
	if len(dst)%lanes != 0 {
		out = x.out[:(len(dst)+lanes-1)/lanes*lanes]
	}
	mean(&out[0], &hi[0], &lo[0], len(out)/lanes, x.total[row], half(uint(shift)), int64(shift))
	if len(dst)%lanes != 0 {
		copy(dst, out)
	}
}
