package gateway

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"time"

	"lukechampine.com/blake3"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/verifier/commit"
)

// completionRequest is the part of OpenAI's completions call that is served.
// Numbers that shape sampling are decimal here and become fixed point: the
// conversion is this endpoint's, the receipt binds the fixed-point values.
type completionRequest struct {
	Model       string   `json:"model"`
	Prompt      string   `json:"prompt"`
	MaxTokens   uint32   `json:"max_tokens"`
	Temperature *float64 `json:"temperature"`
	TopP        *float64 `json:"top_p"`
	Seed        *int64   `json:"seed"`
	Stream      bool     `json:"stream"`
}

type completionChoice struct {
	Index        int     `json:"index"`
	Text         string  `json:"text"`
	FinishReason *string `json:"finish_reason"`
}

type completionUsage struct {
	PromptTokens     uint32 `json:"prompt_tokens"`
	CompletionTokens uint32 `json:"completion_tokens"`
	TotalTokens      uint32 `json:"total_tokens"`
}

// completion is an answer or one chunk of a stream. Assay is an extension: each
// token with its digest, and in the last chunk the request as it was run and its
// signed receipt.
type completion struct {
	ID      string             `json:"id"`
	Object  string             `json:"object"`
	Model   string             `json:"model"`
	Choices []completionChoice `json:"choices"`
	Usage   *completionUsage   `json:"usage,omitempty"`
	// Assay is a *completionToken, or a *completionProof in the last chunk.
	Assay any `json:"assay,omitempty"`
}

// completionToken is the token of a chunk as the WebSocket sends it: with it a
// client can check a stream against its receipt.
type completionToken struct {
	Seq    uint32 `json:"seq"`
	Token  uint32 `json:"token"`
	Text   []byte `json:"text"`   // base64; the chunk's own text has whole characters only
	Digest []byte `json:"digest"` // running digest, 32 bytes
}

type completionProof struct {
	Request   string `json:"request"` // base64, canonical bytes
	Receipt   string `json:"receipt"`
	Signature string `json:"signature"`
	PublicKey string `json:"public_key"`
}

func (s *Server) serveModels(w http.ResponseWriter, _ *http.Request) {
	type model struct {
		ID     string `json:"id"`
		Object string `json:"object"`
	}
	data := []model{}
	for _, o := range s.cfg.Engine.Offers() {
		data = append(data, model{o.Name, "model"})
	}
	writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": data})
}

func (s *Server) serveCompletions(w http.ResponseWriter, r *http.Request) {
	gone, ok := s.who.enter(r)
	if !ok {
		writeErrorAs(w, http.StatusTooManyRequests, &RefusedError{Code: CodeBusy, Message: tooMany})
		return
	}
	defer gone()
	select {
	case s.calls <- struct{}{}:
		defer func() { <-s.calls }()
	default:
		writeError(w, &RefusedError{Code: CodeBusy, Message: full})
		return
	}
	c, req, err := s.decodeCompletion(w, r)
	var from uint32
	if err == nil {
		from, err = lastEvent(r)
	}
	if err != nil {
		writeError(w, refusal(err))
		return
	}
	// There is no place for a voucher here, so a miner that charges refuses.
	run, channel, err := s.admit(r.Context(), req, nil)
	if err != nil {
		writeError(w, refusal(err))
		return
	}
	defer s.release(run)
	hash := req.Hash()
	out := &completionWriter{s: s, w: w, req: req, channel: channel, id: fmt.Sprintf("cmpl-%x", hash[:12]), model: c.Model}
	if c.Stream {
		out.streamed(r.Context(), run, from)
	} else {
		out.whole(r.Context(), run)
	}
}

