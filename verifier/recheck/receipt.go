package recheck

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/sandbox"
	"github.com/assaynet/assay/verifier/commit"
)

// Answer is what a receipt is re-run from.
type Answer struct {
	Wasm        []byte
	Model       *sandbox.Model // its blob hashes to Request.Model: the caller has checked
	Request     commit.Request
	Tokens      []uint32 // as streamed; nil re-runs the generation instead of one prefill
	TensorBytes int64
	MemoryPages uint32 // as in Work
	Gas         int64
}

// ReceiptError: a receipt says something else than the re-run. It is evidence
// of fraud.
type ReceiptError struct {
	Field     string
	Said, Got string
}

func (e *ReceiptError) Error() string {
	return fmt.Sprintf("recheck: receipt's %s is %s, re-run gives %s", e.Field, e.Said, e.Got)
}

// Receipt re-runs an answer and compares. nil: the receipt is true. A
// *ReceiptError: it is not. Anything else decides nothing.
func (c *Checker) Receipt(ctx context.Context, a Answer, r commit.Receipt) error {
	if err := a.Request.Validate(); err != nil {
		return err
	}
	if err := same("request", r.Request, a.Request.Hash()); err != nil {
		return err
	}
	if err := same("module", r.Module, a.Request.Module); err != nil {
		return err
	}
	if err := same("model", r.Model, a.Request.Model); err != nil {
		return err
	}
	if sha256.Sum256(a.Wasm) != r.Module {
		return fmt.Errorf("%w: %x", ErrModule, r.Module)
	}
	if a.Tokens != nil && uint64(len(a.Tokens)) != uint64(r.Tokens) {
		return &ReceiptError{"number of tokens", fmt.Sprint(r.Tokens), fmt.Sprint(len(a.Tokens))}
	}
	out, digest, emitted, err := c.run(ctx, a, r.Tokens)
	if err != nil {
		return err
	}
	if a.Tokens != nil && out.Trap == abi.TrapAbort {
		// The module refuses tokens that it would not have chosen.
		return &ReceiptError{"tokens", "as streamed", fmt.Sprintf("abort %d", out.Code)}
	}
	if uint8(out.Trap) != r.Trap {
		return &ReceiptError{"outcome", abi.Trap(r.Trap).String(), out.Trap.String()}
	}
	if emitted != r.Tokens {
		return &ReceiptError{"number of tokens", fmt.Sprint(r.Tokens), fmt.Sprint(emitted)}
	}
	return same("output", r.Output, digest)
}

func same(field string, said, got [32]byte) error {
	if said != got {
		return &ReceiptError{field, fmt.Sprintf("%x", said), fmt.Sprintf("%x", got)}
	}
	return nil
}

// run generates, or checks known tokens, and digests what is emitted.
func (c *Checker) run(ctx context.Context, a Answer, want uint32) (out sandbox.Outcome, digest [32]byte, emitted uint32, err error) {
	if err := c.hold(a.Request.Module, a.Wasm); err != nil {
		return out, digest, 0, err
	}
	module, err := c.cfg.Runtime.Admit(a.Wasm)
	if err != nil {
		return out, digest, 0, err
	}
	defer module.Close()
	running := commit.NewOutput(a.Request.Hash())
	in, err := module.Start(ctx, sandbox.Job{Device: c.cfg.Device, TensorBytes: a.TensorBytes, MemoryPages: a.MemoryPages, Seed: a.Request.Seed,
		Model: a.Model, Request: a.Request.Bytes(), Known: a.Tokens, Gas: a.Gas,
		Emit: func(token uint32, text []byte) bool {
			running.Add(token, text)
			emitted++
			return emitted >= want // the client may have hung up there
		}})
	if err != nil {
		return out, digest, 0, initError(err)
	}
	if a.Tokens != nil {
		out, err = in.Check(ctx)
	} else {
		out, err = in.Infer(ctx)
	}
	err = errors.Join(err, in.Close())
	return out, running.Sum(), emitted, err
}
