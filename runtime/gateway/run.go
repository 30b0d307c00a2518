package gateway

import (
	"context"
	"sync"
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
	followers int
}

func newRun(cancel context.CancelFunc) *run {
	return &run{wake: make(chan struct{}), cancel: cancel}
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
