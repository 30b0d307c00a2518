//go:build linux

package plugin

import (
	"runtime"
	"sync/atomic"
	"testing"
)

// TestSleepQuits: setting quit at any moment ends a sleep that has no time-out.
func TestSleepQuits(t *testing.T) {
	for i := range 6000 {
		var word, waits atomic.Uint32
		var position atomic.Uint64
		var quit atomic.Bool
		done := make(chan struct{})
		go func() {
			defer close(done)
			for !quit.Load() {
				sleep(&word, &waits, &position, 1, &quit, false)
			}
		}()
		for range i % (2 * spins) {
			pause()
		}
		quit.Store(true)
		word.Add(1)
		futexWake(&word)
		<-done
	}
}

// TestSleepWakes: no publication is missed, whichever side is faster.
func TestSleepWakes(t *testing.T) {
	var h ringHeader
	var quit atomic.Bool
	// A lone processor passes to the other side once in milliseconds.
	n := uint64(20000)
	if runtime.GOMAXPROCS(0) == 1 {
		n = 1000
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for seen := uint64(0); seen < n; {
			sleep(&h.doorbell, &h.devWaits, &h.tail, seen+1, &quit, false)
			seen = h.tail.Load()
			h.head.Store(seen)
			h.signalProgress(seen)
		}
	}()
	for i := uint64(1); i <= n; i++ {
		h.target.Store(i)
		h.tail.Store(i)
		h.ringDoorbell()
		for h.head.Load() < i {
			if i%64 == 0 {
				sleep(&h.progress, &h.hostWaits, &h.head, i, &quit, false)
			} else {
				runtime.Gosched() // there may be one processor
			}
		}
	}
	<-done
}

// TestWakesOnlyAtTarget: what a sleeping host does not wait for does not wake
// it; the position that it waits for, or a later one, does.
func TestWakesOnlyAtTarget(t *testing.T) {
	for _, base := range []uint64{0, 1 << 40, ^uint64(0) - 50} { // positions wrap
		var h ringHeader
		h.target.Store(base + 100)
		h.signalProgress(base + 100)
		if n := h.progress.Load(); n != 0 {
			t.Errorf("base %d: %d wake-ups of a host that is awake", base, n)
		}
		h.hostWaits.Store(1)
		for at := base; at != base+100; at++ {
			h.signalProgress(at)
		}
		if n := h.progress.Load(); n != 0 {
			t.Errorf("base %d: %d wake-ups before the target", base, n)
		}
		h.signalProgress(base + 100)
		h.signalProgress(base + 108)
		if n := h.progress.Load(); n != 2 {
			t.Errorf("base %d: %d wake-ups at and beyond the target, want 2", base, n)
		}
	}
}
