package main

import "github.com/assaynet/assay/sdk/guest"

const (
	q16  = 16
	eq16 = q16 + 31 // eout of an op whose result is Q16

	// chunk is the most positions of one prefill pass: enough rows to keep a
	// device busy, few enough that activations stay small beside the weights.
	chunk = 128
)

// Views of the activation buffers for the rows at hand. Names ending in H see
// the same memory with one row a head.
const (
	vX      = iota // s32[M, width]: residual stream
	vA8            // s8[M, width]
	vAScale        // scale[M, 1]
	vQ             // s32[M, heads·headDim]: queries, then attention
	vK             // s32[M, kvHeads·headDim]
	vV             // s32[M, kvHeads·headDim]
	vQ8            // s8[M, heads·headDim]
	vQScale        // scale[M, heads]
	vGate          // s32[M, ffn]
	vUp            // s32[M, ffn]
	vH8            // s8[M, ffn]
	vLogits        // s32[M, vocab]
	baseCount
	vQH       = iota - 1
	vKH       = iota - 1
	vVH       = iota - 1
	vQ8H      = iota - 1
	vQScaleH  = iota - 1
	viewCount = iota - 1
)

// runner is one request in progress.
type runner struct {
	c      config
	m      model
	req    request
	seed   guest.Tensor // u8[1,32]
	tokens guest.Tensor // s32[positions+1, 1]: prompt, then answer
	pos    guest.Tensor // s32[positions, 1]: 0, 1, 2, ...
	rows   int
	base   [baseCount]guest.Tensor
	v      [viewCount]guest.Tensor
}

// view describes buffer i: which memory, rows a position, columns, type.
func (r *runner) view(i int) (base, rows, cols int, dt guest.DType) {
	c := &r.c
	qw, kw := c.heads*c.headDim, c.kvHeads*c.headDim
	switch i {
	case vX:
		return vX, 1, c.width, guest.S32
	case vA8:
		return vA8, 1, c.width, guest.S8
	case vAScale:
		return vAScale, 1, 1, guest.Scale
	case vQ:
		return vQ, 1, qw, guest.S32
	case vK:
		return vK, 1, kw, guest.S32
	case vV:
		return vV, 1, kw, guest.S32
	case vQ8:
		return vQ8, 1, qw, guest.S8
	case vQScale:
		return vQScale, 1, c.heads, guest.Scale
	case vGate:
		return vGate, 1, c.ffn, guest.S32
	case vUp:
		return vUp, 1, c.ffn, guest.S32
	case vH8:
		return vH8, 1, c.ffn, guest.S8
	case vLogits:
		return vLogits, 1, c.vocab, guest.S32
	case vQH:
		return vQ, c.heads, c.headDim, guest.S32
	case vKH:
		return vK, c.kvHeads, c.headDim, guest.S32
	case vVH:
		return vV, c.kvHeads, c.headDim, guest.S32
	case vQ8H:
		return vQ8, c.heads, c.headDim, guest.S8
	default: // vQScaleH
		return vQScale, c.heads, 1, guest.Scale
	}
}

// alloc makes the buffers. Logits are for logitRows rows only: a prefill needs none.
func (r *runner) alloc(rows, logitRows int) {
	for i := range r.base {
		_, per, cols, dt := r.view(i)
		n := rows
		if i == vLogits {
			n = logitRows
		}
		r.base[i] = guest.Alloc(dt, per*n, cols)
	}
}

// resize makes views for that many rows.
func (r *runner) resize(rows int, logits bool) {
	if rows == r.rows && (!logits || r.v[vLogits] != 0) {
		return
	}
	for i := range r.v {
		r.v[i].Free()
		r.v[i] = 0
		if i == vLogits && !logits {
			continue
		}
		base, per, cols, _ := r.view(i)
		r.v[i] = r.base[base].View(0, per*rows, cols)
	}
	r.rows = rows
}

