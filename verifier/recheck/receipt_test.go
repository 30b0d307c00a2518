package recheck

import (
	"errors"
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/modules/manifest"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/sandbox"
	"github.com/assaynet/assay/verifier/commit"
)

// loadModel puts the shipped model on a device.
func loadModel(t *testing.T, dev device.Device) (*sandbox.Model, [32]byte) {
	t.Helper()
	blob, err := catalog.Model(catalog.Opticks)
	if err != nil {
		t.Fatal(err)
	}
	file, err := manifest.DecodeModel(blob.Blob)
	if err != nil {
		t.Fatal(err)
	}
	space, err := dev.NewSpace(64 << 20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { space.Close() })
	m := &sandbox.Model{Config: file.Config, Space: space, Tensors: map[string]device.Handle{}}
	for _, x := range file.Tensors {
		h, err := space.Alloc(device.DType(x.DType), device.Shape{Rows: x.Rows, Cols: x.Cols})
		if err != nil {
			t.Fatal(err)
		}
		if err := space.Write(h, 0, x.Data); err != nil {
			t.Fatal(err)
		}
		m.Tensors[x.Name] = h
	}
	return m, [32]byte(blob.Hash)
}

// A receipt for a real answer re-runs, by generation and by prefill; each lie
// in it is told apart.
func TestReceipt(t *testing.T) {
	rt, dev := newRuntime(t), cpu(t)
	c := checker(t, rt, dev, 1)
	model, modelHash := loadModel(t, dev)
	e, err := catalog.Get(catalog.Llama)
	if err != nil {
		t.Fatal(err)
	}
	req := commit.Request{Module: [32]byte(e.Manifest.Hash), Model: modelHash, Seed: [32]byte{5},
		Sampling: commit.Sampling{Temperature: commit.Q16 / 2, TopK: 40, TopP: commit.Q16, Penalty: commit.Q16}, MaxTokens: 24,
		Prompt: []byte("the rays of light")}
	a := Answer{Wasm: e.Wasm, Model: model, Request: req, TensorBytes: e.Manifest.TensorBytes, Gas: 1 << 40}

	// The miner's side: generate and sign off.
	module, err := rt.Admit(e.Wasm)
	if err != nil {
		t.Fatal(err)
	}
	defer module.Close()
	running := commit.NewOutput(req.Hash())
	var tokens []uint32
	in, err := module.Start(t.Context(), sandbox.Job{Device: dev, TensorBytes: a.TensorBytes, Seed: req.Seed, Model: model,
		Request: req.Bytes(), Gas: a.Gas, Emit: func(token uint32, text []byte) bool {
			tokens = append(tokens, token)
			running.Add(token, text)
			return false
		}})
	if err != nil {
		t.Fatal(err)
	}
	out, err := in.Infer(t.Context())
	if err := errors.Join(err, in.Close()); err != nil {
		t.Fatal(err)
	}
	if out.Trap != abi.TrapNone || len(tokens) == 0 {
		t.Fatalf("%v after %d tokens, log %q", out.Trap, len(tokens), out.Log)
	}
	honest := commit.Receipt{ChainID: "assay-1", Channel: 1, Miner: []byte{1}, Epoch: 1, Request: req.Hash(), Module: req.Module,
		Model: req.Model, Output: running.Sum(), Trap: uint8(out.Trap), Tokens: uint32(len(tokens)), Gas: uint64(out.GasUsed)}

	known := a
	known.Tokens = tokens
	if err := c.Receipt(t.Context(), a, honest); err != nil {
		t.Errorf("generation: %v", err)
	}
	if err := c.Receipt(t.Context(), known, honest); err != nil {
		t.Errorf("prefill: %v", err)
	}
	for field, bend := range map[string]func(*commit.Receipt){
		"request":          func(r *commit.Receipt) { r.Request[0] ^= 1 },
		"module":           func(r *commit.Receipt) { r.Module[0] ^= 1 },
		"model":            func(r *commit.Receipt) { r.Model[0] ^= 1 },
		"output":           func(r *commit.Receipt) { r.Output[31] ^= 1 },
		"outcome":          func(r *commit.Receipt) { r.Trap = uint8(abi.TrapOutOfGas) },
		"number of tokens": func(r *commit.Receipt) { r.Tokens += 100 },
	} {
		r := honest
		bend(&r)
		for _, from := range []Answer{a, known} {
			var lie *ReceiptError
			if err := c.Receipt(t.Context(), from, r); !errors.As(err, &lie) || lie.Field != field {
				t.Errorf("%s: %v", field, err)
			}
		}
	}
	bent := known
	bent.Tokens = append([]uint32(nil), tokens...)
	bent.Tokens[len(tokens)/2] ^= 1
	var lie *ReceiptError
	if err := c.Receipt(t.Context(), bent, honest); !errors.As(err, &lie) {
		t.Errorf("a token that was not chosen: %v", err)
	}
	other := a
	other.Wasm = append([]byte(nil), a.Wasm...)
	other.Wasm[100] ^= 1
	if err := c.Receipt(t.Context(), other, honest); !errors.Is(err, ErrModule) {
		t.Errorf("other bytes: %v", err)
	}
	starved := a
	starved.Gas = 1000
	if err := c.Receipt(t.Context(), starved, honest); !errors.As(err, &lie) || lie.Field != "outcome" {
		t.Errorf("less gas than the miner had: %v", err)
	}
}
