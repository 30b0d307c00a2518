// Package admission is what the transformer proof of work is admitted by: the
// module a second time, written on the device directly, so that intermediates
// can be looked at and changed, and the statistics and sensitivity tests that
// a proof of work must pass (zeros, saturation, attention entropy, bits that
// matter, the same operations whatever the input).
//
// Network makes the guest's digests with the guest's operations in the guest's
// order, which its tests and "make bench-pass" check; so it is also what the
// cost of the sandbox is measured against. It must not know how a device
// computes or who runs the module. Floats appear in statistics only.
package admission
