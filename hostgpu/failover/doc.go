// Package failover is a device.Backend that outlives the devices under it. It
// works on the first device of a list and keeps a journal of what its spaces
// hold. When the device fails, it begins a new life of it, or goes on to the
// next of the list, rebuilds every tensor from the journal and repeats what
// was in flight: a job sees a pause, never an error, and the same bits, since
// every op is exact.
//
// The journal is bounded. It forgets what nothing live depends on, and where a
// chain of dependencies only grows (the keys and values of a long answer) it
// replaces the chain by a copy of the tensors. A space that does not fit is
// lost with its device, with an error that says so.
//
// The package must not know which devices exist or how they fail.
package failover
