package admission

import (
	"encoding/binary"
	"math"
	"sort"
	"strings"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/modules/transformerpow/shape"
)

// Limits of the statistics, from the design of the sprint.
const (
	MaxZeros     = 0.05  // share of zeros in any tensor of a layer
	MaxSaturated = 0.01  // share of saturated values
	MinEntropy   = 0.30  // of attention, as a share of the uniform distribution's
	MaxEntropy   = 0.85  //
	MinSensitive = 0.999 // share of digests that one flipped bit changes
)

// Tensor is the statistics of one tensor over all units looked at.
type Tensor struct {
	Layer     int     `json:"layer"`
	Name      string  `json:"name"` // ending in 8: int8
	Zeros     float64 `json:"zeros"`
	Saturated float64 `json:"saturated"` // at an end of int32; int8 cannot saturate
}

// Statistics of the intermediates of some units.
type Statistics struct {
	Units   int      `json:"units"`
	Entropy float64  `json:"attention_entropy"` // mean, as a share of the uniform distribution's
	Tensors []Tensor `json:"tensors"`
}

// Zeros is the tensor with the largest share of zeros.
func (s Statistics) Zeros() Tensor {
	return s.worst(func(t Tensor) float64 { return t.Zeros })
}

// Saturated is the tensor with the largest share of saturated values.
func (s Statistics) Saturated() Tensor {
	return s.worst(func(t Tensor) float64 { return t.Saturated })
}

func (s Statistics) worst(of func(Tensor) float64) (w Tensor) {
	for _, t := range s.Tensors {
		if of(t) >= of(w) {
			w = t
		}
	}
	return w
}

// OK reports whether every limit holds.
func (s Statistics) OK() bool {
	return s.Zeros().Zeros < MaxZeros && s.Saturated().Saturated < MaxSaturated && s.Entropy >= MinEntropy && s.Entropy <= MaxEntropy
}

// Measure runs units 0, 1, ... in batches of the network's size and returns
// the statistics of all their intermediates.
func (n *Network) Measure(units int) (Statistics, error) {
	c := counts{}
	var q []float64
	var entropy, uniform float64
	var err error
	n.Look = func(layer int, name string, h device.Handle) {
		p, e := n.Read(h)
		if e != nil {
			err = e
			return
		}
		vals := c.add(layer, name, p)
		switch name {
		case "q":
			q = vals
		case "k":
			e, u := attentionEntropy(n.cfg.Shape, q, vals)
			entropy, uniform = entropy+e, uniform+u
		}
	}
	defer func() { n.Look = nil }()
	for from := 0; from < units && err == nil; from += n.cfg.Batch {
		var indexes []uint64
		for i := from; i < min(from+n.cfg.Batch, units); i++ {
			indexes = append(indexes, uint64(i))
		}
		if _, e := n.Digests(indexes...); e != nil {
			return Statistics{}, e
		}
	}
	return Statistics{Units: units, Entropy: entropy / uniform, Tensors: c.tensors()}, err
}

type place struct {
	layer int
	name  string
}

type counts map[place]*struct{ n, zero, saturated int }

// add counts one tensor and returns the values of an s32 one, as Q16.
func (c counts) add(layer int, name string, p []byte) (vals []float64) {
	at := place{layer, name}
	if c[at] == nil {
		c[at] = &struct{ n, zero, saturated int }{}
	}
	st := c[at]
	if strings.HasSuffix(name, "8") {
		st.n += len(p)
		for _, b := range p {
			if b == 0 {
				st.zero++
			}
		}
		return nil
	}
	for ; len(p) > 0; p = p[4:] {
		v := int32(binary.LittleEndian.Uint32(p))
		st.n++
		if v == 0 {
			st.zero++
		}
		if v == math.MaxInt32 || v == math.MinInt32 {
			st.saturated++
		}
		vals = append(vals, float64(v)/(1<<frac))
	}
	return vals
}

func (c counts) tensors() (out []Tensor) {
	for at, st := range c {
		out = append(out, Tensor{at.layer, at.name, float64(st.zero) / float64(st.n), float64(st.saturated) / float64(st.n)})
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Layer != out[j].Layer {
			return out[i].Layer < out[j].Layer
		}
		return out[i].Name < out[j].Name
	})
	return out
}

// attentionEntropy of the float softmax, and of the uniform distribution over
// the same keys, both summed over rows and heads.
func attentionEntropy(s shape.Shape, q, k []float64) (e, uniform float64) {
	d, kv, hd, tk := int(s.Width), int(s.KVWidth()), int(s.HeadDim()), int(s.Tokens)
	for row := 0; row < len(q)/d; row++ {
		first := row / tk * tk
		for h := range int(s.Heads) {
			from := h * int(s.KVHeads) / int(s.Heads) * hd
			var p []float64
			var sum float64
			for key := first; key <= row; key++ {
				var dot float64
				for c := range hd {
					dot += q[row*d+h*hd+c] * k[key*kv+from+c]
				}
				p = append(p, math.Exp(dot/math.Sqrt(float64(hd))))
				sum += p[len(p)-1]
			}
			for _, x := range p {
				e -= x / sum * math.Log(x/sum)
			}
			uniform += math.Log(float64(len(p)))
		}
	}
	return e, uniform
}
