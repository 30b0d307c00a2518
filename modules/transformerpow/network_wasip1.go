package main

import (
	"github.com/assaynet/assay/modules/transformerpow/shape"
	"github.com/assaynet/assay/sdk/guest"
)

const (
	frac  = 16        // fraction bits of the residual stream and of every s32 tensor
	eout  = frac + 31 // as the ops want it
	oneQ  = 1 << frac
	epsQ  = 42950                         // 1e−5 in Q32: the norm's epsilon
	domIn = "assay/transformerpow/in/1\n" // separates input keys from other uses of the seed

	// byteVar2 is twice the variance of an expanded byte: 2·Σ i²·2/256 for
	// i = 1..127. Weights scaled by √(2/(byteVar2·K)) keep unit variance.
	byteVar2 = 10795

	// gateBias shifts the gate to where silu is nearly linear: around zero a
	// product of two normals would round to 0 in 8 % of places instead of 3 %.
	gateBias = 3 * oneQ
)

// attScaleNum/2^28 is log2(e)², so that logits are the plain softmax's with a
// standard deviation of about one: attention neither flat nor on one key.
const attScaleNum = 558713232

// Weight matrices of a layer, in the order of their streams.
const (
	wQ = iota
	wK
	wV
	wO
	wGate
	wUp
	wDown
	wCount
)

// network is what depends on the seed alone, and the key of the claimant whose
// units are computed.
type network struct {
	seedBytes [32]byte
	seed      guest.Tensor // u8[1,32]: expands weights
	key       guest.Tensor // u8[1,32]: expands the claimant's inputs
	weights   [shape.MaxLayers][wCount]guest.Tensor
	scaleD    guest.Tensor // channel scales of matrices with K = width, Width rows
	scaleE    guest.Tensor // the same, KVWidth rows
	scaleF    guest.Tensor // the same, FFN rows
	scaleDn   guest.Tensor // channel scales of the down projection, K = FFN
	gain      guest.Tensor // ones
	bias      guest.Tensor // of the gate
	rope      guest.Tensor
	attScale  guest.Factor
}

// setup expands the weights. Stream numbers are layer·16 + matrix.
func (w *network) setup() {
	d, e, f := int(dims.Width), int(dims.KVWidth()), int(dims.FFN)
	w.keys()
	for l := 0; l < int(dims.Layers); l++ {
		for m, s := range [wCount][2]int{{d, d}, {e, d}, {e, d}, {d, d}, {f, d}, {f, d}, {d, f}} {
			t := guest.Alloc(guest.S8, s[0], s[1])
			guest.Expand(t, w.seed, int64(l*16+m))
			w.weights[l][m] = t
		}
	}
	all := filledScale(f, factor(2, byteVar2*uint64(d)))
	w.scaleF, w.scaleD, w.scaleE = all, all.View(0, d, 1), all.View(0, e, 1)
	w.scaleDn = filledScale(d, factor(2, byteVar2*uint64(f)))
	w.gain = filledS32(1, d, oneQ)
	w.bias = filledS32(1, f, gateBias)
	w.attScale = factor(attScaleNum, uint64(dims.HeadDim())<<28)
	w.rope = ropeTable(int(dims.Tokens), int(dims.HeadDim()))
}

// keys allocates the two stream keys and writes the weights'.
func (w *network) keys() {
	guest.Seed(&w.seedBytes)
	w.seed = guest.Alloc(guest.U8, 1, len(w.seedBytes))
	w.seed.Write(0, w.seedBytes[:])
	w.key = guest.Alloc(guest.U8, 1, 32)
}

// claimant makes the input key: the device's BLAKE3 of a domain, the seed and
// the claimant, so it never leaves the device.
func (w *network) claimant() {
	var msg [len(domIn) + 32 + 32]byte
	n := copy(msg[:], domIn)
	n += copy(msg[n:], w.seedBytes[:])
	n += guest.Identity(msg[n:])
	src := guest.Alloc(guest.U8, 1, n)
	src.Write(0, msg[:n])
	guest.Digest(w.key, src, 0)
	src.Free()
}

