package cpudev

import (
	"container/heap"
	"encoding/binary"
	"slices"

	"github.com/assaynet/assay/hostgpu/device"
)

// sample is one call, decoded.
type sample struct {
	dst                              []int32
	logits, history                  []int32
	seed                             []byte
	step                             int64
	temperature, topK, topP, penalty int64
}

func newSample(t *device.Task) *sample {
	x := t.Tensors
	return &sample{
		dst: s32Of(x[0]), logits: s32Of(x[1]), history: s32Of(x[2]), seed: bytesOf(x[3]),
		step: t.Imms[0], temperature: t.Imms[1], topK: t.Imms[2], topP: t.Imms[3], penalty: t.Imms[4],
	}
}

func (e *engine) sample(s *sample) error {
	logits := s.penalized()
	best := 0
	for i, l := range logits {
		if l > logits[best] {
			best = i
		}
	}
	if s.temperature == 0 {
		s.dst[0] = int32(best)
		return nil
	}
	kept, total := s.keep(logits, logits[best])
	c, err := stream(s.seed, s.step)
	if err != nil {
		return err
	}
	var rho [8]byte
	c.XORKeyStream(rho[:], rho[:])
	r := binary.LittleEndian.Uint64(rho[:]) % total
	for _, t := range kept {
		if r < uint64(t.weight) {
			s.dst[0] = t.id
			return nil
		}
		r -= uint64(t.weight)
	}
	panic("cpudev: weights do not add up")
}

// penalized applies the repetition penalty to a copy, if there is a history.
func (s *sample) penalized() []int32 {
	if len(s.history) == 0 {
		return s.logits
	}
	l := slices.Clone(s.logits)
	seen := make([]uint64, (len(l)+63)/64)
	for _, id := range s.history {
		if id < 0 || int(id) >= len(l) || seen[id/64]>>(id%64)&1 != 0 {
			continue
		}
		seen[id/64] |= 1 << (id % 64)
		if x := int64(l[id]); x > 0 {
			l[id] = sat32((x<<16 + s.penalty/2) / s.penalty)
		} else {
			l[id] = shr(x*s.penalty, 16)
		}
	}
	return l
}

type token struct {
	id, logit int32
	weight    uint32
}

// ranked is a heap of tokens, the highest logit first, then the lowest index.
type ranked []token

func (h ranked) Len() int { return len(h) }
func (h ranked) Less(i, j int) bool {
	return h[i].logit > h[j].logit || h[i].logit == h[j].logit && h[i].id < h[j].id
}
func (h ranked) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *ranked) Push(x any)   { *h = append(*h, x.(token)) }
func (h *ranked) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	*h = (*h)[:last]
	return t
}

// keep returns the tokens that may be drawn, in index order, with their sum.
// A token of weight 0 ranks behind every other and is never drawn, so it is
// left out from the start.
func (s *sample) keep(logits []int32, best int32) (tokens []token, total uint64) {
	for i, l := range logits {
		if w := s.weight(uint64(int64(best) - int64(l))); w > 0 {
			tokens = append(tokens, token{int32(i), l, w})
			total += uint64(w)
		}
	}
	topK := s.topK > 0 && s.topK < int64(len(tokens))
	if !topK && s.topP == 1<<16 {
		return tokens, total
	}
	h := ranked(tokens)
	heap.Init(&h)
	var prefix []token
	if topK {
		total = 0
		for range s.topK {
			t := heap.Pop(&h).(token)
			prefix = append(prefix, t)
			total += uint64(t.weight)
		}
	}
	theta := total>>16*uint64(s.topP) + total&0xFFFF*uint64(s.topP)>>16
	var sum uint64
	n := 0
	for n == 0 || sum < theta {
		if n == len(prefix) {
			prefix = append(prefix, heap.Pop(&h).(token))
		}
		sum += uint64(prefix[n].weight)
		n++
	}
	prefix = prefix[:n]
	slices.SortFunc(prefix, func(a, b token) int { return int(a.id) - int(b.id) })
	return prefix, sum
}

// weight is the Q31 weight of a token gap below the best, in Q16.
func (s *sample) weight(gap uint64) uint32 {
	z := gap * log2e
	if z >= uint64(s.temperature)<<35 { // d >= 32·2^15: spare the division
		return 0
	}
	d := z / (uint64(s.temperature) << 15)
	return uint32(exp2(int32(d&32767))) << 16 >> (d >> 15)
}
