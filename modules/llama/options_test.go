package main_test

import (
	"encoding/binary"
	"fmt"
	"math/rand"
	"slices"
	"testing"

	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/modules/internal/guesttest"
	"github.com/assaynet/assay/modules/manifest"
	"github.com/assaynet/assay/modules/modelimport"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/verifier/commit"
)

const tinyVocab = 40

// tiny is a random model in the shape of Qwen3 with biases, eleven layers so
// that layer numbers have two digits, and texts for its tokens.
func tiny(t *testing.T, eos *int) *manifest.ModelFile {
	t.Helper()
	cfg := modelimport.Config{Vocab: tinyVocab, Width: 24, FFN: 40, Layers: 11, Heads: 4, KVHeads: 2, HeadDim: 8,
		Context: 300, Eps: 1e-6, Theta: 1e6, Act: "silu"}
	r := rand.New(rand.NewSource(5))
	w := map[string]*modelimport.Tensor{}
	add := func(name string, rows, cols int) {
		x := &modelimport.Tensor{Rows: rows, Cols: cols, Data: make([]float32, rows*cols)}
		for i := range x.Data {
			x.Data[i] = float32(r.NormFloat64()) / 2
		}
		w[name] = x
	}
	add("model.embed_tokens.weight", tinyVocab, 24)
	add("lm_head.weight", tinyVocab, 24)
	add("model.norm.weight", 1, 24)
	for l := range cfg.Layers {
		p := fmt.Sprintf("model.layers.%d.", l)
		add(p+"input_layernorm.weight", 1, 24)
		add(p+"post_attention_layernorm.weight", 1, 24)
		add(p+"self_attn.q_norm.weight", 1, 8)
		add(p+"self_attn.k_norm.weight", 1, 8)
		for _, m := range []struct {
			n          string
			rows, cols int
		}{{"self_attn.q_proj", 32, 24}, {"self_attn.k_proj", 16, 24}, {"self_attn.v_proj", 16, 24}, {"self_attn.o_proj", 24, 32},
			{"mlp.gate_proj", 40, 24}, {"mlp.up_proj", 40, 24}, {"mlp.down_proj", 24, 40}} {
			add(p+m.n+".weight", m.rows, m.cols)
			add(p+m.n+".bias", 1, m.rows)
		}
	}
	texts := make([][]byte, tinyVocab)
	for i := range texts {
		texts[i] = fmt.Appendf(nil, "<%d>", i)
	}
	m, err := modelimport.Convert(cfg, w, modelimport.Options{Vocab: texts, EOS: eos, IDPrompt: true})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func idPrompt(ids ...uint32) (p []byte) {
	for _, id := range ids {
		p = binary.LittleEndian.AppendUint32(p, id)
	}
	return p
}

func TestModelWithEveryOption(t *testing.T) {
	rt, m := guesttest.Admit(t, catalog.Llama, false)
	hot := commit.Sampling{Temperature: commit.Q16, TopP: commit.Q16, Penalty: commit.Q16 * 11 / 10}
	q := commit.Request{Seed: [32]byte{1}, Sampling: hot, MaxTokens: 200, Prompt: idPrompt(3, 9, 27)}
	dev := guesttest.CPU(t)
	free := guesttest.Upload(t, dev, tiny(t, nil))
	out := ok(t, infer(t, m, job(dev, free, q)))
	var text []byte
	for _, id := range out.Tokens {
		text = fmt.Appendf(text, "<%d>", id)
	}
	if len(out.Tokens) != 200 || string(out.Text) != string(text) {
		t.Fatalf("%d tokens, text %q, want %q", len(out.Tokens), out.Text, text)
	}
	ref := guesttest.Reference(t, rt)
	onRef := guesttest.Upload(t, ref, tiny(t, nil))
	if v := ok(t, check(t, m, job(ref, onRef, q), out.Tokens)); string(v.Text) != string(text) {
		t.Errorf("check emits %q", v.Text)
	}

	// The same model, with a token of that answer as its end mark.
	end := 60
	for slices.Contains(out.Tokens[:end], out.Tokens[end]) {
		end++
	}
	eos := int(out.Tokens[end])
	ending := guesttest.Upload(t, dev, tiny(t, &eos))
	short := ok(t, infer(t, m, job(dev, ending, q)))
	if !slices.Equal(short.Tokens, out.Tokens[:end+1]) {
		t.Errorf("%d tokens up to the end mark, want %d", len(short.Tokens), end+1)
	}
	ok(t, check(t, m, job(dev, ending, q), short.Tokens))
	if v := check(t, m, job(dev, ending, q), out.Tokens); v.Trap != abi.TrapAbort || v.Code != 5 {
		t.Errorf("tokens after the end: %v, code %d", v.Trap, v.Code)
	}
	for name, p := range map[string][]byte{"no prompt": nil, "half an id": {1, 0}} {
		bad := q
		bad.Prompt = p
		if v := infer(t, m, job(dev, free, bad)); v.Trap != abi.TrapAbort || v.Code != 3 {
			t.Errorf("%s: %v, code %d", name, v.Trap, v.Code)
		}
	}
}

// A model that is not what the module expects is refused, not misread.
func TestRefusesForeignModels(t *testing.T) {
	_, m := guesttest.Admit(t, catalog.Llama, false)
	dev := guesttest.CPU(t)
	good := tiny(t, nil)
	q := commit.Request{Sampling: commit.Greedy(), MaxTokens: 2, Prompt: idPrompt(1)}
	for name, edit := range map[string]func(*manifest.ModelFile){
		"no config": func(m *manifest.ModelFile) { m.Config = []byte(`{}`) },
		"config":    func(m *manifest.ModelFile) { m.Config = []byte(`{"vocab":"40"}`) },
		"no tensor": func(m *manifest.ModelFile) { m.Tensors = m.Tensors[2:] },
		"no texts": func(m *manifest.ModelFile) {
			m.Tensors = slices.DeleteFunc(slices.Clone(m.Tensors), func(t manifest.Tensor) bool { return t.Name == "vocab.offsets" })
		},
	} {
		bad := *good
		edit(&bad)
		if out := infer(t, m, job(dev, guesttest.Upload(t, dev, &bad), q)); out.Trap != abi.TrapAbort || out.Code != 2 {
			t.Errorf("%s: %v, code %d, log %q", name, out.Trap, out.Code, out.Log)
		}
	}
	// A tensor of another shape is the device's to refuse.
	bad := *good
	bad.Tensors = slices.Clone(good.Tensors)
	bad.Tensors[0].Cols, bad.Tensors[0].Rows = bad.Tensors[0].Rows, bad.Tensors[0].Cols
	if out := infer(t, m, job(dev, guesttest.Upload(t, dev, &bad), q)); out.Trap != abi.TrapTensorShape {
		t.Errorf("shape: %v", out.Trap)
	}
}
