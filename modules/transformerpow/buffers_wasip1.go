package main

import (
	"github.com/assaynet/assay/modules/transformerpow/fixed"
	"github.com/assaynet/assay/sdk/guest"
)

// Views of the activation buffers, for the batch at hand. Names ending in H
// see the same memory with one row a head.
const (
	vX        = iota // s32[M, width]: residual stream
	vA8              // s8[M, width]: input, then the input of the next linear
	vAScale          // scale[M, 1]
	vQ               // s32[M, width]: queries, then scratch
	vK               // s32[M, kv]
	vV               // s32[M, kv]
	vQ8              // s8[M, width]
	vK8              // s8[M, kv]
	vV8              // s8[M, kv]
	vQScale          // scale[M, heads]
	vKScale          // scale[M, kvheads]
	vVScale          // scale[M, kvheads]
	vGate            // s32[M, ffn]
	vUp              // s32[M, ffn]
	vH8              // s8[M, ffn]
	vRow             // s32[M, 1]: 0, 1, 2, ...
	vPos             // s32[M, 1]: position within the unit
	vInScale         // scale[M, 1]: of the expanded input
	vRepeat          // s32[M·heads, 1]: key head of each query head; grouped queries only
	baseCount        // from here on other shapes of the same memory
	vQH       = iota - 1
	vKH       = iota - 1
	vVH       = iota - 1
	vQ8H      = iota - 1
	vK8H      = iota - 1
	vV8H      = iota - 1
	vQScaleH  = iota - 1
	vKScaleH  = iota - 1
	vVScaleH  = iota - 1
	viewCount = iota - 1
)

// maxPass bounds the units of a pass: shape.Shape.Pass with the fewest tokens.
const maxPass = 2048

// buffers are the activations. base and the views of single units hold
// capacity units, v are the views for the current batch.
type buffers struct {
	capacity, batch int
	base            [baseCount]guest.Tensor
	v               [viewCount]guest.Tensor
	unitIn, unitX   [maxPass]guest.Tensor // rows of each unit in vA8 and vX
}

// form of a view: rows a token and columns.
type form struct {
	base, rows, cols int
	dt               guest.DType
}

func forms() [viewCount]form {
	d, e, f := int(dims.Width), int(dims.KVWidth()), int(dims.FFN)
	h, g, hd := int(dims.Heads), int(dims.KVHeads), int(dims.HeadDim())
	out := [viewCount]form{
		vX: {vX, 1, d, guest.S32}, vA8: {vA8, 1, d, guest.S8}, vAScale: {vAScale, 1, 1, guest.Scale},
		vQ: {vQ, 1, d, guest.S32}, vK: {vK, 1, e, guest.S32}, vV: {vV, 1, e, guest.S32},
		vQ8: {vQ8, 1, d, guest.S8}, vK8: {vK8, 1, e, guest.S8}, vV8: {vV8, 1, e, guest.S8},
		vQScale: {vQScale, 1, h, guest.Scale}, vKScale: {vKScale, 1, g, guest.Scale}, vVScale: {vVScale, 1, g, guest.Scale},
		vGate: {vGate, 1, f, guest.S32}, vUp: {vUp, 1, f, guest.S32}, vH8: {vH8, 1, f, guest.S8},
		vRow: {vRow, 1, 1, guest.S32}, vPos: {vPos, 1, 1, guest.S32}, vInScale: {vInScale, 1, 1, guest.Scale},
		vQH: {vQ, h, hd, guest.S32}, vKH: {vK, g, hd, guest.S32}, vVH: {vV, g, hd, guest.S32},
		vQ8H: {vQ8, h, hd, guest.S8}, vK8H: {vK8, g, hd, guest.S8}, vV8H: {vV8, g, hd, guest.S8},
		vQScaleH: {vQScale, h, 1, guest.Scale}, vKScaleH: {vKScale, g, 1, guest.Scale}, vVScaleH: {vVScale, g, 1, guest.Scale},
	}
	if g != h {
		out[vRepeat] = form{vRepeat, h, 1, guest.S32}
	}
	return out
}

