//go:build linux

package plugin

import (
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
				sleep(&word, &waits, &position, 0, &quit)
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
	const n = 20000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for seen := uint64(0); seen < n; {
			sleep(&h.doorbell, &h.devWaits, &h.tail, seen, &quit)
			seen = h.tail.Load()
			h.head.Store(seen)
			h.signalProgress()
		}
	}()
	for i := uint64(1); i <= n; i++ {
		h.tail.Store(i)
		h.ringDoorbell()
		for h.head.Load() < i {
			if i%64 == 0 {
				sleep(&h.progress, &h.hostWaits, &h.head, h.head.Load(), nil)
			}
		}
	}
	<-done
}
