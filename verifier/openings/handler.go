package openings

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/assaynet/assay/verifier/commit"
	"github.com/assaynet/assay/verifier/sample"
)

// ErrUnknown: a Source knows no such round, or no claim of its own in it.
var ErrUnknown = errors.New("openings: no such round or claim")

// Audit is what a miner must know of a round to serve it.
type Audit struct {
	Round sample.Round
	Claim commit.Claim // the miner's own, as fixed on chain
	Units uint64       // that the round draws of the claim in all
}

// Source is the miner behind the handler. It is used concurrently.
type Source interface {
	// Audit returns the state of a round, or ErrUnknown. Any other error is
	// the miner's own failure.
	Audit(ctx context.Context, epoch, round uint64) (Audit, error)
	// Open returns the openings of the given units under the claim, in order.
	Open(ctx context.Context, claim commit.Claim, indexes []uint64) ([]commit.Opening, error)
}

// HandlerConfig of a Handler.
type HandlerConfig struct {
	Source Source
	// Concurrent bounds the authorized requests that are served at once;
	// further ones are refused as busy. 0: 8.
	Concurrent int
	// Served is told of every served request; may be nil.
	Served func(Request)
}

// Handler serves Path. It is safe for concurrent use.
type Handler struct {
	cfg     HandlerConfig
	slots   chan struct{} // one token a request that is served
	pairing chan struct{} // one token a proof that is verified
	waiting chan struct{} // one token a request that waits for that, or does it

	mu       sync.Mutex
	verified map[verifiedKey]sample.Output // of the newest epoch only
	epoch    uint64
}

type verifiedKey struct {
	round     uint64
	root      commit.Root
	validator string
	proof     sample.Proof
}

// A stranger's request costs at most one pairing check of 2 ms. Two at a time
// and a bounded queue keep a flood of false proofs off the machine and let
// honest ones through; a validator's next request needs none.
const (
	pairings   = 2
	maxWaiting = 64
)

// maxVerified bounds the remembered proofs: 100 validators, several rounds.
const maxVerified = 1024

// NewHandler makes a handler.
func NewHandler(cfg HandlerConfig) *Handler {
	if cfg.Concurrent <= 0 {
		cfg.Concurrent = 8
	}
	return &Handler{cfg: cfg, slots: make(chan struct{}, cfg.Concurrent), pairing: make(chan struct{}, pairings),
		waiting: make(chan struct{}, maxWaiting), verified: map[verifiedKey]sample.Output{}}
}

// ServeHTTP answers one request with openings or with an Error as JSON.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, refused := h.serve(w, r)
	w.Header().Set("Content-Type", "application/json")
	if refused != nil {
		if refused.Code == CodeBusy {
			w.Header().Set("Retry-After", "1")
		}
		w.WriteHeader(statusOf[refused.Code])
		// The peer may be gone; there is nobody else to tell.
		_ = json.NewEncoder(w).Encode(errorJSON{refused})
		return
	}
	_ = json.NewEncoder(w).Encode(response{body})
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) ([][]byte, *Error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return nil, refusal(CodeMethod, "%s is not allowed, only POST", r.Method)
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxRequestBytes))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, refusal(CodeTooLarge, "request above %d bytes", MaxRequestBytes)
		}
		return nil, refusal(CodeBadRequest, "body: %v", err)
	}
	var q Request
	if err := json.Unmarshal(raw, &q); err != nil {
		return nil, refusal(CodeBadRequest, "%v", err)
	}
	audit, refused := h.authorize(r.Context(), q)
	if refused != nil {
		return nil, refused
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		return nil, refusal(CodeBusy, "%d requests are being served", h.cfg.Concurrent)
	}
	opened, err := h.cfg.Source.Open(r.Context(), audit.Claim, q.Indexes)
	if err != nil {
		return nil, refusal(CodeInternal, "%v", err)
	}
	body := make([][]byte, len(opened))
	for i, o := range opened {
		if body[i], err = o.MarshalBinary(); err != nil {
			return nil, refusal(CodeInternal, "%v", err)
		}
	}
	if h.cfg.Served != nil {
		h.cfg.Served(q)
	}
	return body, nil
}

// authorize checks that the indexes are of the validator's own sample. Cheap
// checks come before the pairing.
func (h *Handler) authorize(ctx context.Context, q Request) (Audit, *Error) {
	audit, err := h.cfg.Source.Audit(ctx, q.Epoch, q.Round)
	switch {
	case errors.Is(err, ErrUnknown):
		return Audit{}, refusal(CodeUnknownRound, "round %d of epoch %d is not under audit", q.Round, q.Epoch)
	case err != nil:
		return Audit{}, refusal(CodeInternal, "%v", err)
	case !bytes.Equal(audit.Claim.Claimant, q.Claimant):
		return Audit{}, refusal(CodeUnknownClaim, "no claim of %x is served here", q.Claimant)
	}
	seat, ok := audit.Round.Seat(q.Validator)
	if !ok {
		return Audit{}, refusal(CodeNoSeat, "%x does not draw in this round", q.Validator)
	}
	out, refused := h.output(ctx, q, audit.Round, seat)
	if refused != nil {
		return Audit{}, refused
	}
	draw := audit.Round.Draw(q.Validator, q.Claimant, audit.Claim.Count, audit.Units)
	if err := draw.Contains(out, q.Indexes); err != nil {
		return Audit{}, refusal(CodeNotDrawn, "%v", err)
	}
	return audit, nil
}

// output verifies a proof, once for each validator and round.
func (h *Handler) output(ctx context.Context, q Request, round sample.Round, seat sample.Seat) (sample.Output, *Error) {
	key := verifiedKey{q.Round, round.ClaimsRoot, string(q.Validator), q.Proof}
	h.mu.Lock()
	out, known := h.verified[key]
	known = known && h.epoch == q.Epoch
	h.mu.Unlock()
	if known {
		return out, nil
	}
	select {
	case h.waiting <- struct{}{}:
		defer func() { <-h.waiting }()
	default:
		return sample.Output{}, refusal(CodeBusy, "%d proofs wait for verification", maxWaiting)
	}
	select {
	case h.pairing <- struct{}{}:
		defer func() { <-h.pairing }()
	case <-ctx.Done():
		return sample.Output{}, refusal(CodeBusy, "the request ended before its proof was verified")
	}
	out, err := seat.Key.Verify(round.Input(), q.Proof)
	if err != nil {
		return sample.Output{}, refusal(CodeBadProof, "%v", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.epoch != q.Epoch || len(h.verified) >= maxVerified {
		h.epoch = q.Epoch
		clear(h.verified)
	}
	h.verified[key] = out
	return out, nil
}
