package cpudev

var attention256 = vectorAttention{
	dots: dotRows256, prepare: prepare256, rescale: rescale256,
	maximum: func(v []int32) int32 { return maximumRow(v, 8, maxAVX2) },
	weights: weights256, means: means256, meanRows: 2,
}

// columns256 is the columns that one pass over the values serves.
const columns256 = 16

// attend256 takes heads of whole groups of columns, as those of all models are.
func attend256(a *attention, s *scratch, b attentionBlock) {
	if a.dim%columns256 != 0 {
		attendPortable(a, s, b)
		return
	}
	attention256.attend(a, s, b)
}

func weights256(s *scratch, t []int32, i, padded int, top, eps int32) int64 {
	x := &s.vector
	if i == 0 {
		x.w16 = grown(x.w16, attendRowsVector*2*padded)
	}
	w := x.w16[i*2*padded:]
	return int64(weightsAVX2(&w[0], &w[padded], &t[0], &x.mu[0], &s.vs.e[0], padded/8, top, eps))
}

func means256(s *scratch, a *attention, b attentionBlock, g, i, rows, keys, padded int) {
	width := a.kvHeads * a.dim
	x := &s.vector
	x.sums = grown(x.sums, 2*2*columns256)
	w := x.w16[i*2*padded:]
	step := 0 // a single row is taken twice
	if rows == 2 {
		step = 2 * padded * 2
	}
	for c := 0; c < a.dim; c += columns256 {
		weighted2AVX2(&x.sums[0], &a.v[b.first*width+g*a.dim+c], width, keys, &w[0], padded*2, step)
		for r := range rows {
			out := a.dst[((b.row+i+r)*a.heads+b.head)*a.dim+c:][:columns256]
			hi := x.sums[r*2*columns256:]
			s.finish(out, hi, hi[columns256:], i+r, a.eout, 4, meanAVX2)
		}
	}
}
