package sandbox

import (
	"context"
	"sync/atomic"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// cancelOn makes the end of ctx, or of the runtime, end the running call. The
// caller calls the returned function when the call is over; it says whether it
// was cancelled. Host calls look at the flag, and a guest that makes none meets
// it when it comes back for its next slice of gas: see refillHook.
//
// No result depends on when that happens: a call that was cancelled reports
// the host's failure, whatever it came to.
func (in *Instance) cancelOn(ctx context.Context) (done func() bool) {
	flag := new(atomic.Bool)
	in.cancelled = flag
	cancel := func() { flag.Store(true) }
	stop, stopClosing := context.AfterFunc(ctx, cancel), context.AfterFunc(in.mod.rt.ctx, cancel)
	return func() bool {
		stop()
		stopClosing()
		return flag.Load()
	}
}

// cancelCause says why the running call is cancelled.
func (in *Instance) cancelCause() error {
	if in.userCtx.Err() != nil {
		return context.Cause(in.userCtx)
	}
	return ErrClosed
}

// debt is what a cancelled call's counters are set to: −2^61, so that no charge
// makes their sum wrap.
const debt = 7 << 61

// refillHook makes the engine call the host whenever a guest asks for its next
// slice of gas, which is function refill of the rewritten module, and nowhere
// else: no other function is compiled differently. It runs where the guest
// does, so nobody else writes to the counters of a guest at work.
type refillHook struct{ refill uint32 }

// NewFunctionListener implements experimental.FunctionListenerFactory.
func (h refillHook) NewFunctionListener(f api.FunctionDefinition) experimental.FunctionListener {
	if f.Index() == h.refill {
		return h
	}
	return nil
}

// Before implements experimental.FunctionListener: if the call was cancelled,
// no gas is left.
func (refillHook) Before(ctx context.Context, _ api.Module, _ api.FunctionDefinition, _ []uint64, _ experimental.StackIterator) {
	if c, ok := ctx.(*callContext); ok && c.in.cancelled.Load() {
		c.in.rest.Set(debt)
		c.in.gas.Set(debt)
	}
}

// After implements experimental.FunctionListener.
func (refillHook) After(context.Context, api.Module, api.FunctionDefinition, []uint64) {}

// Abort implements experimental.FunctionListener.
func (refillHook) Abort(context.Context, api.Module, api.FunctionDefinition, error) {}
