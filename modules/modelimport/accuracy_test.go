package modelimport

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/modules/manifest"
)

const modelDir = "../../testdata/model"

// The integer model must predict held-out text as well as the float one.
func TestPerplexityOfTheShippedModel(t *testing.T) {
	cfg, tensors, err := LoadDir(modelDir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Convert(cfg, tensors, Options{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(modelDir + "/opticks.txt")
	if err != nil {
		t.Fatal(err)
	}
	// The 11th, 31st, ... hundredth of the text was held out (train.py).
	const window = 256
	ints := newIntModel(t, m)
	var fl, in float64
	n := 0
	for block := 10; block < 100; block += 20 {
		ids := text[len(text)*block/100:][:window+1]
		f := floatLogits(cfg, tensors, ids[:window])
		q := ints.logits(ids[:window])
		for i := 0; i < window; i++ {
			fl += nats(f[i], ids[i+1])
			in += nats(q[i], ids[i+1])
			n++
		}
	}
	fl, in = fl/float64(n), in/float64(n)
	ratio := math.Exp(in - fl)
	t.Logf("held-out text: float %.4f, integer %.4f nats a byte; perplexity %.3f and %.3f, ratio %.4f",
		fl, in, math.Exp(fl), math.Exp(in), ratio)
	if ratio > 1.02 {
		t.Errorf("integer perplexity is %.2f %% above float", 100*(ratio-1))
	}
	if fl > 1.5 {
		t.Errorf("float loss %.3f nats a byte: the checkpoint is not the trained one", fl)
	}
}

// A model with every optional tensor: biases, norms of queries and keys, a head
// of its own. Random weights, so that nothing cancels.
func TestLogitsOfEveryOption(t *testing.T) {
	cfg, w := small(t)
	m, err := Convert(cfg, w, Options{Vocab: texts()})
	if err != nil {
		t.Fatal(err)
	}
	rel := logitError(t, cfg, w, m)
	t.Logf("relative error of the logits %.4f", rel)
	if rel > 0.03 {
		t.Errorf("relative error of the logits %.4f", rel)
	}
}

// logitError of the integer model against the float one, relative.
func logitError(t *testing.T, cfg Config, w map[string]*Tensor, m *manifest.ModelFile) float64 {
	ids := []byte{0, 1, 2, 3, 4, 3, 2, 1, 0, 4}
	want, got := floatLogits(cfg, w, ids), newIntModel(t, m).logits(ids)
	var diff, size float64
	for i := range want {
		for j := range want[i] {
			diff += (want[i][j] - got[i][j]) * (want[i][j] - got[i][j])
			size += want[i][j] * want[i][j]
		}
	}
	return math.Sqrt(diff / size)
}

// Large key biases (Qwen2) and large gains of the key norm (Qwen3) must not
// cost the other columns their precision.
func TestBalancingSavesLargeKeys(t *testing.T) {
	for kind, gain := range map[string]float64{"bias": 2, "norm": 1.3} {
		cfg, w := small(t)
		for l := range cfg.Layers {
			p := layerPrefix(l) + "self_attn."
			if kind == "norm" {
				for i, f := range []float32{60, 1.0 / 60} {
					g := w[p+[]string{"k_norm", "q_norm"}[i]+".weight"]
					g.Data[0], g.Data[3] = f*g.Data[0], f*g.Data[3]
				}
				continue
			}
			delete(w, p+"q_norm.weight")
			delete(w, p+"k_norm.weight")
			w[p+"k_proj.bias"].Data[1] = 120
			// Queries that read that column little, as in a trained model.
			for h := range cfg.Heads {
				for _, col := range []int{1, 4} {
					for i := range cfg.Width {
						w[p+"q_proj.weight"].Row(h*cfg.HeadDim + col)[i] /= 60
					}
					w[p+"q_proj.bias"].Data[h*cfg.HeadDim+col] /= 60
				}
			}
		}
		errs := [2]float64{}
		for i, plain := range []bool{true, false} {
			m, err := Convert(cfg, w, Options{Vocab: texts(), PlainQK: plain})
			if err != nil {
				t.Fatal(err)
			}
			errs[i] = logitError(t, cfg, w, m)
		}
		t.Logf("%s: relative error %.4f as it is, %.4f balanced", kind, errs[0], errs[1])
		if errs[1] > 0.03 || errs[0] < gain*errs[1] {
			t.Errorf("%s: relative error %.4f as it is, %.4f balanced", kind, errs[0], errs[1])
		}
	}
}

// nats is the cross entropy of one prediction.
func nats(logits []float64, want byte) float64 {
	top := logits[0]
	for _, l := range logits {
		top = max(top, l)
	}
	var sum float64
	for _, l := range logits {
		sum += math.Exp(l - top)
	}
	return math.Log(sum) + top - logits[want]
}

// floatLogits is a plain float forward pass over the checkpoint.
func floatLogits(cfg Config, w map[string]*Tensor, ids []byte) [][]float64 {
	x := make([][]float64, len(ids))
	for i, id := range ids {
		x[i] = widen(w["model.embed_tokens.weight"].Row(int(id)))
	}
	hd := cfg.HeadDim
	for l := 0; l < cfg.Layers; l++ {
		get := func(name string) *Tensor { return w[fmt.Sprintf("model.layers.%d.%s", l, name)] }
		lin := func(x [][]float64, name string) [][]float64 {
			y := mul(x, get(name+".weight"))
			if b := get(name + ".bias"); b != nil {
				for _, row := range y {
					for j, v := range b.Data {
						row[j] += float64(v)
					}
				}
			}
			return y
		}
		a := rms(x, get("input_layernorm.weight"), cfg.Eps)
		q, k, v := lin(a, "self_attn.q_proj"), lin(a, "self_attn.k_proj"), lin(a, "self_attn.v_proj")
		for i := range x {
			for gain, row := range map[*Tensor][]float64{get("self_attn.q_norm.weight"): q[i], get("self_attn.k_norm.weight"): k[i]} {
				for h := 0; gain != nil && h < len(row); h += hd {
					copy(row[h:h+hd], rms([][]float64{row[h : h+hd]}, gain, cfg.Eps)[0])
				}
			}
			rotate(q[i], i, hd, cfg.Theta)
			rotate(k[i], i, hd, cfg.Theta)
		}
		accumulate(x, lin(floatAttention(cfg, q, k, v), "self_attn.o_proj"))
		b := rms(x, get("post_attention_layernorm.weight"), cfg.Eps)
		gate, up := lin(b, "mlp.gate_proj"), lin(b, "mlp.up_proj")
		for i := range gate {
			for j, z := range gate[i] {
				gate[i][j] = z / (1 + math.Exp(-z)) * up[i][j]
			}
		}
		accumulate(x, lin(gate, "mlp.down_proj"))
	}
	head := w["lm_head.weight"]
	if head == nil {
		head = w["model.embed_tokens.weight"]
	}
	return mul(rms(x, w["model.norm.weight"], cfg.Eps), head)
}

func floatAttention(cfg Config, q, k, v [][]float64) [][]float64 {
	hd := cfg.HeadDim
	att := make([][]float64, len(q))
	for i := range q {
		att[i] = make([]float64, cfg.Heads*hd)
		for h := 0; h < cfg.Heads; h++ {
			g := h * cfg.KVHeads / cfg.Heads
			p := make([]float64, i+1)
			top, sum := math.Inf(-1), 0.0
			for j := range p {
				for c := 0; c < hd; c++ {
					p[j] += q[i][h*hd+c] * k[j][g*hd+c]
				}
				p[j] /= math.Sqrt(float64(hd))
				top = max(top, p[j])
			}
			for j := range p {
				p[j] = math.Exp(p[j] - top)
				sum += p[j]
			}
			for j := range p {
				for c := 0; c < hd; c++ {
					att[i][h*hd+c] += p[j] / sum * v[j][g*hd+c]
				}
			}
		}
	}
	return att
}

func widen(row []float32) []float64 {
	out := make([]float64, len(row))
	for i, v := range row {
		out[i] = float64(v)
	}
	return out
}

func rms(x [][]float64, gain *Tensor, eps float64) [][]float64 {
	out := make([][]float64, len(x))
	for i, row := range x {
		var s float64
		for _, v := range row {
			s += v * v
		}
		r := 1 / math.Sqrt(s/float64(len(row))+eps)
		out[i] = make([]float64, len(row))
		for j, v := range row {
			out[i][j] = v * r * float64(gain.Data[j])
		}
	}
	return out
}

func mul(x [][]float64, w *Tensor) [][]float64 {
	out := make([][]float64, len(x))
	for i, row := range x {
		out[i] = make([]float64, w.Rows)
		for n := range out[i] {
			var s float64
			for k, v := range w.Row(n) {
				s += float64(v) * row[k]
			}
			out[i][n] = s
		}
	}
	return out
}

func rotate(row []float64, pos, d int, theta float64) {
	for h := 0; h < len(row); h += d {
		for j := 0; j < d/2; j++ {
			sin, cos := math.Sincos(float64(pos) * math.Pow(theta, -2*float64(j)/float64(d)))
			a, b := row[h+j], row[h+j+d/2]
			row[h+j], row[h+j+d/2] = a*cos-b*sin, b*cos+a*sin
		}
	}
}

func accumulate(x, y [][]float64) {
	for i := range x {
		for j := range x[i] {
			x[i][j] += y[i][j]
		}
	}
}

// intModel runs the blob on a device, op for op as the llama module does in a
// prefill, and reads the logits that the module never hands out.
type intModel struct {
	t  *testing.T
	c  blobConfig
	sp device.Space
	w  map[string]device.Handle
}

func newIntModel(t *testing.T, m *manifest.ModelFile) *intModel {
	t.Helper()
	dev, err := cpudev.New(cpudev.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	sp, err := dev.NewSpace(64 << 20)
	if err != nil {
		t.Fatal(err)
	}
	im := &intModel{t: t, sp: sp, w: map[string]device.Handle{}}
	if err := json.Unmarshal(m.Config, &im.c); err != nil {
		t.Fatal(err)
	}
	for _, tn := range m.Tensors {
		h := im.alloc(device.DType(tn.DType), tn.Rows, tn.Cols)
		if err := sp.Write(h, 0, tn.Data); err != nil {
			t.Fatal(err)
		}
		im.w[tn.Name] = h
	}
	return im
}

func (m *intModel) alloc(dt device.DType, rows, cols int) device.Handle {
	h, err := m.sp.Alloc(dt, device.Shape{Rows: rows, Cols: cols})
	if err != nil {
		m.t.Fatal(err)
	}
	return h
}

func (m *intModel) view(h device.Handle, rows, cols int) device.Handle {
	v, err := m.sp.View(h, 0, device.Shape{Rows: rows, Cols: cols})
	if err != nil {
		m.t.Fatal(err)
	}
	return v
}

func (m *intModel) run(op device.Op, tensors []device.Handle, imms ...int64) {
	if err := m.sp.Run(device.Call{Op: op, Tensors: tensors, Imms: imms}); err != nil {
		m.t.Fatalf("op %d: %v", op, err)
	}
}

func (m *intModel) logits(ids []byte) [][]float64 {
	c, n := m.c, len(ids)
	type hs = []device.Handle
	s32 := func(cols int) device.Handle { return m.alloc(device.S32, n, cols) }
	qw, kw := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	x, q, k, v := s32(c.Width), s32(qw), s32(kw), s32(kw)
	gate, up, logits := s32(c.FFN), s32(c.FFN), s32(c.Vocab)
	idT, pos := s32(1), s32(1)
	a8, as := m.alloc(device.S8, n, c.Width), m.alloc(device.ScaleT, n, 1)
	h8 := m.alloc(device.S8, n, c.FFN)
	q8, k8, v8 := m.alloc(device.S8, n, qw), m.alloc(device.S8, n, kw), m.alloc(device.S8, n, kw)
	qs, ks, vs := m.alloc(device.ScaleT, n, c.Heads), m.alloc(device.ScaleT, n, c.KVHeads), m.alloc(device.ScaleT, n, c.KVHeads)
	all := hs{x, q, k, v, gate, up, logits, idT, pos, a8, as, h8, q8, k8, v8, qs, ks, vs}
	var pid, ppos []byte
	for i, id := range ids {
		pid = binary.LittleEndian.AppendUint32(pid, uint32(id))
		ppos = binary.LittleEndian.AppendUint32(ppos, uint32(i))
	}
	for h, p := range map[device.Handle][]byte{idT: pid, pos: ppos} {
		if err := m.sp.Write(h, 0, p); err != nil {
			m.t.Fatal(err)
		}
	}
	lin := func(dst, a device.Handle, name string, res device.Handle, eout int) {
		m.run(device.OpLinear, hs{dst, a, as, m.w[name], m.w[name+".scale"], m.w[name+".bias"], res}, int64(eout))
	}
	heads := func(dst, scale, src device.Handle, h int) {
		d, s, r := m.view(dst, n*h, c.HeadDim), m.view(scale, n*h, 1), m.view(src, n*h, c.HeadDim)
		m.run(device.OpQuant, hs{d, s, r}, 16)
		all = append(all, d, s, r)
	}
	m.run(device.OpEmbed, hs{x, m.w["embed"], m.w["embed.scale"], idT}, int64(c.Frac))
	for l := 0; l < c.Layers; l++ {
		p := fmt.Sprintf("layer.%d.", l)
		m.run(device.OpNormQuant, hs{a8, as, x, m.w[p+"att_norm"]}, c.EpsK)
		lin(q, a8, p+"q", 0, 47)
		lin(k, a8, p+"k", 0, 47)
		lin(v, a8, p+"v", 0, 47)
		for name, t := range map[string]device.Handle{"q_norm": q, "k_norm": k} {
			if gain := m.w[p+name]; gain != 0 {
				_, sh, _ := m.sp.Stat(t)
				r := m.view(t, n*sh.Cols/c.HeadDim, c.HeadDim)
				m.run(device.OpNorm, hs{r, r, gain}, c.EpsHead)
				all = append(all, r)
			}
		}
		m.run(device.OpRope, hs{q, q, m.w["rope"], pos})
		m.run(device.OpRope, hs{k, k, m.w["rope"], pos})
		heads(q8, qs, q, c.Heads)
		heads(k8, ks, k, c.KVHeads)
		heads(v8, vs, v, c.KVHeads)
		m.run(device.OpAttention, hs{q, q8, qs, k8, ks, v8, vs}, int64(n), c.AttMant, int64(c.AttExp), 47)
		m.run(device.OpQuant, hs{q8, as, q}, 16)
		lin(x, q8, p+"o", x, c.Frac+31)
		m.run(device.OpNormQuant, hs{a8, as, x, m.w[p+"ffn_norm"]}, c.EpsK)
		lin(gate, a8, p+"gate", 0, 47)
		lin(up, a8, p+"up", 0, 47)
		m.run(device.OpSiluMul, hs{gate, gate, up})
		m.run(device.OpQuant, hs{h8, as, gate}, 16)
		lin(x, h8, p+"down", x, c.Frac+31)
	}
	m.run(device.OpNormQuant, hs{a8, as, x, m.w["norm"]}, c.EpsK)
	head := "embed"
	if m.w["head"] != 0 {
		head = "head"
	}
	lin(logits, a8, head, 0, 47)
	raw := make([]byte, 4*n*c.Vocab)
	if err := m.sp.Read(logits, 0, raw); err != nil {
		m.t.Fatal(err)
	}
	for _, h := range all {
		if err := m.sp.Free(h); err != nil {
			m.t.Fatal(err)
		}
	}
	out := make([][]float64, n)
	for i := range out {
		out[i] = make([]float64, c.Vocab)
		for j := range out[i] {
			out[i][j] = float64(int32(binary.LittleEndian.Uint32(raw[4*(i*c.Vocab+j):]))) / 65536
		}
	}
	return out
}
