package openings

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/sample"
)

// Path of the endpoint below a miner's registered address.
const Path = "/assay/v1/openings"

// Bounds of the messages.
const (
	MaxIndexes      = 512      // units of one request
	MaxRequestBytes = 32 << 10 // 512 indexes of 20 digits, proof and addresses take 12 KiB
	MaxErrorBytes   = 4 << 10  // an error response
	maxMessage      = 256      // bytes of a remote message that are kept
)

// Request asks for the openings of units of one claim. In JSON, addresses are
// lower-case hexadecimal, the proof is base64.
type Request struct {
	Epoch     uint64
	Round     uint64
	Claimant  []byte
	Validator []byte
	Proof     sample.Proof
	Indexes   []uint64 // strictly increasing, 1 to MaxIndexes
}

type requestJSON struct {
	Epoch     uint64   `json:"epoch"`
	Round     uint64   `json:"round"`
	Claimant  string   `json:"claimant"`
	Validator string   `json:"validator"`
	Proof     []byte   `json:"proof"`
	Indexes   []uint64 `json:"indexes"`
}

// MarshalJSON writes the wire form.
func (q Request) MarshalJSON() ([]byte, error) {
	return json.Marshal(requestJSON{q.Epoch, q.Round, hex.EncodeToString(q.Claimant),
		hex.EncodeToString(q.Validator), q.Proof[:], q.Indexes})
}

// UnmarshalJSON reads the wire form and checks every bound that needs no
// knowledge of the claim. On error q is unchanged.
func (q *Request) UnmarshalJSON(b []byte) error {
	var w requestJSON
	if err := decodeStrict(b, &w); err != nil {
		return err
	}
	got := Request{Epoch: w.Epoch, Round: w.Round, Indexes: w.Indexes}
	var err error
	if got.Claimant, err = address("claimant", w.Claimant); err != nil {
		return err
	}
	if got.Validator, err = address("validator", w.Validator); err != nil {
		return err
	}
	if got.Proof, err = sample.ParseProof(w.Proof); err != nil {
		return err
	}
	if len(w.Indexes) == 0 || len(w.Indexes) > MaxIndexes {
		return fmt.Errorf("%d indexes, 1 to %d allowed", len(w.Indexes), MaxIndexes)
	}
	for i, x := range w.Indexes {
		if i > 0 && x <= w.Indexes[i-1] {
			return fmt.Errorf("indexes not strictly increasing: %d after %d", x, w.Indexes[i-1])
		}
	}
	*q = got
	return nil
}

func address(what, s string) ([]byte, error) {
	if len(s) == 0 || len(s) > 2*commit.MaxAddress {
		return nil, fmt.Errorf("%s of %d hexadecimal digits, 2 to %d allowed", what, len(s), 2*commit.MaxAddress)
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("%s is not hexadecimal", what)
	}
	return b, nil
}

// response is the body of a successful answer, in the order of the indexes.
type response struct {
	Openings [][]byte `json:"openings"`
}

// Code says why a request was refused. Codes are never reused.
type Code string

const (
	CodeBadRequest   Code = "bad_request"   // not a request; 400
	CodeMethod       Code = "method"        // only POST; 405
	CodeTooLarge     Code = "too_large"     // body above MaxRequestBytes; 413
	CodeUnknownRound Code = "unknown_round" // no such epoch or round under audit here; 404
	CodeUnknownClaim Code = "unknown_claim" // the claimant is another miner, or has no claim; 404
	CodeNoSeat       Code = "no_seat"       // the validator does not draw in this round; 403
	CodeBadProof     Code = "bad_proof"     // the VRF proof does not verify; 403
	CodeNotDrawn     Code = "not_drawn"     // an index outside the validator's sample; 403
	CodeBusy         Code = "busy"          // try again later; 503
	CodeInternal     Code = "internal"      // the miner's own failure; 500
)

var statusOf = map[Code]int{
	CodeBadRequest: http.StatusBadRequest, CodeMethod: http.StatusMethodNotAllowed,
	CodeTooLarge: http.StatusRequestEntityTooLarge, CodeUnknownRound: http.StatusNotFound,
	CodeUnknownClaim: http.StatusNotFound, CodeNoSeat: http.StatusForbidden,
	CodeBadProof: http.StatusForbidden, CodeNotDrawn: http.StatusForbidden,
	CodeBusy: http.StatusServiceUnavailable, CodeInternal: http.StatusInternalServerError,
}

// Error is a refusal: what the handler answers and what the client returns.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return "openings: " + string(e.Code) + ": " + e.Message }

type errorJSON struct {
	Error *Error `json:"error"`
}

func refusal(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// decodeStrict decodes exactly one JSON value without unknown fields.
func decodeStrict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}
