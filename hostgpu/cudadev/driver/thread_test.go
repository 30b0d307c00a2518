//go:build linux && (amd64 || arm64)

package driver

import "runtime"

// onThread serves launches from a goroutine that keeps its thread.
func onThread(s Stream, calls <-chan []Launch, done chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for batch := range calls {
		done <- s.Launch(batch)
	}
}
