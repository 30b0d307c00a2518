package gateway

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/assaynet/assay/verifier/commit"
)

// FuzzClientFrame: whatever a stranger sends is one valid request or a typed
// refusal, and what was taken encodes to the same request again.
func FuzzClientFrame(f *testing.F) {
	req := commit.Request{Sampling: commit.Greedy(), MaxTokens: 3, Prompt: []byte("?")}
	voucher := commit.Voucher{ChainID: "c", Channel: 1, Miner: []byte{1}, Epoch: 2, Amount: 3}
	for _, frame := range []ClientFrame{
		{Type: FrameInfer, Request: req.Bytes()},
		{Type: FrameInfer, Request: req.Bytes(), From: 2, Voucher: voucher.Bytes(), Signature: []byte{1}},
		{Type: FrameInfer, Request: req.Bytes()[:9]},
		{Type: FrameReceipt},
	} {
		b, err := json.Marshal(frame)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"type":"infer","from":-1}`))
	f.Add([]byte("{}{}"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		frame, req, pay, err := decodeClientFrame(msg)
		if err != nil {
			var refused *RefusedError
			if !errors.As(err, &refused) || refused.Message == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		if string(req.Bytes()) != string(frame.Request) || req.Validate() != nil {
			t.Fatal("a request that is not its frame's was taken")
		}
		if pay != nil && (string(pay.Voucher.Bytes()) != string(frame.Voucher) || pay.Voucher.Validate() != nil) {
			t.Fatal("a voucher that is not its frame's was taken")
		}
	})
}
