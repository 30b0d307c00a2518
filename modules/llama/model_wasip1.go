package main

import "github.com/assaynet/assay/sdk/guest"

// linear is a weight matrix with its channel scales and perhaps a bias.
type linear struct{ w, scale, bias guest.Tensor }

// layer holds the handles of one block; qNorm and kNorm may be 0.
type layer struct {
	attNorm, ffnNorm guest.Tensor
	qNorm, kNorm     guest.Tensor
	q, k, v, o       linear
	gate, up, down   linear
	cacheK, cacheV   guest.Tensor // s8[positions, kvHeads·headDim]
	cacheKScale      guest.Tensor // scale[positions, kvHeads]
	cacheVScale      guest.Tensor
}

type model struct {
	embed, head  linear // head is embed where the model ties them
	norm, rope   guest.Tensor
	vocabBytes   guest.Tensor // u8[1, n]: texts of all tokens, end to end
	vocabOffsets guest.Tensor // s32[vocab+1, 1] into vocabBytes
	layers       [maxLayers]layer
}

// load finds the tensors and allocates the cache for that many positions.
func (m *model) load(c *config, positions int) {
	m.embed = linear{w: need("embed"), scale: need("embed.scale")}
	m.head = m.embed
	if t := guest.ModelTensor("head"); t != 0 {
		m.head = linear{w: t, scale: need("head.scale")}
	}
	m.norm, m.rope = need("norm"), need("rope")
	if m.vocabOffsets = guest.ModelTensor("vocab.offsets"); m.vocabOffsets != 0 {
		m.vocabBytes = need("vocab.bytes")
	} else if c.vocab != 256 {
		fail(abortModel, "no vocab.offsets, and the vocabulary is not the 256 bytes")
	}
	e := c.kvHeads * c.headDim
	for i := 0; i < c.layers; i++ {
		l := &m.layers[i]
		l.attNorm, l.ffnNorm = needIn(i, "att_norm"), needIn(i, "ffn_norm")
		l.qNorm, l.kNorm = find(i, "q_norm"), find(i, "k_norm")
		l.q, l.k, l.v, l.o = matrix(i, "q"), matrix(i, "k"), matrix(i, "v"), matrix(i, "o")
		l.gate, l.up, l.down = matrix(i, "gate"), matrix(i, "up"), matrix(i, "down")
		l.cacheK, l.cacheV = guest.Alloc(guest.S8, positions, e), guest.Alloc(guest.S8, positions, e)
		l.cacheKScale = guest.Alloc(guest.Scale, positions, c.kvHeads)
		l.cacheVScale = guest.Alloc(guest.Scale, positions, c.kvHeads)
	}
}

func matrix(i int, name string) linear {
	return linear{needIn(i, name), needIn(i, name+".scale"), find(i, name+".bias")}
}

// find looks up "layer.<i>.<name>".
func find(i int, name string) guest.Tensor {
	var buf [64]byte
	p := append(buf[:0], "layer."...)
	if i >= 100 {
		p = append(p, byte('0'+i/100))
	}
	if i >= 10 {
		p = append(p, byte('0'+i/10%10))
	}
	p = append(p, byte('0'+i%10), '.')
	return guest.ModelTensorBytes(append(p, name...))
}

func needIn(i int, name string) guest.Tensor {
	t := find(i, name)
	if t == 0 {
		fail(abortModel, "a layer has no tensor "+name)
	}
	return t
}

func need(name string) guest.Tensor {
	t := guest.ModelTensor(name)
	if t == 0 {
		fail(abortModel, "no tensor "+name)
	}
	return t
}

var textBuf [1024]byte

// text of a token, valid until the next call.
func (m *model) text(token int32) []byte {
	if m.vocabOffsets == 0 {
		textBuf[0] = byte(token)
		return textBuf[:1]
	}
	var span [2]int32
	m.vocabOffsets.ReadS32(4*int64(token), span[:])
	n := int(span[1] - span[0])
	if n < 0 || n > len(textBuf) {
		fail(abortModel, "vocab.offsets")
	}
	m.vocabBytes.Read(int64(span[0]), textBuf[:n])
	return textBuf[:n]
}
