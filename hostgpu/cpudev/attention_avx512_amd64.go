package cpudev

var attention512 = vectorAttention{
	dots: dotRows512, prepare: prepare512, rescale: rescale512,
	maximum: func(v []int32) int32 { return maximumRow(v, 16, maxAVX512) },
	weights: weights512, means: means512, meanRows: 3,
}

// columns512 is the columns that one pass over the values serves.
const columns512 = 64

func weights512(s *scratch, t []int32, i, padded int, top, eps int32) int64 {
	x := &s.vector
	if i == 0 {
		x.w = grown(x.w, attendRowsVector*2*padded)
	}
	w := x.w[i*2*padded:]
	return int64(weightsAVX512(&w[0], &w[padded], &t[0], &x.mu[0], &s.vs.e[0], padded/16, top, eps))
}

var weighted512 = []func(sums *int32, v *int8, ld, quads int, w *byte, limb int, columns uint64){
	weighted1AVX512, weighted2AVX512, weighted3AVX512,
}

func means512(s *scratch, a *attention, b attentionBlock, g, i, rows, keys, padded int) {
	width := a.kvHeads * a.dim
	x := &s.vector
	x.sums = grown(x.sums, 3*2*columns512)
	quads, rest := keys/4, keys%4
	w := x.w[i*2*padded:]
	for c := 0; c < a.dim; c += columns512 {
		cols := min(columns512, a.dim-c)
		v := a.v[b.first*width+g*a.dim+c:]
		if quads > 0 {
			weighted512[rows-1](&x.sums[0], &v[0], width, quads, &w[0], padded, ^uint64(0)>>(columns512-cols))
		} else {
			clear(x.sums)
		}
		if rest > 0 {
			s.addTail(v, width, cols, quads*4, rest, w, rows, padded)
		}
		for r := range rows {
			out := a.dst[((b.row+i+r)*a.heads+b.head)*a.dim+c:][:cols]
			hi := x.sums[r*2*columns512:]
			s.finish(out, hi, hi[columns512:], i+r, a.eout, 8, meanAVX512)
		}
	}
}

// addTail adds the last keys, fewer than four.
func (s *scratch) addTail(v []int8, width, cols, from, rest int, w []byte, rows, padded int) {
	for k := from; k < from+rest; k++ {
		row := v[k*width:][:cols]
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
