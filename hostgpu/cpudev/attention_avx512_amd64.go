package cpudev

import "slices"

// attendRows512 is three passes of weighted3AVX512; its rows' logits take two
// passes of dot6x4AVX512.
const attendRows512 = 12

// columns512 is the columns that one pass over the values serves.
const columns512 = 64

// vectorScratch is what the vector kernels need beside the portable scratch.
type vectorScratch struct {
	q     []int8    // query rows of a head, padded
	w     []byte    // for each row: high limbs of the weights, then low limbs
	mu    []uint32  // mantissas of the value scales, 16 bits
	sums  []int32   // of 64 columns: for each row 64 high sums, 64 low sums
	tail  []int8    // the last rows of v, padded to four
	total [12]int64 // sum of the probabilities of each row
	eps   [12]int32 // least exponent of the value scales that each row sees
}

// grow makes the buffers large enough for a call.
func (v *vectorScratch) grow(rows, dim, keys int) {
	v.q = slices.Grow(v.q[:0], rows*dim)[:rows*dim]
	v.w = slices.Grow(v.w[:0], rows*2*keys)[:rows*2*keys]
	v.mu = slices.Grow(v.mu[:0], keys)[:keys]
	v.sums = slices.Grow(v.sums[:0], 3*2*columns512)[:3*2*columns512]
	v.tail = slices.Grow(v.tail[:0], 4*columns512)[:4*columns512]
}

// attend512 computes the logits of a block of rows as a matrix product, their
// weights, and the weighted sums of the values 64 columns at a time.
func attend512(a *attention, s *scratch, b attentionBlock) {
	if a.dim%columns512 != 0 {
		attendPortable(a, s, b)
		return
	}
	g := b.head * a.kvHeads / a.heads
	s.loadScales(a, b.first, g)
	keys := b.visible + b.rows - 1 // that the last row sees
	padded := (keys + 15) &^ 15
	s.vector.grow(b.rows, a.dim, padded)
	s.logits(a, b, g, keys, padded)
	for i := range b.rows {
		s.weights(a, b, i, padded)
	}
	for i := 0; i < b.rows; i += 3 {
		s.means(a, b, g, i, min(3, b.rows-i), keys, padded)
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
	s.vector.mu = slices.Grow(s.vector.mu[:0], len(s.vs.m))[:len(s.vs.m)]
	for k, m := range s.vs.m {
		s.vector.mu[k] = min(65535, (m+1<<14)>>15)
	}
}

// logits fills t: row i of the block at t[i*padded:].
func (s *scratch) logits(a *attention, b attentionBlock, g, keys, padded int) {
	width := a.kvHeads * a.dim
	q := s.vector.q
	for i := range b.rows {
		copy(q[i*a.dim:(i+1)*a.dim], a.q[((b.row+i)*a.heads+b.head)*a.dim:])
	}
	left := prepare512(q, b.rows, a.dim)
	dotRows512(s.t, padded, left, a.k[b.first*width+g*a.dim:], width, b.rows, keys, a.dim)
	for i := range b.rows {
		mq, eq := load(a.qs[(b.row+i)*a.heads+b.head])
		t := s.t[i*padded:][:b.visible+i]
		rescale512(t, t, s.ks, cmul(mq, a.mant), eq+a.exp-77)
	}
}

// weights makes the two limbs of row i's weights. Keys that the row does not
// see get a logit whose probability is 0.
func (s *scratch) weights(a *attention, b attentionBlock, i, padded int) {
	visible := b.visible + i
	t := s.t[i*padded:][:padded]
	top := t[0]
	whole := visible / 16
	if whole > 0 {
		top = maxAVX512(&t[0], whole)
	}
	for _, x := range t[whole*16 : visible] {
		top = max(top, x)
	}
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
	w := s.vector.w[i*2*padded:]
	s.vector.total[i] = int64(weightsAVX512(&w[0], &w[padded], &t[0], &s.vector.mu[0], &s.vs.e[0], padded/16, top, eps))
}

var weighted512 = []func(sums *int32, v *int8, ld, quads int, w *byte, limb int){
	weighted1AVX512, weighted2AVX512, weighted3AVX512,
}

// means computes the output of rows [i, i+rows) of the block.
func (s *scratch) means(a *attention, b attentionBlock, g, i, rows, keys, padded int) {
	width := a.kvHeads * a.dim
	x := &s.vector
	quads, rest := keys/4, keys%4
	w := x.w[i*2*padded:]
	for c := 0; c < a.dim; c += columns512 {
		v := a.v[b.first*width+g*a.dim+c:]
		clear(x.sums)
		if quads > 0 {
			weighted512[rows-1](&x.sums[0], &v[0], width, quads, &w[0], padded)
		}
		if rest > 0 {
			s.addTail(v, width, quads*4, rest, w, rows, padded)
		}
		for r := range rows {
			out := a.dst[((b.row+i+r)*a.heads+b.head)*a.dim+c:][:columns512]
			hi, lo := x.sums[r*2*columns512:], x.sums[r*2*columns512+columns512:]
			shift := 24 + int(x.eps[i+r]) - a.eout
			if shift >= 0 && shift <= 62 {
				meanAVX512(&out[0], &hi[0], &lo[0], columns512/8, x.total[i+r], half(uint(shift)), int64(shift))
				continue
			}
			for j := range out {
				out[j] = shr(divNearest(int64(hi[j])<<8+int64(lo[j]), uint64(x.total[i+r])), shift)
			}
		}
	}
}

// addTail adds the last keys, fewer than four.
func (s *scratch) addTail(v []int8, width, from, rest int, w []byte, rows, padded int) {
	for k := from; k < from+rest; k++ {
		row := v[k*width:][:columns512]
		for r := range rows {
			hi, lo := int32(w[r*2*padded+k]), int32(w[r*2*padded+padded+k])
			sums := s.vector.sums[r*2*columns512:][:2*columns512]
			for j, y := range row {
				sums[j] += hi * int32(y)
				sums[columns512+j] += lo * int32(y)
			}
		}
	}
}
