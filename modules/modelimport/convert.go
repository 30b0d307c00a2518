package modelimport

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/bits"

	"github.com/assaynet/assay/modules/manifest"
)

// Options of a conversion. The zero value means: residual stream Q16, context
// of the checkpoint (at most 32,768), no marker tokens, bytes as tokens.
type Options struct {
	Frac     int      // fraction bits of the residual stream, 1 to 24; 0 for 16
	Context  int      // positions to support; 0 for the checkpoint's own
	BOS, EOS *int     // token ids; nil for none
	IDPrompt bool     // prompts are token ids
	Vocab    [][]byte // text of each token; nil if the vocabulary is the 256 bytes
	PlainQK  bool     // keep queries and keys as they are, without balancing (see smooth.go)
}

// integer config of the llama module; the documentation of the package lists it.
type blobConfig struct {
	Vocab    int   `json:"vocab"`
	Width    int   `json:"width"`
	Layers   int   `json:"layers"`
	Heads    int   `json:"heads"`
	KVHeads  int   `json:"kv_heads"`
	HeadDim  int   `json:"head_dim"`
	FFN      int   `json:"ffn"`
	Context  int   `json:"context"`
	Frac     int   `json:"frac"`
	AttMant  int64 `json:"att_mant"`
	AttExp   int   `json:"att_exp"`
	EpsK     int64 `json:"eps_k"`
	EpsHead  int64 `json:"eps_head"`
	BOS      int   `json:"bos"`
	EOS      int   `json:"eos"`
	IDPrompt int   `json:"id_prompt"`
}

type converter struct {
	cfg     Config
	in      map[string]*Tensor
	over    map[string]*Tensor // replaces in for the layer at hand
	frac    int
	plainQK bool
	out     manifest.ModelFile
	err     error // the first one; later steps do nothing
}

// Convert makes the integer model. Errors are of class ErrCheckpoint.
func Convert(cfg Config, tensors map[string]*Tensor, opt Options) (*manifest.ModelFile, error) {
	c := &converter{cfg: cfg, in: tensors, frac: opt.Frac, plainQK: opt.PlainQK}
	if c.frac == 0 {
		c.frac = 16
	}
	if c.frac < 1 || c.frac > 24 {
		return nil, bad("frac %d, 1 to 24 is supported", c.frac)
	}
	context := min(cfg.Context, maxContext)
	if opt.Context > 0 {
		context = min(opt.Context, context)
	}
	if opt.Vocab == nil && cfg.Vocab != 256 {
		return nil, bad("%d tokens without their texts", cfg.Vocab)
	}
	if opt.Vocab != nil && len(opt.Vocab) != cfg.Vocab {
		return nil, bad("%d texts for %d tokens", len(opt.Vocab), cfg.Vocab)
	}
	mant, exp := scaleOf(math.Log2E / math.Sqrt(float64(cfg.HeadDim)))
	bc := blobConfig{
		Vocab: cfg.Vocab, Width: cfg.Width, Layers: cfg.Layers, Heads: cfg.Heads, KVHeads: cfg.KVHeads,
		HeadDim: cfg.HeadDim, FFN: cfg.FFN, Context: context, Frac: c.frac, AttMant: int64(mant), AttExp: int(exp),
		EpsK:    int64(math.Ldexp(cfg.Eps*float64(cfg.Width), 2*c.frac)),
		EpsHead: int64(math.Ldexp(cfg.Eps*float64(cfg.HeadDim), 32)),
		BOS:     tokenOr(opt.BOS), EOS: tokenOr(opt.EOS),
	}
	if opt.IDPrompt {
		bc.IDPrompt = 1
	}
	text, err := json.Marshal(bc)
	if err != nil {
		return nil, fmt.Errorf("modelimport: config: %w", err)
	}
	c.out.Config = text

	c.matrix("embed", "model.embed_tokens.weight", cfg.Vocab, cfg.Width)
	for i := 0; i < cfg.Layers; i++ {
		c.layer(i)
	}
	c.gain("norm", "model.norm.weight", cfg.Width)
	if _, ok := tensors["lm_head.weight"]; ok && !cfg.Tied {
		c.matrix("head", "lm_head.weight", cfg.Vocab, cfg.Width)
	}
	c.rope(context)
	if opt.Vocab != nil {
		c.vocab(opt.Vocab)
	}
	if c.err != nil {
		return nil, c.err
	}
	return &c.out, nil
}

