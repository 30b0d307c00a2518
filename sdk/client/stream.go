package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	"github.com/gorilla/websocket"

	"github.com/assaynet/assay/verifier/commit"
)

// Token is one step of an answer, already checked against the running digest.
type Token struct {
	Seq  uint32
	ID   uint32
	Text []byte
}

// Answer is a finished answer with everything that is needed to check it.
type Answer struct {
	Request   commit.Request
	Tokens    []Token
	Receipt   commit.Receipt
	Signature []byte
	PublicKey []byte // compressed secp256k1
}

// Text of the whole answer.
func (a *Answer) Text() string {
	var b strings.Builder
	for _, t := range a.Tokens {
		b.Write(t.Text)
	}
	return b.String()
}

// RefusedError is a miner's refusal. Code is stable.
type RefusedError struct {
	Code, Message string
	// RetryAfter is when to come again, as a miner said that refused the
	// connection; 0: it said nothing.
	RetryAfter time.Duration
}

func (e *RefusedError) Error() string { return "refused (" + e.Code + "): " + e.Message }

// ErrForged is a stream or receipt that contradicts itself or its signature.
var ErrForged = errors.New("client: the miner's answer does not hold together")

// StreamOptions of a request.
type StreamOptions struct {
	// Payer pays a miner that charges; nil: one that does is refused.
	Payer *Payer
	// Token is called for each token as it arrives; nil for none.
	Token func(Token)
	// Retries is how often in a row, without a token between, a lost
	// connection is opened again; the answer goes on from the token where it
	// broke. Default 12, half a minute with the default Pause, in which a miner
	// is started again; negative: never.
	Retries int
	// Pause is the wait before the first of them, doubled with each up to 100
	// times it. A miner that refuses connections may ask for a longer one, up
	// to the same bound. Default 50 ms.
	Pause time.Duration
	// Idle is how long the connection may be silent: no handshake, neither
	// frames nor pings. Default 30 s.
	Idle time.Duration
	// Stall is how long a miner that does ping may go without a frame.
	// Default 5 min.
	Stall time.Duration
}

// serverFrame mirrors the stream protocol of docs/spec/stream.md.
type serverFrame struct {
	Type      string `json:"type"`
	Seq       uint32 `json:"seq"`
	Token     uint32 `json:"token"`
	Text      []byte `json:"text"`
	Digest    []byte `json:"digest"`
	Receipt   []byte `json:"receipt"`
	Signature []byte `json:"signature"`
	PublicKey []byte `json:"public_key"`
	Code      string `json:"code"`
	Message   string `json:"message"`
}

type clientFrame struct {
	Type      string `json:"type"`
	Request   []byte `json:"request"`
	From      uint32 `json:"from,omitempty"`
	Voucher   []byte `json:"voucher,omitempty"`
	Signature []byte `json:"signature,omitempty"`
}

// maxFrame bounds one server frame: a token's text in base64 with room.
const maxFrame = 64 << 10

// Stream sends a request to a miner's gateway and follows the answer to its
// receipt. Every frame is checked against the running digest as it arrives,
// the receipt against the request, the digest and its signature. Whether the
// tokens are the right ones is a question for VerifyAnswer.
func Stream(ctx context.Context, endpoint string, req commit.Request, opt StreamOptions) (*Answer, error) {
	if err := req.Validate(); err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("client: endpoint: %w", err)
	}
	u.Scheme = map[string]string{"http": "ws", "https": "wss"}[u.Scheme]
	if u.Scheme == "" {
		return nil, fmt.Errorf("client: endpoint %q is not an http or https URL", endpoint)
	}
	if opt.Retries == 0 {
		opt.Retries = 12
	}
	if opt.Pause <= 0 {
		opt.Pause = 50 * time.Millisecond
	}
	if opt.Idle <= 0 {
		opt.Idle = 30 * time.Second
	}
	if opt.Stall <= 0 {
		opt.Stall = 5 * time.Minute
	}
	s := &stream{url: u.JoinPath("assay/v1/stream").String(), req: req, opt: opt,
		digest: commit.NewOutput(req.Hash()), answer: &Answer{Request: req}}
	if opt.Payer != nil {
		return opt.Payer.stream(ctx, endpoint, s)
	}
	if err := s.follow(ctx); err != nil {
		return nil, err
	}
	return s.answer, nil
}

