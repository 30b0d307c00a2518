package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/verifier/commit"
)

// Result is what a finished run came to. A module that trapped still has a
// result: the trap is part of the receipt.
type Result struct {
	Trap         abi.Trap
	Gas          uint64
	PromptTokens uint32
	Tokens       uint32
	Output       [32]byte // running digest after the last token
}

// Offer is a model that an engine serves and the module that runs it.
type Offer struct {
	Name        string   `json:"name"`
	Module      [32]byte `json:"-"` // SHA-256 of the module's binary
	Model       [32]byte `json:"-"` // SHA-256 of the model's blob
	ContextSize uint32   `json:"context"`
	MaxPrompt   uint32   `json:"max_prompt"` // bytes
	MaxTokens   uint32   `json:"max_tokens"`
}

// Engine answers requests. It is safe for concurrent use and calls emit from
// one goroutine at a time; emit returning true asks it to stop. An error means
// that the host failed or refused (see RefusedError), never that the module
// trapped.
type Engine interface {
	Offers() []Offer
	Run(ctx context.Context, req commit.Request, emit func(token uint32, text []byte) (stop bool)) (Result, error)
}

// Signer signs receipts with the miner's account key.
type Signer interface {
	Address() []byte
	PublicKey() []byte // compressed secp256k1
	Sign(msg []byte) ([]byte, error)
}

// Payment is a client's signed voucher for a request.
type Payment struct {
	Voucher   commit.Voucher
	Signature []byte
}

// Terms are what a miner asks for: the price of a request is PromptByte for each
// byte of the prompt and Token for each token of the answer.
type Terms struct {
	Epoch      uint64 `json:"epoch"`       // that a voucher must name now
	PromptByte uint64 `json:"prompt_byte"` // ngnk
	Token      uint64 `json:"token"`       // ngnk
}

// Till decides whether a request is paid for. It is safe for concurrent use.
// A nil Till serves for free.
type Till interface {
	Terms() Terms
	// Accept holds the most that the request can cost out of a channel. It is
	// called before anything runs; p is nil where the client offered nothing.
	// The same request on the same channel gives the same Bill while one is
	// held, so that resuming costs nothing. A refusal is a *RefusedError.
	Accept(ctx context.Context, req commit.Request, p *Payment) (Bill, error)
}

// Bill is what one channel owes for one request. It is safe for concurrent use.
type Bill interface {
	Channel() uint64
	Epoch() uint64 // that the receipt must name
	Price(res Result) uint64
	// Charge turns what was held into the receipt's price, durably; further
	// calls do nothing.
	Charge(rc commit.Receipt) error
	// Release ends what one Accept began. The last one of a bill that was not
	// charged frees what was held.
	Release()
}

// Network tells what a receipt is bound to, and the status page what to show.
type Network interface {
	ChainID() string
	Epoch() uint64
	// Status is what the node's page shows; it must marshal to JSON.
	Status(ctx context.Context) (any, error)
}

// Config of a gateway.
type Config struct {
	Engine   Engine
	Signer   Signer
	Network  Network
	Till     Till         // nil: free
	Openings http.Handler // nil: none served
	Limits   Limits
	// Answered is told of each request whose turn came. It is called
	// concurrently and must not block. Nil: nobody is told.
	Answered func(Answer)
}

// Answer is how a request went that was carried out.
type Answer struct {
	Result
	Took time.Duration // at work, without the wait for a place
	Err  error         // of the host; the Result is then incomplete
}

// Limits of what strangers can make a gateway do. Zero values take the default.
type Limits struct {
	// Runs is how many requests are answered at once. Default 2.
	Runs int
	// Waiting is how many more may wait for a place. Default 16.
	Waiting int
	// Connections is how many WebSockets may be open, and how many completions
	// under way. Default 256 each.
	Connections int
	// ClientConnections is how many of these, together, one client may have: an
	// IPv4 address or an IPv6 network of 64 bits, this machine excepted. Default
	// a quarter of Connections, 1 at least.
	ClientConnections int
	// FrameBytes bounds a client's frame. Default: a full prompt in base64
	// with room for the rest.
	FrameBytes int64
	// Idle is how long a client may stay silent before its connection is
	// closed, and how long it may take to take in 16 KiB. Default 30 s.
	Idle time.Duration
	// Rest is how long a WebSocket may stay open without a request. Default 10
	// minutes.
	Rest time.Duration
	// Keep is how long a finished answer can still be fetched, so that a
	// client whose connection broke resumes. Default 2 minutes.
	Keep time.Duration
}

func (l Limits) withDefaults() Limits {
	def := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&l.Runs, 2)
	def(&l.Waiting, 16)
	def(&l.Connections, 256)
	def(&l.ClientConnections, max(l.Connections/4, 1))
	if l.FrameBytes <= 0 {
		l.FrameBytes = commit.MaxPrompt*4/3 + 4096
	}
	if l.Idle <= 0 {
		l.Idle = 30 * time.Second
	}
	if l.Rest <= 0 {
		l.Rest = 10 * time.Minute
	}
	if l.Keep <= 0 {
		l.Keep = 2 * time.Minute
	}
	return l
}

// Code is a stable, machine-readable reason of a refusal.
type Code string

const (
	CodeBadFrame      Code = "bad_frame"       // not a frame of the protocol
	CodeFrameTooLarge Code = "frame_too_large" // above Limits.FrameBytes
	CodeBadRequest    Code = "bad_request"     // request outside its bounds
	CodePromptTooLong Code = "prompt_too_long" // above the offer's MaxPrompt
	CodeUnknownModel  Code = "unknown_model"   // no offer has this module and model
	CodePayment       Code = "payment"         // voucher missing, wrong or too small
	CodeBusy          Code = "busy"            // no place free; try again later
	CodeTooSlow       Code = "too_slow"        // body not sent, or answer not read, in time
	CodeInternal      Code = "internal"        // the host failed
)

// RefusedError is a request that was refused before anything ran. The message
// says what was wrong and what is allowed.
type RefusedError struct {
	Code    Code
	Message string
}

func (e *RefusedError) Error() string { return string(e.Code) + ": " + e.Message }

// Refuse makes a RefusedError.
func Refuse(code Code, format string, args ...any) error {
	return &RefusedError{Code: code, Message: fmt.Sprintf(format, args...)}
}

// refusal turns any error into what a client is told. The details of a host
// failure stay in the host's log.
func refusal(err error) *RefusedError {
	var r *RefusedError
	if errors.As(err, &r) {
		return r
	}
	return &RefusedError{Code: CodeInternal, Message: "the miner failed to run the request; try again or another miner"}
}
