package devicetest

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
)

// block is an attention block of a model family, in floats beside ops.
type block struct {
	name     string
	heads    int
	kvHeads  int
	bias     bool
	headNorm bool
	angle    func(pos, j, half int) float64 // of pair j
	factor   float64                        // on logits: YaRN's attention factor, squared
	queries  int                            // of the last tokens that are asked; the others are cache
}

const (
	blockTokens, blockWidth, blockDim = 12, 96, 16
	blockErr                          = 0.015 // int8 queries, keys and values
)

// plainAngle is the rotary embedding of Llama 2.
func plainAngle(pos, j, half int) float64 {
	return float64(pos) * math.Pow(10000, -float64(j)/float64(half))
}

// llama3Angle stretches long waves eightfold and blends between.
func llama3Angle(pos, j, half int) float64 {
	f := math.Pow(500000, -float64(j)/float64(half))
	wave := 2 * math.Pi / f
	switch {
	case wave > 8192:
		f /= 8
	case wave > 8192/4:
		smooth := (8192/wave - 1) / 3
		f = (1-smooth)*f/8 + smooth*f
	}
	return float64(pos) * f
}

// partialAngle turns the first half of the pairs only.
func partialAngle(pos, j, half int) float64 {
	if j >= half/2 {
		return 0
	}
	return plainAngle(pos, j, half)
}

var blocks = []block{
	{"Llama 2", 6, 6, false, false, plainAngle, 1, blockTokens},
	{"Llama 3, grouped queries", 6, 2, false, false, llama3Angle, 1, blockTokens},
	{"Qwen2, biases", 6, 2, true, false, plainAngle, 1, blockTokens},
	{"Qwen3, norms of queries and keys", 6, 3, false, true, plainAngle, 1, blockTokens},
	{"YaRN's attention factor", 6, 6, false, false, func(p, j, h int) float64 { return plainAngle(p, j, h) / 4 }, 1.3, blockTokens},
	{"partial rotation", 6, 1, true, true, partialAngle, 1, blockTokens},
	{"one token against a cache", 6, 2, true, true, llama3Angle, 1, 1},
}

// TestModels: ops alone compute the attention block of each family, to within
// what int8 queries, keys and values cost; and the feature that a family adds
// matters more than that.
func TestModels(t *testing.T) {
	for _, b := range blocks {
		m := newModel(t, b)
		got := m.ops()
		e := relative(got, m.floats(b))
		t.Logf("%-34s %.4f of the output (bound %.2f)", b.name, e, blockErr)
		if e > blockErr {
			t.Errorf("%s: error %.4f", b.name, e)
		}
		for what, other := range b.without() {
			if e := relative(got, m.floats(other)); e < 2*blockErr {
				t.Errorf("%s: without %s the output differs by %.4f only", b.name, what, e)
			}
		}
	}
}

// without lists the block with one feature less.
func (b block) without() map[string]block {
	out := map[string]block{}
	if b.bias {
		c := b
		c.bias = false
		out["biases"] = c
	}
	if b.headNorm {
		c := b
		c.headNorm = false
		out["norms"] = c
	}
	if b.factor != 1 {
		c := b
		c.factor = 1
		out["the factor"] = c
	}
	c := b
	c.angle = func(int, int, int) float64 { return 0 }
	out["rotation"] = c
	return out
}

func relative(got, want []float64) float64 {
	var diff, norm float64
	for i := range want {
		diff += (got[i] - want[i]) * (got[i] - want[i])
		norm += want[i] * want[i]
	}
	return math.Sqrt(diff / norm)
}

// projection is one matrix with its scales, bias and gain of the head norm.
type projection struct {
	w     mat
	scale []device.Scale
	bias  []float64
	gain  []float64
}

// model is a block with weights, and the input that both ways start from.
type model struct {
	block
	t  *testing.T
	x  mat
	xs []device.Scale
	p  [3]projection // q, k, v
}

func newModel(t *testing.T, b block) *model {
	g := newGen("model " + b.name)
	m := &model{block: b, t: t}
	in := fixed(g.normal(blockTokens*blockWidth, 1), 16)
	m.x, m.xs = refQuant(mat{blockTokens, blockWidth, in.v}, 16)
	for i, heads := range []int{b.heads, b.kvHeads, b.kvHeads} {
		w := fixed(g.normal(heads*blockDim*blockWidth, 1.5/math.Sqrt(blockWidth)), 16)
		p := &m.p[i]
		p.w, p.scale = refQuant(mat{heads * blockDim, blockWidth, w.v}, 16)
		p.bias, p.gain = g.normal(heads*blockDim, 1.5), g.normal(blockDim, 0.5)
		for j := range p.gain {
			p.gain[j] += 1.5
		}
	}
	return m
}

