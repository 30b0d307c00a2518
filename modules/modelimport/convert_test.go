package modelimport

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/assaynet/assay/modules/manifest"
)

const smallConfig = `{"model_type":"qwen3","vocab_size":5,"hidden_size":8,"intermediate_size":12,
"num_hidden_layers":2,"num_attention_heads":2,"num_key_value_heads":1,"head_dim":6,"max_position_embeddings":16,
"rms_norm_eps":1e-6,"rope_theta":10000,"tie_word_embeddings":false,"hidden_act":"silu"}`

// small is a checkpoint with every optional tensor.
func small(t *testing.T) (Config, map[string]*Tensor) {
	t.Helper()
	cfg, err := ParseConfig([]byte(smallConfig))
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewSource(1))
	w := map[string]*Tensor{}
	add := func(name string, rows, cols int) {
		x := &Tensor{rows, cols, make([]float32, rows*cols)}
		for i := range x.Data {
			x.Data[i] = float32(r.NormFloat64())
		}
		w[name] = x
	}
	add("model.embed_tokens.weight", 5, 8)
	add("lm_head.weight", 5, 8)
	add("model.norm.weight", 1, 8)
	for l := 0; l < 2; l++ {
		p := fmt.Sprintf("model.layers.%d.", l)
		add(p+"input_layernorm.weight", 1, 8)
		add(p+"post_attention_layernorm.weight", 1, 8)
		add(p+"self_attn.q_norm.weight", 1, 6)
		add(p+"self_attn.k_norm.weight", 1, 6)
		for _, m := range []struct {
			n          string
			rows, cols int
		}{{"self_attn.q_proj", 12, 8}, {"self_attn.k_proj", 6, 8}, {"self_attn.v_proj", 6, 8}, {"self_attn.o_proj", 8, 12},
			{"mlp.gate_proj", 12, 8}, {"mlp.up_proj", 12, 8}, {"mlp.down_proj", 8, 12}} {
			add(p+m.n+".weight", m.rows, m.cols)
			add(p+m.n+".bias", 1, m.rows)
		}
	}
	return cfg, w
}

func texts() [][]byte {
	return [][]byte{[]byte("a"), {}, []byte(" the"), {0xff}, []byte("z")}
}

func TestConvertKeepsEveryTensor(t *testing.T) {
	cfg, w := small(t)
	eos := 3
	m, err := Convert(cfg, w, Options{Vocab: texts(), EOS: &eos, IDPrompt: true, Frac: 12, PlainQK: true})
	if err != nil {
		t.Fatal(err)
	}
	blob, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if m, err = manifest.DecodeModel(blob); err != nil {
		t.Fatal(err)
	}
	var c blobConfig
	if err := json.Unmarshal(m.Config, &c); err != nil {
		t.Fatal(err)
	}
	if c.EOS != 3 || c.BOS != -1 || c.IDPrompt != 1 || c.Frac != 12 || c.HeadDim != 6 || c.Context != 16 {
		t.Errorf("config %+v", c)
	}
	if got := math.Ldexp(float64(c.AttMant), -c.AttExp); math.Abs(got-math.Log2E/math.Sqrt(6)) > 1e-9 {
		t.Errorf("attention scale %g", got)
	}
	// Every weight is within half a step of its float.
	for name, from := range map[string]string{"embed": "model.embed_tokens.weight", "head": "lm_head.weight",
		"layer.0.q": "model.layers.0.self_attn.q_proj.weight", "layer.1.down": "model.layers.1.mlp.down_proj.weight"} {
		q, _ := m.Tensor(name)
		s, _ := m.Tensor(name + ".scale")
		if q == nil || s == nil {
			t.Fatalf("no tensor %s", name)
		}
		for i, v := range w[from].Data {
			at := s.Data[8*(i/q.Cols):]
			step := math.Ldexp(float64(binary.LittleEndian.Uint32(at)), -int(int32(binary.LittleEndian.Uint32(at[4:]))))
			if d := math.Abs(float64(int8(q.Data[i]))*step - float64(v)); d > step*0.5001 {
				t.Fatalf("%s[%d]: off by %g, step %g", name, i, d, step)
			}
		}
	}
	for name, frac := range map[string]int{"layer.0.q.bias": 16, "layer.1.o.bias": 12, "layer.1.down.bias": 12, "layer.0.k_norm": 16, "norm": 16} {
		b, ok := m.Tensor(name)
		if !ok {
			t.Fatalf("no tensor %s", name)
		}
		from := map[string]string{"layer.0.q.bias": "model.layers.0.self_attn.q_proj.bias", "layer.1.o.bias": "model.layers.1.self_attn.o_proj.bias",
			"layer.1.down.bias": "model.layers.1.mlp.down_proj.bias", "layer.0.k_norm": "model.layers.0.self_attn.k_norm.weight", "norm": "model.norm.weight"}[name]
		for i, v := range w[from].Data {
			got := math.Ldexp(float64(int32(binary.LittleEndian.Uint32(b.Data[4*i:]))), -frac)
			if math.Abs(got-float64(v)) > math.Ldexp(1, -frac) {
				t.Fatalf("%s[%d] = %g, want %g", name, i, got, v)
			}
		}
	}
	offs, _ := m.Tensor("vocab.offsets")
	all, _ := m.Tensor("vocab.bytes")
	if offs == nil || all == nil || string(all.Data) != "a the\xffz" || offs.Rows != 6 || binary.LittleEndian.Uint32(offs.Data[4*3:]) != 5 {
		t.Errorf("vocabulary %v %v", all, offs)
	}
	rope, _ := m.Tensor("rope")
	for pos := 0; pos < 16; pos++ {
		for j := 0; j < 3; j++ {
			a := float64(pos) * math.Pow(10000, -float64(j)/3)
			cos := int32(binary.LittleEndian.Uint32(rope.Data[4*(pos*6+j):]))
			sin := int32(binary.LittleEndian.Uint32(rope.Data[4*(pos*6+j+3):]))
			if math.Abs(float64(cos)/(1<<30)-math.Cos(a)) > 1e-8 || math.Abs(float64(sin)/(1<<30)-math.Sin(a)) > 1e-8 {
				t.Fatalf("rope at %d, pair %d: %d, %d", pos, j, cos, sin)
			}
		}
	}
}