// forward runs positions pos..pos+rows-1, whose tokens are known, and leaves
// their logits in vLogits if asked.
func (r *runner) forward(pos, rows int, logits bool) {
	r.resize(rows, logits)
	v := &r.v
	ids, at := r.tokens.View(pos, rows, 1), r.pos.View(pos, rows, 1)
	guest.Embed(v[vX], r.m.embed.w, r.m.embed.scale, ids, r.c.frac)
	for i := 0; i < r.c.layers; i++ {
		r.attention(&r.m.layers[i], pos, at)
		r.feedForward(&r.m.layers[i])
	}
	if logits {
		guest.NormQuant(v[vA8], v[vAScale], v[vX], r.m.norm, r.c.epsK)
		r.m.head.run(v[vLogits], v[vA8], v[vAScale], 0, eq16)
	}
	ids.Free()
	at.Free()
}

func (l *linear) run(dst, a, scale, residual guest.Tensor, eout int32) {
	guest.Linear(dst, a, scale, l.w, l.scale, l.bias, residual, eout)
}

func (r *runner) attention(l *layer, pos int, at guest.Tensor) {
	c, v := &r.c, &r.v
	guest.NormQuant(v[vA8], v[vAScale], v[vX], l.attNorm, c.epsK)
	l.q.run(v[vQ], v[vA8], v[vAScale], 0, eq16)
	l.k.run(v[vK], v[vA8], v[vAScale], 0, eq16)
	l.v.run(v[vV], v[vA8], v[vAScale], 0, eq16)
	if l.qNorm != 0 {
		guest.Norm(v[vQH], v[vQH], l.qNorm, c.epsHead)
	}
	if l.kNorm != 0 {
		guest.Norm(v[vKH], v[vKH], l.kNorm, c.epsHead)
	}
	guest.Rope(v[vQ], v[vQ], r.m.rope, at)
	guest.Rope(v[vK], v[vK], r.m.rope, at)
	guest.Quant(v[vQ8H], v[vQScaleH], v[vQH], q16)
	r.store(l.cacheK, l.cacheKScale, v[vKH], pos)
	r.store(l.cacheV, l.cacheVScale, v[vVH], pos)

	keys, e := pos+r.rows, c.kvHeads*c.headDim
	k, ks := l.cacheK.View(0, keys, e), l.cacheKScale.View(0, keys, c.kvHeads)
	w, ws := l.cacheV.View(0, keys, e), l.cacheVScale.View(0, keys, c.kvHeads)
	guest.Attention(v[vQ], v[vQ8], v[vQScale], k, ks, w, ws, int32(r.rows), c.attMant, c.attExp, eq16)
	k.Free()
	ks.Free()
	w.Free()
	ws.Free()

	guest.Quant(v[vQ8], v[vAScale], v[vQ], q16)
	l.o.run(v[vX], v[vQ8], v[vAScale], v[vX], c.frac+31)
}

// store quantizes keys or values straight into their rows of the cache.
func (r *runner) store(cache, scales, src guest.Tensor, pos int) {
	n := r.rows * r.c.kvHeads
	q, s := cache.View(pos, n, r.c.headDim), scales.View(pos, n, 1)
	guest.Quant(q, s, src, q16)
	q.Free()
	s.Free()
}

func (r *runner) feedForward(l *layer) {
	c, v := &r.c, &r.v
	guest.NormQuant(v[vA8], v[vAScale], v[vX], l.ffnNorm, c.epsK)
	l.gate.run(v[vGate], v[vA8], v[vAScale], 0, eq16)
	l.up.run(v[vUp], v[vA8], v[vAScale], 0, eq16)
	guest.SiluMul(v[vGate], v[vGate], v[vUp])
	guest.Quant(v[vH8], v[vAScale], v[vGate], q16)
	l.down.run(v[vX], v[vH8], v[vAScale], v[vX], c.frac+31)
}

// sample draws token number step of the answer from a row of logits. The
// repetition penalty counts prompt and answer so far: positions 0..at-1.
func (r *runner) sample(dst guest.Tensor, row, at, step int) {
	logits := r.v[vLogits].View(row, 1, r.c.vocab)
	var history guest.Tensor
	if r.req.penalty != 1<<16 {
		history = r.tokens.View(0, at, 1)
	}
	guest.Sample(dst, logits, history, r.seed, int64(step), r.req.temperature, r.req.topK, r.req.topP, r.req.penalty)
	logits.Free()
	history.Free()
}
