package commit

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

func sampleRequest() Request {
	return Request{Module: [32]byte{1}, Model: [32]byte{2}, Seed: [32]byte{3},
		Sampling:  Sampling{Temperature: Q16, TopK: 40, TopP: 60_000, Penalty: 70_000},
		MaxTokens: 64, Prompt: []byte("If the rays of light")}
}

func sampleReceipt() Receipt {
	q := sampleRequest()
	return Receipt{ChainID: "assay-1", Channel: 9, Miner: bytes.Repeat([]byte{7}, 20), Epoch: 3,
		Request: q.Hash(), Module: q.Module, Model: q.Model, Output: [32]byte{4}, Trap: 1,
		PromptTokens: 20, Tokens: 64, Gas: 1 << 30, Price: 1_000_000}
}

func sampleVoucher() Voucher {
	return Voucher{ChainID: "assay-1", Channel: 9, Miner: bytes.Repeat([]byte{7}, 20), Epoch: 3, Amount: 5_000_000}
}

func TestRoundTrips(t *testing.T) {
	q, r, v := sampleRequest(), sampleReceipt(), sampleVoucher()
	if got, err := DecodeRequest(q.Bytes()); err != nil || !bytes.Equal(got.Bytes(), q.Bytes()) || got.Hash() != q.Hash() {
		t.Errorf("request: %v", err)
	}
	if got, err := DecodeReceipt(r.Bytes()); err != nil || !bytes.Equal(got.Bytes(), r.Bytes()) || got.Hash() != r.Hash() {
		t.Errorf("receipt: %v", err)
	}
	if got, err := DecodeVoucher(v.Bytes()); err != nil || !bytes.Equal(got.Bytes(), v.Bytes()) {
		t.Errorf("voucher: %v", err)
	}
	for name, c := range map[string]struct {
		enc    []byte
		decode func([]byte) error
	}{
		"request": {q.Bytes(), func(b []byte) error { _, err := DecodeRequest(b); return err }},
		"receipt": {r.Bytes(), func(b []byte) error { _, err := DecodeReceipt(b); return err }},
		"voucher": {v.Bytes(), func(b []byte) error { _, err := DecodeVoucher(b); return err }},
	} {
		for n := range c.enc {
			if c.decode(c.enc[:n]) == nil {
				t.Fatalf("%s: accepted %d of %d bytes", name, n, len(c.enc))
			}
		}
		if err := c.decode(append(slices.Clone(c.enc), 0)); !errors.Is(err, ErrEncoding) {
			t.Errorf("%s: trailing byte: %v", name, err)
		}
	}
}

func TestInferenceBounds(t *testing.T) {
	for name, bend := range map[string]func(*Request){
		"temperature": func(q *Request) { q.Sampling.Temperature = 16*Q16 + 1 },
		"top-k":       func(q *Request) { q.Sampling.TopK = 1<<24 + 1 },
		"top-p":       func(q *Request) { q.Sampling.TopP = Q16 + 1 },
		"penalty low": func(q *Request) { q.Sampling.Penalty = Q16/4 - 1 },
		"penalty":     func(q *Request) { q.Sampling.Penalty = 4*Q16 + 1 },
		"no tokens":   func(q *Request) { q.MaxTokens = 0 },
		"many tokens": func(q *Request) { q.MaxTokens = MaxTokens + 1 },
		"long prompt": func(q *Request) { q.Prompt = make([]byte, MaxPrompt+1) },
	} {
		q := sampleRequest()
		bend(&q)
		if err := q.Validate(); !errors.Is(err, ErrBounds) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := DecodeRequest(q.Bytes()); !errors.Is(err, ErrBounds) {
			t.Errorf("%s decoded: %v", name, err)
		}
	}
	for name, bend := range map[string]func(*Receipt){
		"no chain":    func(r *Receipt) { r.ChainID = "" },
		"long chain":  func(r *Receipt) { r.ChainID = strings.Repeat("x", MaxChainID+1) },
		"no miner":    func(r *Receipt) { r.Miner = nil },
		"long miner":  func(r *Receipt) { r.Miner = make([]byte, MaxAddress+1) },
		"no outcome":  func(r *Receipt) { r.Trap = 0 },
		"many tokens": func(r *Receipt) { r.Tokens = MaxTokens + 1 },
	} {
		r := sampleReceipt()
		bend(&r)
		if _, err := DecodeReceipt(r.Bytes()); !errors.Is(err, ErrBounds) {
			t.Errorf("%s decoded: %v", name, err)
		}
	}
	v := sampleVoucher()
	v.Miner = nil
	if _, err := DecodeVoucher(v.Bytes()); !errors.Is(err, ErrBounds) {
		t.Errorf("voucher without miner: %v", err)
	}
	if err := (Request{MaxTokens: 1, Sampling: Greedy()}).Validate(); err != nil {
		t.Errorf("greedy: %v", err)
	}
}

// A token may not be moved, merged or retexted under the same output digest.
func TestOutput(t *testing.T) {
	run := func(req [32]byte, frames ...string) [32]byte {
		o := NewOutput(req)
		for i, f := range frames {
			if o.Add(uint32(i), []byte(f)) != o.Sum() {
				t.Fatal("Add and Sum differ")
			}
		}
		return o.Sum()
	}
	base := run([32]byte{1}, "ab", "c")
	for _, other := range [][32]byte{run([32]byte{2}, "ab", "c"), run([32]byte{1}, "a", "bc"), run([32]byte{1}, "ab"), run([32]byte{1}, "ab", "c", "")} {
		if other == base {
			t.Error("two answers share a digest")
		}
	}
	r := sampleReceipt()
	if ReceiptsRoot([]Receipt{r}) == ReceiptsRoot(nil) {
		t.Error("receipts root ignores a receipt")
	}
}
