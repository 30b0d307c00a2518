package sandbox

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// cancellation ends a call whose context ended. Host calls look at its flag. A
// guest that makes none comes back for gas after each slice and finds none:
// both counters are set far below zero, again and again until the call is
// over, because the guest may have read them just before and write them back.
//
// No result depends on when that happens: a call that was cancelled reports
// the host's failure, whatever it came to, and the flag is set before the
// counters are touched.
type cancellation struct {
	flag atomic.Bool

	mu    sync.Mutex // held while the counter is written
	ended bool
	over  chan struct{}
}

// cancelEvery is how often a cancelled call's counters are written.
const cancelEvery = time.Millisecond

// debt is what a cancelled call's counters are set to: −2^61, so that no charge
// makes their sum wrap.
const debt = 7 << 61

// cancelOn makes the end of ctx, or of the runtime, end the running call. The
// caller calls the
// returned function when the call is over; it says whether it was cancelled.
func (in *Instance) cancelOn(ctx context.Context) (done func() bool) {
	c := &cancellation{over: make(chan struct{})}
	in.cancelled = &c.flag
	rt := in.mod.rt.ctx
	exhaust := func() {
		if c.flag.Swap(true) {
			return
		}
		t := time.NewTicker(cancelEvery)
		defer t.Stop()
		for c.exhaust(in) {
			select {
			case <-c.over:
			case <-t.C:
			}
		}
	}
	stop, stopClosing := context.AfterFunc(ctx, exhaust), context.AfterFunc(rt, exhaust)
	return func() bool {
		stop()
		stopClosing()
		close(c.over)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ended = true
		return c.flag.Load()
	}
}

// cancelCause says why the running call is cancelled.
func (in *Instance) cancelCause() error {
	if in.userCtx.Err() != nil {
		return context.Cause(in.userCtx)
	}
	return ErrClosed
}

// exhaust takes the gas away from a call that is not over.
func (c *cancellation) exhaust(in *Instance) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		in.rest.Set(debt)
		in.gas.Set(debt)
	}
	return !c.ended
}
