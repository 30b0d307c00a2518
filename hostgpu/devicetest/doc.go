// Package devicetest holds an independent reference of every tensor op and
// the conformance suite that every device passes.
//
// The reference (Reference, ref_*.go) follows docs/spec/ops.md line by line,
// with plain loops over decoded numbers and big integers wherever a rounding
// or a bound is at stake; it shares no arithmetic with any device. Run compares
// a device with it, bit for bit. The package must not know any device.
package devicetest
