package gateway

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/assaynet/assay/verifier/commit"
)

// Token is one step of an answer. Digest is the running digest up to and
// including it (commit.StreamDigest), so that a client can stop anywhere and
// still hold the server to what it has seen.
type Token struct {
	Seq    uint32
	ID     uint32
	Text   []byte
	Digest [32]byte
}

// run is one request being answered, or answered a short while ago. Several
// connections may follow it: a client whose connection broke attaches again
// at the token where it was. It is safe for concurrent use.
type run struct {
	mu     sync.Mutex
	tokens []Token
	done   bool
	result Result
	err    error
	wake   chan struct{} // closed and replaced at every change

	cancel    context.CancelFunc
	expired   chan struct{} // closed when it is out of the server's table
	followers int           // the server's lock guards it
	gone      bool          // out of the server's table; the server's lock guards it

	pay      sync.Mutex // held while a receipt is made; before mu
	bills    map[uint64]Bill
	receipts map[uint64]signed // by channel; 0: unpaid
}

// signed is a receipt ready to be sent.
type signed struct {
	receipt   commit.Receipt
	signature []byte
}

// attach makes the run own a hold on a bill: one for each channel, so a second
// one is let go.
func (r *run) attach(b Bill) {
	r.pay.Lock()
	defer r.pay.Unlock()
	if _, ok := r.bills[b.Channel()]; ok {
		b.Release()
		return
	}
	r.bills[b.Channel()] = b
}

// channels that owe for the run.
func (r *run) channels() []uint64 {
	r.pay.Lock()
	defer r.pay.Unlock()
	return slices.Collect(maps.Keys(r.bills))
}

// forget lets all bills go.
func (r *run) forget() {
	r.pay.Lock()
	defer r.pay.Unlock()
	for _, b := range r.bills {
		b.Release()
	}
	clear(r.bills)
}

// ended reports whether the outcome is known.
func (r *run) ended() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.done
}

func newRun(cancel context.CancelFunc) *run {
	return &run{wake: make(chan struct{}), expired: make(chan struct{}), cancel: cancel, bills: map[uint64]Bill{}, receipts: map[uint64]signed{}}
}

func (r *run) changed() {
	close(r.wake)
	r.wake = make(chan struct{})
}

// push appends a token.
func (r *run) push(t Token) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tokens = append(r.tokens, t)
	r.changed()
}

// finish records the outcome; it is called once.
func (r *run) finish(res Result, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done, r.result, r.err = true, res, err
	r.changed()
}

// lags reports whether token number seq is there and the run was forgotten
// meanwhile: who has not taken in the answer by then reads too slowly.
func (r *run) lags(seq uint32) bool {
	select {
	case <-r.expired:
	default:
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return int(seq) < len(r.tokens)
}

// next waits for token number seq. ok is false when the run ended before it;
// then the outcome is available.
func (r *run) next(ctx context.Context, seq uint32) (t Token, ok bool, err error) {
	for {
		r.mu.Lock()
		if int(seq) < len(r.tokens) {
			t = r.tokens[seq]
			r.mu.Unlock()
			return t, true, nil
		}
		if r.done {
			r.mu.Unlock()
			return Token{}, false, nil
		}
		wake := r.wake
		r.mu.Unlock()
		select {
		case <-wake:
		case <-ctx.Done():
			return Token{}, false, ctx.Err()
		}
	}
}

// outcome of a finished run.
func (r *run) outcome() (Result, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.result, r.err
}
