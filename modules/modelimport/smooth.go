package modelimport

import (
	"fmt"
	"math"
)

// Queries and keys are quantized to int8 with one scale a row and head, so one
// large column costs all others their precision; some models (Qwen2) have key
// biases a hundred times the rest. Their dot product does not change when a
// column of k is divided and the same column of q multiplied by a factor, and
// since rotary embedding turns pairs of columns, both columns of a pair take
// the same one. The factor √(size of k / size of q) makes both equally large.

// maxSmooth bounds a factor, so that gains stay within Q16.
const maxSmooth = 256

// smooth returns the tensors of layer i with balanced queries and keys: copies
// of the projections, or of the norms' gains where the model has them.
func (c *converter) smooth(in string) map[string]*Tensor {
	attn := in + "self_attn."
	qn, kn := c.in[attn+"q_norm.weight"], c.in[attn+"k_norm.weight"]
	half := c.cfg.HeadDim / 2
	out := map[string]*Tensor{}
	if qn != nil && kn != nil && qn.Cols == 2*half && kn.Cols == 2*half {
		// What leaves a norm has unit size in each column but for the gain;
		// the gains are those of all heads.
		q, k := qn.clone(), kn.clone()
		for j := 0; j < half; j++ {
			f := balance(max(abs(q.Data[j]), abs(q.Data[j+half])), max(abs(k.Data[j]), abs(k.Data[j+half])))
			for _, col := range []int{j, j + half} {
				q.Data[col] = float32(float64(q.Data[col]) * f)
				k.Data[col] = float32(float64(k.Data[col]) / f)
			}
		}
		out[attn+"q_norm.weight"], out[attn+"k_norm.weight"] = q, k
		return out
	}
	if qn != nil || kn != nil {
		return out // one side is normalized after the fact: no factor survives it
	}
	gain := c.in[in+"input_layernorm.weight"]
	q, k := newProjection(c.in, attn+"q_proj", gain), newProjection(c.in, attn+"k_proj", gain)
	d := 2 * half
	if q == nil || k == nil || q.w.Rows != c.cfg.Heads*d || k.w.Rows != c.cfg.KVHeads*d {
		return out // reported when the tensors are converted
	}
	group := c.cfg.Heads / c.cfg.KVHeads
	for g := 0; g < c.cfg.KVHeads; g++ {
		for j := 0; j < half; j++ {
			var qs float64
			for h := g * group; h < (g+1)*group; h++ {
				qs = max(qs, q.size(h*d+j), q.size(h*d+j+half))
			}
			f := balance(qs, max(k.size(g*d+j), k.size(g*d+j+half)))
			for _, col := range []int{j, j + half} {
				for h := g * group; h < (g+1)*group; h++ {
					q.scale(h*d+col, f)
				}
				k.scale(g*d+col, 1/f)
			}
		}
	}
	for name, p := range map[string]*projection{"q_proj": q, "k_proj": k} {
		out[attn+name+".weight"] = p.w
		if p.b != nil {
			out[attn+name+".bias"] = p.b
		}
	}
	return out
}

// balance is the factor for q that makes both sizes equal; 1 where one is zero.
func balance(q, k float64) float64 {
	if q == 0 || k == 0 {
		return 1
	}
	return max(1.0/maxSmooth, min(maxSmooth, math.Sqrt(k/q)))
}

// projection is a linear layer that is fed by a norm of unit size times gain.
type projection struct {
	w, b *Tensor // copies; b may be nil
	gain *Tensor
}

func newProjection(in map[string]*Tensor, name string, gain *Tensor) *projection {
	w, b := in[name+".weight"], in[name+".bias"]
	if w == nil || gain == nil || gain.Cols != w.Cols || (b != nil && b.Cols != w.Rows) {
		return nil
	}
	p := &projection{w: w.clone(), gain: gain}
	if b != nil {
		p.b = b.clone()
	}
	return p
}

// size estimates the largest output of a row: its bias, and three standard
// deviations of what the inputs add.
func (p *projection) size(row int) float64 {
	var s float64
	for i, v := range p.w.Row(row) {
		x := float64(v) * float64(p.gain.Data[i])
		s += x * x
	}
	s = 3 * math.Sqrt(s)
	if p.b != nil {
		s += abs(p.b.Data[row])
	}
	return s
}

func (p *projection) scale(row int, f float64) {
	for i, v := range p.w.Row(row) {
		p.w.Row(row)[i] = float32(float64(v) * f)
	}
	if p.b != nil {
		p.b.Data[row] = float32(float64(p.b.Data[row]) * f)
	}
}

func (t *Tensor) clone() *Tensor {
	return &Tensor{t.Rows, t.Cols, append([]float32(nil), t.Data...)}
}

func abs(v float32) float64 { return math.Abs(float64(v)) }

func layerPrefix(i int) string { return fmt.Sprintf("model.layers.%d.", i) }