func (c *converter) layer(i int) {
	in, out := layerPrefix(i), fmt.Sprintf("layer.%d.", i)
	if !c.plainQK {
		c.over = c.smooth(in)
	}
	d, f, h, g := c.cfg.Width, c.cfg.FFN, c.cfg.Heads*c.cfg.HeadDim, c.cfg.KVHeads*c.cfg.HeadDim
	c.gain(out+"att_norm", in+"input_layernorm.weight", d)
	c.gain(out+"ffn_norm", in+"post_attention_layernorm.weight", d)
	for _, n := range []string{"q_norm", "k_norm"} {
		if _, ok := c.in[in+"self_attn."+n+".weight"]; ok {
			c.gain(out+n, in+"self_attn."+n+".weight", c.cfg.HeadDim)
		}
	}
	for _, m := range []struct {
		out, in       string
		rows, cols, f int
	}{
		{"q", "self_attn.q_proj", h, d, 16}, {"k", "self_attn.k_proj", g, d, 16}, {"v", "self_attn.v_proj", g, d, 16},
		{"o", "self_attn.o_proj", d, h, c.frac},
		{"gate", "mlp.gate_proj", f, d, 16}, {"up", "mlp.up_proj", f, d, 16}, {"down", "mlp.down_proj", d, f, c.frac},
	} {
		c.matrix(out+m.out, in+m.in+".weight", m.rows, m.cols)
		if _, ok := c.in[in+m.in+".bias"]; ok {
			c.fixed(out+m.out+".bias", in+m.in+".bias", m.rows, m.f)
		}
	}
}

// take finds a checkpoint tensor and checks its shape.
func (c *converter) take(name string, rows, cols int) *Tensor {
	if c.err != nil {
		return nil
	}
	t, ok := c.over[name]
	if !ok {
		t, ok = c.in[name]
	}
	switch {
	case !ok:
		c.err = bad("no tensor %q", name)
	case t.Rows != rows || t.Cols != cols:
		c.err = bad("tensor %q is [%d,%d], config.json says [%d,%d]", name, t.Rows, t.Cols, rows, cols)
	default:
		return t
	}
	return nil
}

func (c *converter) add(name string, dt uint8, rows, cols int, data []byte) {
	c.out.Tensors = append(c.out.Tensors, manifest.Tensor{Name: name, DType: dt, Rows: rows, Cols: cols, Data: data})
}

// matrix quantizes each row to int8 with a scale of its own.
func (c *converter) matrix(name, from string, rows, cols int) {
	t := c.take(from, rows, cols)
	if t == nil {
		return
	}
	q := make([]byte, 0, rows*cols)
	s := make([]byte, 0, 8*rows)
	for i := 0; i < rows; i++ {
		row := t.Row(i)
		var top float64
		for _, v := range row {
			top = max(top, math.Abs(float64(v)))
		}
		m, e := scaleOf(top / 127)
		s = binary.LittleEndian.AppendUint32(s, m)
		s = binary.LittleEndian.AppendUint32(s, uint32(e))
		step := math.Ldexp(float64(m), -int(e))
		for _, v := range row {
			var b int
			if step > 0 {
				b = int(max(-127, min(127, math.RoundToEven(float64(v)/step))))
			}
			q = append(q, byte(int8(b)))
		}
	}
	c.add(name, manifest.S8, rows, cols, q)
	c.add(name+".scale", manifest.Scale, rows, 1, s)
}

func (c *converter) gain(name, from string, n int) { c.fixed(name, from, n, 16) }

// fixed converts a vector to fixed point; a value that does not fit is an error.
func (c *converter) fixed(name, from string, n, frac int) {
	t := c.take(from, 1, n)
	if t == nil {
		return
	}
	p := make([]byte, 0, 4*n)
	for i, v := range t.Data {
		x := math.RoundToEven(math.Ldexp(float64(v), frac))
		if math.Abs(x) > math.MaxInt32 {
			c.err = bad("tensor %q: element %d is %g, too large for %d fraction bits", from, i, v, frac)
			return
		}
		p = binary.LittleEndian.AppendUint32(p, uint32(int32(x)))
	}
	c.add(name, manifest.S32, 1, n, p)
}

func (c *converter) rope(context int) {
	d := c.cfg.HeadDim
	p := make([]byte, 4*context*d)
	for pos := 0; pos < context; pos++ {
		for j := 0; j < d/2; j++ {
			sin, cos := math.Sincos(float64(pos) * math.Pow(c.cfg.Theta, -2*float64(j)/float64(d)))
			at := 4 * (pos*d + j)
			binary.LittleEndian.PutUint32(p[at:], uint32(int32(math.RoundToEven(cos*(1<<30)))))
			binary.LittleEndian.PutUint32(p[at+2*d:], uint32(int32(math.RoundToEven(sin*(1<<30)))))
		}
	}
	c.add("rope", manifest.S32, context, d, p)
}

func (c *converter) vocab(texts [][]byte) {
	var all, offs []byte
	for _, t := range texts {
		offs = binary.LittleEndian.AppendUint32(offs, uint32(len(all)))
		all = append(all, t...)
	}
	offs = binary.LittleEndian.AppendUint32(offs, uint32(len(all)))
	c.add("vocab.bytes", manifest.U8, 1, len(all), all)
	c.add("vocab.offsets", manifest.S32, len(texts)+1, 1, offs)
}

// scaleOf writes v as m·2^−e with m in [2^30, 2^31); zero for v <= 0.
func scaleOf(v float64) (m uint32, e int32) {
	if v <= 0 {
		return 0, 0
	}
	f, exp := math.Frexp(v) // f in [½, 1)
	x := uint64(math.RoundToEven(math.Ldexp(f, 31)))
	if bits.Len64(x) > 31 {
		x, exp = x>>1, exp+1
	}
	return uint32(x), int32(31 - exp)
}

func tokenOr(t *int) int {
	if t == nil {
		return -1
	}
	return *t
}
