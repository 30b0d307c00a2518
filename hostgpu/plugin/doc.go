// Package plugin runs a device in another process, so that a crash of a driver
// costs a job and never the host.
//
// New starts the process (hashicorp/go-plugin: magic cookie, checksum of the
// executable, mutual TLS with one-time certificates) and is a device.Device of
// its own: it makes every check of the op table on the host's side and sends
// only what passed. Serve is the other side, around any device.Backend.
//
// Control (describe, reserve, open, close, telemetry) is gRPC. Operations are
// records (record.go): memory is named by the host, so allocations, writes,
// ops and frees need no answer; only a read waits. Where the machine allows it
// they travel through a ring in shared memory, else in batches through gRPC.
//
// When the process dies, every space that it held fails with a
// *device.InternalError that wraps ErrExited; the next NewSpace starts it again.
// The package must not know which devices exist.
package plugin