func (s *Server) decodeCompletion(w http.ResponseWriter, r *http.Request) (completionRequest, commit.Request, error) {
	var c completionRequest
	// A body that trickles must not hold its place for ever. The deadline is
	// the connection's: it ends with the body, but stays where the rest of a
	// body is still to be thrown away.
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(s.cfg.Limits.Idle)) // a connection without deadlines is a test's
	body := http.MaxBytesReader(w, r.Body, s.cfg.Limits.FrameBytes)
	if err := json.NewDecoder(body).Decode(&c); err != nil {
		var big *http.MaxBytesError
		if errors.As(err, &big) {
			return c, commit.Request{}, Refuse(CodeFrameTooLarge, "body above %d bytes", big.Limit)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return c, commit.Request{}, Refuse(CodeTooSlow, "no whole body in %v", s.cfg.Limits.Idle)
		}
		return c, commit.Request{}, Refuse(CodeBadRequest, "body is not the JSON of a completion: %v", err)
	}
	_ = rc.SetReadDeadline(time.Time{})
	var offer *Offer
	for _, o := range s.cfg.Engine.Offers() {
		if o.Name == c.Model || c.Model == "" {
			offer = &o
			break
		}
	}
	if offer == nil {
		return c, commit.Request{}, Refuse(CodeUnknownModel, "model %.40q; see /v1/models", c.Model)
	}
	c.Model = offer.Name
	if c.MaxTokens == 0 {
		c.MaxTokens = min(64, offer.MaxTokens)
	}
	req := commit.Request{Module: offer.Module, Model: offer.Model, Sampling: commit.Greedy(), MaxTokens: c.MaxTokens, Prompt: []byte(c.Prompt)}
	var err error
	if req.Sampling.Temperature, err = q16("temperature", c.Temperature, 1, 16); err != nil {
		return c, req, err
	}
	if req.Sampling.TopP, err = q16("top_p", c.TopP, 1, 1); err != nil {
		return c, req, err
	}
	var seed int64
	if c.Seed != nil {
		seed = *c.Seed
	}
	req.Seed = blake3.Sum256(fmt.Appendf(nil, "assay/openai-seed/1 %d", seed))
	if err := req.Validate(); err != nil {
		return c, req, Refuse(CodeBadRequest, "%v", err)
	}
	_, err = s.offer(req)
	return c, req, err
}

// q16 converts a decimal to Q16.
func q16(name string, v *float64, def, most float64) (uint32, error) {
	if v == nil {
		v = &def
	}
	if math.IsNaN(*v) || *v < 0 || *v > most {
		return 0, Refuse(CodeBadRequest, "%s is %g; 0 to %g allowed", name, *v, most)
	}
	return uint32(math.Round(*v * commit.Q16)), nil
}

type completionWriter struct {
	s       *Server
	w       http.ResponseWriter
	req     commit.Request
	channel uint64
	id      string
	model   string
}

func (o *completionWriter) chunk(text string, finish *string) completion {
	return completion{ID: o.id, Object: "text_completion", Model: o.model, Choices: []completionChoice{{Text: text, FinishReason: finish}}}
}

// last is the closing chunk: usage and the signed receipt.
func (o *completionWriter) last(run *run, text string) (completion, error) {
	res, err := run.outcome()
	if err != nil {
		return completion{}, err
	}
	done, err := o.s.receipt(o.req, run, o.channel)
	if err != nil {
		return completion{}, err
	}
	finish := "stop"
	if res.Tokens == o.req.MaxTokens {
		finish = "length"
	}
	if res.Trap != abi.TrapNone {
		finish = "trap"
	}
	c := o.chunk(text, &finish)
	c.Usage = &completionUsage{res.PromptTokens, res.Tokens, res.PromptTokens + res.Tokens}
	b64 := base64.StdEncoding.EncodeToString
	c.Assay = &completionProof{b64(o.req.Bytes()), b64(done.receipt.Bytes()), b64(done.signature), b64(o.s.cfg.Signer.PublicKey())}
	return c, nil
}

func (o *completionWriter) whole(ctx context.Context, run *run) {
	var text bytes.Buffer
	for seq := uint32(0); ; seq++ {
		t, ok, err := run.next(ctx, seq)
		if err != nil {
			return // the client is gone
		}
		if !ok {
			break
		}
		text.Write(t.Text)
	}
	c, err := o.last(run, text.String())
	if err != nil {
		writeError(o.w, refusal(err))
		return
	}
	writeJSON(o.w, http.StatusOK, c)
}
