// Package emulated is a CUDA driver without a GPU: package driver's interfaces
// over the PTX emulator, with the driver's asynchronous manners. A stream runs
// its work on a goroutine of its own, in order, and later than the call that
// queued it; streams are ordered by events alone; memory of AllocHost is read
// when a copy runs, not when it is asked for, so that the race detector sees a
// host that does not wait. A kernel that faults poisons the context: that call
// and every later one fail, as on a GPU, and nothing but a new Driver helps.
//
// Faults provokes what a GPU does at its worst: memory that runs out, an
// illegal address, a kernel that never ends.
//
// The package is for tests and for looking at kernels where there is no GPU; it
// shows nothing about speed. It must not know what the kernels compute.
package emulated