// follow runs connections until the receipt.
func (s *stream) follow(ctx context.Context) error {
	for try := 0; ; try++ {
		had := len(s.answer.Tokens)
		err := s.once(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if len(s.answer.Tokens) > had {
			try = 0
		}
		var lost *LostError
		if !errors.As(err, &lost) || try >= s.opt.Retries {
			return err
		}
		pause := s.opt.Pause << min(try, 7)
		var refused *RefusedError
		if errors.As(err, &refused) {
			pause = max(pause, refused.RetryAfter)
		}
		wait := time.NewTimer(min(100*s.opt.Pause, pause))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		}
	}
}

// LostError is a connection to a miner that broke or stayed silent, after all
// retries. The same request may be sent again.
type LostError struct{ Err error }

func (e *LostError) Error() string { return "client: connection to the miner: " + e.Err.Error() }
func (e *LostError) Unwrap() error { return e.Err }

type stream struct {
	url    string
	req    commit.Request
	opt    StreamOptions
	digest *commit.Output
	answer *Answer
	sent   bool // whether a miner may have seen the request

	payment *Payment // nil: free
	terms   Terms
}

// once runs one connection until the receipt.
func (s *stream) once(ctx context.Context) error {
	dialer := websocket.Dialer{Proxy: http.ProxyFromEnvironment, HandshakeTimeout: s.opt.Idle}
	ws, resp, err := dialer.DialContext(ctx, s.url, nil)
	if err != nil {
		if resp == nil {
			return &LostError{err}
		}
		refused := refusedBy(resp)
		switch {
		case resp.StatusCode < http.StatusInternalServerError && resp.StatusCode != http.StatusTooManyRequests:
			if refused != nil {
				return refused
			}
			return fmt.Errorf("client: %s does not stream answers: %s", s.url, resp.Status)
		case refused != nil:
			return &LostError{refused} // for want of a place: it may have one later
		}
		return &LostError{err}
	}
	defer ws.Close()
	stop := context.AfterFunc(ctx, func() { ws.Close() })
	defer stop()
	ws.SetReadLimit(maxFrame)
	stalled := time.Now().Add(s.opt.Stall)
	alive := func() error {
		deadline := time.Now().Add(s.opt.Idle)
		if deadline.After(stalled) {
			deadline = stalled
		}
		return ws.SetReadDeadline(deadline)
	}
	ws.SetPingHandler(func(data string) error {
		if err := alive(); err != nil {
			return err
		}
		return ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(s.opt.Idle))
	})
	f := clientFrame{Type: "infer", Request: s.req.Bytes(), From: uint32(len(s.answer.Tokens))}
	if p := s.payment; p != nil {
		f.Voucher, f.Signature = p.Voucher.Bytes(), p.Signature
	}
	if err := ws.SetWriteDeadline(time.Now().Add(s.opt.Idle)); err != nil {
		return &LostError{err}
	}
	s.sent = true
	if err := ws.WriteJSON(f); err != nil {
		return &LostError{err}
	}
	for {
		if err := alive(); err != nil {
			return &LostError{err}
		}
		kind, msg, err := ws.ReadMessage()
		switch {
		case errors.Is(err, websocket.ErrReadLimit):
			return fmt.Errorf("%w: frame above %d bytes", ErrForged, maxFrame)
		case err != nil:
			return &LostError{err}
		case kind != websocket.TextMessage:
			return fmt.Errorf("%w: binary frame", ErrForged)
		}
		var f serverFrame
		if err := json.Unmarshal(msg, &f); err != nil {
			return fmt.Errorf("%w: frame is not JSON: %v", ErrForged, err)
		}
		stalled = time.Now().Add(s.opt.Stall)
		done, err := s.take(f)
		if done || err != nil {
			return err
		}
	}
}

// maxRetryAfter bounds what a miner can ask for in seconds.
const maxRetryAfter = 3600