// floats computes the block b over the model's int8 input and weights.
func (m *model) floats(b block) []float64 {
	var y [3][][]float64 // by token
	for i, p := range m.p {
		for tok := range blockTokens {
			row := make([]float64, p.w.rows)
			for j := range row {
				var dot int64
				for k := range blockWidth {
					dot += m.x.at(tok, k) * p.w.at(j, k)
				}
				row[j] = float64(dot) * scaleValue(m.xs[tok]) * scaleValue(p.scale[j])
				if b.bias {
					row[j] += p.bias[j]
				}
			}
			if i < 2 {
				for h := 0; h < len(row); h += blockDim {
					b.normRotate(row[h:h+blockDim], p.gain, tok)
				}
			}
			y[i] = append(y[i], row)
		}
	}
	var out []float64
	for tok := blockTokens - b.queries; tok < blockTokens; tok++ {
		for h := range b.heads {
			g := h * b.kvHeads / b.heads * blockDim
			p, sum := make([]float64, tok+1), 0.0
			for key := range p {
				var dot float64
				for c := range blockDim {
					dot += y[0][tok][h*blockDim+c] * y[1][key][g+c]
				}
				p[key] = math.Exp(dot * b.factor / math.Sqrt(blockDim))
				sum += p[key]
			}
			for c := range blockDim {
				var v float64
				for key := range p {
					v += p[key] / sum * y[2][key][g+c]
				}
				out = append(out, v)
			}
		}
	}
	return out
}

func (b block) normRotate(v, gain []float64, pos int) {
	if b.headNorm {
		var s float64
		for _, x := range v {
			s += x * x
		}
		for i := range v {
			v[i] *= gain[i] / math.Sqrt(s/blockDim+1e-6)
		}
	}
	const half = blockDim / 2
	for j := range half {
		sin, cos := math.Sincos(b.angle(pos, j, half))
		v[j], v[j+half] = v[j]*cos-v[j+half]*sin, v[j+half]*cos+v[j]*sin
	}
}

// toScale is the scale nearest to a positive number.
func toScale(x float64) (mant int64, exp int64) {
	f, e := math.Frexp(x)
	return int64(f * (1 << 31)), int64(31 - e)
}

func (m *model) put(x *env, rows, cols int, v []float64, frac int) device.Handle {
	q := make([]int32, len(v))
	for i := range v {
		q[i] = int32(math.RoundToEven(math.Ldexp(v[i], frac)))
	}
	return x.place(values(rows, cols, q...))
}

func s8Data(m mat) Data {
	d := Data{Type: s8, Shape: device.Shape{Rows: m.rows, Cols: m.cols}}
	for _, v := range m.v {
		d.Bytes = append(d.Bytes, byte(v))
	}
	return d
}

func scaleData(s []device.Scale) Data {
	d := Data{Type: scale, Shape: device.Shape{Rows: len(s), Cols: 1}}
	for _, v := range s {
		d.Bytes = binary.LittleEndian.AppendUint32(d.Bytes, v.M)
		d.Bytes = binary.LittleEndian.AppendUint32(d.Bytes, uint32(v.E))
	}
	return d
}

// ops computes the block with ops of the table.
func (m *model) ops() []float64 {
	x := newEnv(m.t, Reference(), spaceBytes)
	const half, frac = blockDim / 2, 16
	var table []float64
	for pos := range blockTokens {
		for _, f := range []func(float64) float64{math.Cos, math.Sin} {
			for j := range half {
				table = append(table, f(m.angle(pos, j, half)))
			}
		}
	}
	rope := m.put(x, blockTokens, blockDim, table, 30)
	var at []int32
	for i := range int32(blockTokens) {
		at = append(at, i)
	}
	pos := x.place(values(blockTokens, 1, at...))
	in, ins := x.place(s8Data(m.x)), x.place(scaleData(m.xs))
	var q8, qs [3]device.Handle
	for i, p := range m.p {
		n := p.w.rows
		heads := n / blockDim
		y := x.alloc(s32, blockTokens, n)
		bias := device.Handle(0)
		if m.bias {
			bias = m.put(x, 1, n, p.bias, frac)
		}
		x.run(device.OpLinear, []device.Handle{y, in, ins, x.place(s8Data(p.w)), x.place(scaleData(p.scale)), bias, 0}, frac+31)
		byHead := x.view(y, 0, blockTokens*heads, blockDim)
		if i < 2 && m.headNorm {
			epsk := int64(1e-6 * blockDim * math.Ldexp(1, 2*frac))
			x.run(device.OpNorm, []device.Handle{byHead, byHead, m.put(x, 1, blockDim, p.gain, 16)}, epsk)
		}
		if i < 2 {
			x.run(device.OpRope, []device.Handle{y, y, rope, pos})
		}
		q8[i], qs[i] = x.alloc(s8, blockTokens, n), x.alloc(scale, blockTokens, heads)
		x.run(device.OpQuant, []device.Handle{x.view(q8[i], 0, blockTokens*heads, blockDim), x.view(qs[i], 0, blockTokens*heads, 1), byHead}, frac)
	}
	first := blockTokens - m.queries
	dst := x.alloc(s32, m.queries, m.heads*blockDim)
	mant, exp := toScale(math.Log2E / math.Sqrt(blockDim) * m.factor)
	x.run(device.OpAttention, []device.Handle{dst, x.view(q8[0], first, m.queries, m.heads*blockDim), x.view(qs[0], first, m.queries, m.heads),
		q8[1], qs[1], q8[2], qs[2]}, int64(m.queries), mant, exp, frac+31)
	var out []float64
	for p := x.bytes(dst); len(p) > 0; p = p[4:] {
		out = append(out, float(int64(int32(binary.LittleEndian.Uint32(p))), frac))
	}
	return out
}