// run computes units first..first+count-1 of the call, all at once.
func (w *network) run(first, count int) {
	b := &buf
	for u := 0; u < count; u++ {
		guest.Expand(b.unitIn[u], w.key, int64(guest.UnitIndex(first+u)))
	}
	guest.Embed(b.v[vX], b.v[vA8], b.v[vInScale], b.v[vRow], frac)
	for l := 0; l < int(dims.Layers); l++ {
		m := &w.weights[l]
		w.attention(m)
		w.feedForward(m)
		for u := 0; u < count; u++ {
			guest.Record(first+u, b.unitX[u])
		}
	}
}

func (w *network) attention(m *[wCount]guest.Tensor) {
	v := &buf.v
	epsk := int64(epsQ) * int64(dims.Width)
	guest.NormQuant(v[vA8], v[vAScale], v[vX], w.gain, epsk)
	guest.Linear(v[vQ], v[vA8], v[vAScale], m[wQ], w.scaleD, 0, 0, eout)
	guest.Linear(v[vK], v[vA8], v[vAScale], m[wK], w.scaleE, 0, 0, eout)
	guest.Linear(v[vV], v[vA8], v[vAScale], m[wV], w.scaleE, 0, 0, eout)
	guest.Rope(v[vQ], v[vQ], w.rope, v[vPos])
	guest.Rope(v[vK], v[vK], w.rope, v[vPos])
	guest.Quant(v[vQ8H], v[vQScaleH], v[vQH], frac)
	guest.Quant(v[vK8H], v[vKScaleH], v[vKH], frac)
	guest.Quant(v[vV8H], v[vVScaleH], v[vVH], frac)
	guest.Add(v[vX], v[vX], v[vQ])
	w.addHeads(v[vK], v[vKH])
	w.addHeads(v[vV], v[vVH])
	att := v[vQ] // queries are not needed any more
	guest.Attention(att, v[vQ8], v[vQScale], v[vK8], v[vKScale], v[vV8], v[vVScale],
		int32(dims.Tokens), int32(w.attScale.M), w.attScale.E, eout)
	guest.Quant(v[vA8], v[vAScale], att, frac)
	guest.Add(v[vX], v[vX], att)
	guest.Linear(v[vX], v[vA8], v[vAScale], m[wO], w.scaleD, 0, v[vX], eout)
}

// addHeads adds keys or values to the residual stream, each key head once for
// every query head that reads it.
func (w *network) addHeads(t, heads guest.Tensor) {
	v := &buf.v
	if dims.KVHeads != dims.Heads {
		guest.Gather(v[vQH], heads, v[vRepeat])
		t = v[vQ]
	}
	guest.Add(v[vX], v[vX], t)
}

func (w *network) feedForward(m *[wCount]guest.Tensor) {
	v := &buf.v
	epsk := int64(epsQ) * int64(dims.Width)
	guest.NormQuant(v[vA8], v[vAScale], v[vX], w.gain, epsk)
	guest.Linear(v[vGate], v[vA8], v[vAScale], m[wGate], w.scaleF, w.bias, 0, eout)
	guest.Linear(v[vUp], v[vA8], v[vAScale], m[wUp], w.scaleF, 0, 0, eout)
	guest.SiluMul(v[vGate], v[vGate], v[vUp])
	guest.Quant(v[vH8], v[vAScale], v[vGate], frac)
	// The last slice ends at the last column and may overlap the one before.
	d, f := int32(dims.Width), int32(dims.FFN)
	for col := int32(0); col < f; col += d {
		guest.Slice(v[vQ], v[vGate], min(col, f-d))
		guest.Add(v[vX], v[vX], v[vQ])
	}
	guest.Linear(v[vX], v[vH8], v[vAScale], m[wDown], w.scaleDn, 0, v[vX], eout)
}