func TestConvertRefuses(t *testing.T) {
	for name, edit := range map[string]func(*Config, map[string]*Tensor, *Options){
		"missing tensor": func(_ *Config, w map[string]*Tensor, _ *Options) { delete(w, "model.norm.weight") },
		"shape": func(_ *Config, w map[string]*Tensor, _ *Options) {
			w["lm_head.weight"].Rows, w["lm_head.weight"].Cols = 8, 5
		},
		"gain overflows": func(_ *Config, w map[string]*Tensor, _ *Options) { w["model.norm.weight"].Data[0] = 40000 },
		"no texts":       func(_ *Config, _ map[string]*Tensor, o *Options) { o.Vocab = nil },
		"texts":          func(_ *Config, _ map[string]*Tensor, o *Options) { o.Vocab = o.Vocab[1:] },
		"frac":           func(_ *Config, _ map[string]*Tensor, o *Options) { o.Frac = 25 },
	} {
		cfg, w := small(t)
		opt := Options{Vocab: texts()}
		edit(&cfg, w, &opt)
		if _, err := Convert(cfg, w, opt); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseConfigRefuses(t *testing.T) {
	for _, edit := range [][2]string{
		{`"vocab_size":5`, `"vocab_size":0`}, {`"num_hidden_layers":2`, `"num_hidden_layers":257`},
		{`"num_key_value_heads":1`, `"num_key_value_heads":4`}, {`"head_dim":6`, `"head_dim":7`},
		{`"hidden_act":"silu"`, `"hidden_act":"gelu"`}, {`"rope_theta":10000`, `"rope_scaling":{"factor":8}`}, {`{`, `[`},
	} {
		text := strings.Replace(smallConfig, edit[0], edit[1], 1)
		if _, err := ParseConfig([]byte(text)); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%s: %v", edit[1], err)
		}
	}
}

func safetensors(head string, data []byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(head)))
	return append(append(b, head...), data...)
}

func TestReadSafetensors(t *testing.T) {
	data := []byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0x00, 0x3c, 0x01, 0x00, 0x80, 0x3f}
	head := `{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},` +
		`"b":{"dtype":"F16","shape":[2],"data_offsets":[8,12]},"c":{"dtype":"BF16","shape":[1],"data_offsets":[12,14]}}`
	got, err := ReadSafetensors(safetensors(head, data))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]float32{"a": {1, -2}, "b": {1, float32(math.Ldexp(1, -24))}, "c": {1}} {
		if !slices.Equal(got[name].Data, want) {
			t.Errorf("%s: %v, want %v", name, got[name].Data, want)
		}
	}
	one := `{"a":{"dtype":%q,"shape":%s,"data_offsets":%s}}`
	for name, file := range map[string][]byte{
		"empty":      nil,
		"header":     safetensors(`{`, nil),
		"header len": binary.LittleEndian.AppendUint64(nil, 1<<40),
		"type":       safetensors(fmt.Sprintf(one, "F8", "[1]", "[0,1]"), data),
		"offsets":    safetensors(fmt.Sprintf(one, "F32", "[1]", "[0,5]"), data),
		"backwards":  safetensors(fmt.Sprintf(one, "F32", "[1]", "[8,4]"), data),
		"beyond":     safetensors(fmt.Sprintf(one, "F32", "[4]", "[0,16]"), data),
		"negative":   safetensors(fmt.Sprintf(one, "F32", "[-1]", "[0,4]"), data),
		"dimensions": safetensors(fmt.Sprintf(one, "F32", "[1,1,1]", "[0,4]"), data),
		"overflow":   safetensors(fmt.Sprintf(one, "F32", "[4294967296,4294967296]", "[0,0]"), data),
		"NaN":        safetensors(fmt.Sprintf(one, "F16", "[1]", "[0,2]"), []byte{0, 0x7e}),
	} {
		if _, err := ReadSafetensors(file); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReadSafetensors(f *testing.F) {
	f.Add(safetensors(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, make([]byte, 4)))
	f.Fuzz(func(t *testing.T, p []byte) {
		if _, err := ReadSafetensors(p); err != nil && !errors.Is(err, ErrCheckpoint) {
			t.Fatal(err)
		}
	})
}
