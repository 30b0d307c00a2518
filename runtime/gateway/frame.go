package gateway

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/assaynet/assay/verifier/commit"
)

// Frame types of the WebSocket protocol (docs/spec/stream.md). All frames are
// JSON text messages; byte strings are base64.
const (
	FrameInfer   = "infer"   // client: asks for an answer, or resumes one at From
	FrameToken   = "token"   // server: one token
	FrameReceipt = "receipt" // server: the last frame of an answer
	FrameError   = "error"   // server: refusal; the connection stays open
)

// ClientFrame is what a client sends.
type ClientFrame struct {
	Type    string `json:"type"`
	Request []byte `json:"request"` // canonical bytes of commit.Request
	// From is the first token wanted: a client that lost its connection asks
	// the same request again from where it was.
	From      uint32 `json:"from,omitempty"`
	Voucher   []byte `json:"voucher,omitempty"` // canonical bytes of commit.Voucher
	Signature []byte `json:"signature,omitempty"`
}

// ServerFrame is what a server sends; which fields are set depends on Type.
type ServerFrame struct {
	Type string `json:"type"`

	Seq    uint32 `json:"seq"`
	Token  uint32 `json:"token"`
	Text   []byte `json:"text,omitempty"`
	Digest []byte `json:"digest,omitempty"` // running digest, 32 bytes

	Receipt   []byte `json:"receipt,omitempty"` // canonical bytes of commit.Receipt
	Signature []byte `json:"signature,omitempty"`
	PublicKey []byte `json:"public_key,omitempty"`

	Code    Code   `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

// decodeClientFrame parses one message; anything but exactly one well-formed
// frame is refused.
func decodeClientFrame(msg []byte) (ClientFrame, commit.Request, *Payment, error) {
	var f ClientFrame
	dec := json.NewDecoder(bytes.NewReader(msg))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return f, commit.Request{}, nil, Refuse(CodeBadFrame, "a frame is one JSON object with type, request and optionally from, voucher and signature: %v", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return f, commit.Request{}, nil, Refuse(CodeBadFrame, "bytes after the frame's JSON object")
	}
	if f.Type != FrameInfer {
		return f, commit.Request{}, nil, Refuse(CodeBadFrame, "frame type %.20q; a client sends %q", f.Type, FrameInfer)
	}
	req, err := commit.DecodeRequest(f.Request)
	if err != nil {
		return f, req, nil, Refuse(CodeBadRequest, "%v", err)
	}
	if f.Voucher == nil {
		return f, req, nil, nil
	}
	v, err := commit.DecodeVoucher(f.Voucher)
	if err != nil {
		return f, req, nil, Refuse(CodePayment, "voucher: %v", err)
	}
	return f, req, &Payment{Voucher: v, Signature: f.Signature}, nil
}
