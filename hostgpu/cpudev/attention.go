package cpudev

import "github.com/assaynet/assay/hostgpu/device"

// attention is one call, decoded.
type attention struct {
	dst        []int32
	q, k, v    []int8
	qs, ks, vs []device.Scale
	heads      int // of queries
	kvHeads    int
	dim        int // columns of a head
	rows       int // of q
	seg, kseg  int
	mant       int64
	exp, eout  int
}

func newAttention(t *device.Task) *attention {
	x, d := t.Tensors, &t.Dims
	a := &attention{
		dst: s32Of(x[0]), q: s8Of(x[1]), qs: scalesOf(x[2]),
		k: s8Of(x[3]), ks: scalesOf(x[4]), v: s8Of(x[5]), vs: scalesOf(x[6]),
		heads: d.Get('H'), kvHeads: d.Get('G'), dim: d.Get('C') / d.Get('H'), rows: d.Get('M'),
		seg: int(t.Imms[0]), mant: t.Imms[1], exp: int(t.Imms[2]), eout: int(t.Imms[3]),
	}
	a.kseg = d.Get('S') / (a.rows / a.seg)
	return a
}

// attentionBlock is the query rows [row, row+rows) of a segment, for one head.
type attentionBlock struct {
	head      int
	row, rows int // in q
	first     int // first key of the segment
	visible   int // keys that the first of the rows sees; the next sees one more
}

// attention splits the work into blocks of query rows of one head.
func (e *engine) attention(a *attention) {
	perSegment := (a.seg + e.k.attendRows - 1) / e.k.attendRows
	size := (a.seg + perSegment - 1) / perSegment
	perSegment = (a.seg + size - 1) / size // fewer blocks may do at this size
	blocks := a.rows / a.seg * perSegment
	work := size * a.kseg * (8 + a.dim/8)
	e.parallel(blocks*a.heads, max(1, min(blocks*a.heads/(8*e.threads), 1+minWork/work)), work, func(lo, hi int) {
		s := newScratch(a, size)
		for p := lo; p < hi; p++ {
			// Heads outermost: neighbours use the same keys.
			h, b := p/blocks, p%blocks
			seg, at := b/perSegment, b%perSegment*size
			e.k.attend(a, s, attentionBlock{
				head: h, row: seg*a.seg + at, rows: min(size, a.seg-at),
				first: seg * a.kseg, visible: a.kseg - a.seg + at + 1,
			})
		}
	})
}

// scratch is the working memory of one goroutine. Slices that vectors run over
// are padded.
type scratch struct {
	t      []int32 // logits: rows × keys
	sums   []int64
	ks, vs channels // scales of a segment's keys, for one key head
	cached int      // the segment and head that ks and vs hold, -1 for none
	vector vectorScratch
}

func newScratch(a *attention, rows int) *scratch {
	padded := (a.kseg + 15) &^ 15
	return &scratch{
		t: make([]int32, rows*padded), sums: make([]int64, a.dim),
		ks: makeChannels(padded), vs: makeChannels(padded), cached: -1,
	}
}

func attendPortable(a *attention, s *scratch, b attentionBlock) {
	for i := range b.rows {
		a.queryRow(s, b.row+i, b.head, b.first, b.visible+i)
	}
}

// queryRow computes one query row of one head.
func (a *attention) queryRow(s *scratch, row, h, first, visible int) {
	g := h * a.kvHeads / a.heads
	width := a.kvHeads * a.dim
	q := a.q[(row*a.heads+h)*a.dim:][:a.dim]
	mq, eq := load(a.qs[row*a.heads+h])
	c1, shift := cmul(mq, a.mant), eq+a.exp-77

	t := s.t[:visible]
	top, eps := int32(-1<<31), 1024
	for k := range t {
		key := first + k
		mk, ek := load(a.ks[key*a.kvHeads+g])
		dot := dotPortable(q, a.k[key*width+g*a.dim:][:a.dim])
		t[k] = shr(int64(dot)*cmul(c1, mk), shift+ek)
		top = max(top, t[k])
		_, ev := load(a.vs[key*a.kvHeads+g])
		eps = min(eps, ev)
	}
	clear(s.sums)
	var total uint64
	for k, x := range t {
		p := probability(uint32(top) - uint32(x))
		total += uint64(p)
		key := first + k
		w := int64(weigh(p, a.vs[key*a.kvHeads+g], eps))
		if w == 0 {
			continue
		}
		v := a.v[key*width+g*a.dim:][:len(s.sums)]
		for j := range s.sums {
			s.sums[j] += w * int64(v[j])
		}
	}
	out := a.dst[(row*a.heads+h)*a.dim:][:a.dim]
	for j, n := range s.sums {
		out[j] = shr(divNearest(n, total), 24+eps-a.eout)
	}
}

// probability is p of the spec: 2^-d as u16, d in Q15.
func probability(d uint32) uint32 {
	n := min(d>>15, 17)
	return (uint32(exp2(int32(d&32767)))<<1 + 1<<n>>1) >> n
}

// weigh folds the value's scale into the probability, relative to exponent eps.
func weigh(p uint32, vs device.Scale, eps int) uint32 {
	m, e := load(vs)
	delta := e - eps
	if delta > 15 {
		return 0
	}
	mu := uint32(min(65535, (m+1<<14)>>15))
	return (p*mu>>(15+uint(delta)) + 1) >> 1
}

// divNearest is DIV(n·2^24, total).
func divNearest(n int64, total uint64) int64 {
	if n < 0 {
		return -int64((uint64(-n)<<24 + total/2) / total)
	}
	return int64((uint64(n)<<24 + total/2) / total)
}