// resize makes views for a batch, and room where there is too little.
func (b *buffers) resize(batch int) {
	if batch == b.batch {
		return
	}
	if batch > b.capacity {
		b.grow(batch)
		return
	}
	b.release()
	b.batch = batch
	tokens := int(dims.Tokens)
	for i, f := range forms() {
		if f.rows != 0 {
			b.v[i] = b.base[f.base].View(0, f.rows*tokens*batch, f.cols)
		}
	}
}

func (b *buffers) release() {
	for i := range b.v {
		b.v[i].Free()
		b.v[i] = 0
	}
	b.batch = 0
}

// grow replaces the buffers by ones for capacity units. Its price is in
// proportion to the batch that asked for it.
func (b *buffers) grow(capacity int) {
	b.release()
	for u := 0; u < b.capacity; u++ {
		b.unitIn[u].Free()
		b.unitX[u].Free()
	}
	for i := range b.base {
		b.base[i].Free()
	}
	tokens, width := int(dims.Tokens), int(dims.Width)
	rows := capacity * tokens
	for i, f := range forms() {
		if i < baseCount && f.rows != 0 {
			b.base[i] = guest.Alloc(f.dt, f.rows*rows, f.cols)
		}
	}
	b.capacity = capacity
	for u := 0; u < capacity; u++ {
		b.unitIn[u] = b.base[vA8].View(u*tokens, tokens, width)
		b.unitX[u] = b.base[vX].View(u*tokens, tokens, width)
	}
	fillS32(b.base[vRow], rows, func(i int) int32 { return int32(i) })
	fillS32(b.base[vPos], rows, func(i int) int32 { return int32(i % tokens) })
	fillScale(b.base[vInScale], rows, factor(2, byteVar2))
	if h, g := int(dims.Heads), int(dims.KVHeads); h != g {
		fillS32(b.base[vRepeat], rows*h, func(i int) int32 { return int32(i/h*g + i%h*g/h) })
	}
	b.resize(capacity)
}

// Staging for writes of constants; the guest allocates nothing after setup.
var (
	stageS32   [1024]int32
	stageScale [1024]guest.Factor
)

func fillS32(t guest.Tensor, n int, at func(int) int32) {
	for lo := 0; lo < n; lo += len(stageS32) {
		part := stageS32[:min(len(stageS32), n-lo)]
		for i := range part {
			part[i] = at(lo + i)
		}
		t.WriteS32(int64(lo)*4, part)
	}
}

func fillScale(t guest.Tensor, n int, s guest.Factor) {
	for i := range stageScale {
		stageScale[i] = s
	}
	for lo := 0; lo < n; lo += len(stageScale) {
		t.WriteScales(int64(lo)*8, stageScale[:min(len(stageScale), n-lo)])
	}
}

// factor is √(num/den) as a scale.
func factor(num, den uint64) guest.Factor {
	m, e := fixed.Root(num, den)
	return guest.Factor{M: m, E: e}
}

func filledS32(rows, cols int, v int32) guest.Tensor {
	t := guest.Alloc(guest.S32, rows, cols)
	fillS32(t, rows*cols, func(int) int32 { return v })
	return t
}

func filledScale(rows int, s guest.Factor) guest.Tensor {
	t := guest.Alloc(guest.Scale, rows, 1)
	fillScale(t, rows, s)
	return t
}

// ropeTable has one row a position: half cosines, then half sines, Q30.
func ropeTable(positions, headDim int) guest.Tensor {
	t := guest.Alloc(guest.S32, positions, headDim)
	half := headDim / 2
	fillS32(t, positions*headDim, func(i int) int32 {
		pos, col := i/headDim, i%headDim
		sin, cos := fixed.SinCos(fixed.PhaseStep(col%half, half) * uint32(pos))
		if col < half {
			return cos
		}
		return sin
	})
	return t
}
