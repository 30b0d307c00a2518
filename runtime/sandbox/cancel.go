package sandbox

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// cancellation ends a call whose context ended. Host calls look at its flag.
// A guest that makes none is stopped by its own gas checks: the counter is set
// below zero, again and again until the call is over, because the guest may
// have read it just before and write it back.
//
// It does not reach a guest while Go's collector waits for it: compiled code
// has no points at which Go can stop it, so a collection that begins stops
// everything else until the guest makes a host call or runs out of gas.
//
// No result depends on when that happens: a call that was cancelled reports
// the host's failure, whatever it came to, and the flag is set before the
// counter is touched.
type cancellation struct {
	flag atomic.Bool

	mu    sync.Mutex // held while the counter is written
	ended bool
	over  chan struct{}
}

// cancelEvery is how often a cancelled call's counter is written.
const cancelEvery = time.Millisecond

// cancelOn makes the end of ctx end the running call. The caller calls the
// returned function when the call is over; it says whether it was cancelled.
func (in *Instance) cancelOn(ctx context.Context) (done func() bool) {
	c := &cancellation{over: make(chan struct{})}
	in.cancelled = &c.flag
	stop := context.AfterFunc(ctx, func() {
		c.flag.Store(true)
		t := time.NewTicker(cancelEvery)
		defer t.Stop()
		for c.exhaust(in) {
			select {
			case <-c.over:
			case <-t.C:
			}
		}
	})
	return func() bool {
		stop()
		close(c.over)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ended = true
		return c.flag.Load()
	}
}

// exhaust takes the gas away from a call that is not over.
func (c *cancellation) exhaust(in *Instance) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		in.gas.Set(math.MaxUint64) // -1
	}
	return !c.ended
}