// refusedBy is the refusal that an HTTP answer carries, nil if it is no miner's.
func refusedBy(resp *http.Response) *RefusedError {
	var body struct {
		Error struct{ Code, Message string } `json:"error"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxFrame)).Decode(&body); err != nil || body.Error.Code == "" {
		return nil
	}
	e := &RefusedError{Code: body.Error.Code, Message: body.Error.Message}
	if s, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 16); err == nil {
		e.RetryAfter = time.Duration(min(s, maxRetryAfter)) * time.Second
	}
	return e
}

// take checks one frame.
func (s *stream) take(f serverFrame) (done bool, err error) {
	switch f.Type {
	case "token":
		if f.Seq != uint32(len(s.answer.Tokens)) || f.Seq >= s.req.MaxTokens {
			return false, fmt.Errorf("%w: token %d where %d was due", ErrForged, f.Seq, len(s.answer.Tokens))
		}
		sum := s.digest.Add(f.Token, f.Text)
		if string(sum[:]) != string(f.Digest) {
			return false, fmt.Errorf("%w: running digest of token %d", ErrForged, f.Seq)
		}
		t := Token{Seq: f.Seq, ID: f.Token, Text: f.Text}
		s.answer.Tokens = append(s.answer.Tokens, t)
		if s.opt.Token != nil {
			s.opt.Token(t)
		}
		return false, nil
	case "receipt":
		rc, err := commit.DecodeReceipt(f.Receipt)
		if err != nil {
			return false, fmt.Errorf("%w: receipt: %w", ErrForged, err)
		}
		s.answer.Receipt, s.answer.Signature, s.answer.PublicKey = rc, f.Signature, f.PublicKey
		if err := s.answer.Check(); err != nil {
			return false, err
		}
		return true, s.charged()
	case "error":
		refused := &RefusedError{Code: f.Code, Message: f.Message}
		if f.Code == "busy" && len(s.answer.Tokens) > 0 {
			// It had taken the request: it was started again and has no place yet.
			return false, &LostError{refused}
		}
		return false, refused
	}
	return false, fmt.Errorf("%w: frame type %.20q", ErrForged, f.Type)
}

// charged checks that the receipt takes what was agreed and nothing else.
func (s *stream) charged() error {
	r := s.answer.Receipt
	var channel, price uint64
	if s.payment != nil {
		channel, price = s.payment.Voucher.Channel, s.terms.Price(len(s.req.Prompt), r.Tokens)
	}
	if s.payment != nil && string(r.Miner) != string(s.payment.Voucher.Miner) {
		return fmt.Errorf("%w: receipt of miner %x, paid was %x", ErrForged, r.Miner, s.payment.Voucher.Miner)
	}
	if r.Channel != channel || r.Price != price {
		return fmt.Errorf("%w: receipt charges %d ngnk on channel %d; agreed were %d on channel %d", ErrForged, r.Price, r.Channel, price, channel)
	}
	return nil
}

// Check verifies that the receipt is the miner's and belongs to this request
// and these tokens. It does not run anything.
func (a *Answer) Check() error {
	out := commit.NewOutput(a.Request.Hash())
	for _, t := range a.Tokens {
		out.Add(t.ID, t.Text)
	}
	r := a.Receipt
	switch {
	case r.Request != a.Request.Hash():
		return fmt.Errorf("%w: receipt of another request", ErrForged)
	case r.Module != a.Request.Module || r.Model != a.Request.Model:
		return fmt.Errorf("%w: receipt of another module or model", ErrForged)
	case r.Tokens != uint32(len(a.Tokens)) || r.Output != out.Sum():
		return fmt.Errorf("%w: receipt of another output", ErrForged)
	case len(a.PublicKey) != secp256k1.PubKeySize:
		return fmt.Errorf("%w: public key of %d bytes", ErrForged, len(a.PublicKey))
	}
	key := &secp256k1.PubKey{Key: a.PublicKey}
	if string(key.Address()) != string(r.Miner) {
		return fmt.Errorf("%w: signed by another key than the miner's", ErrForged)
	}
	if !key.VerifySignature(r.Bytes(), a.Signature) {
		return fmt.Errorf("%w: signature of the receipt", ErrForged)
	}
	return nil
}
