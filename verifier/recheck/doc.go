// Package recheck re-executes what others claim: a unit of a proof of work, or
// the answer of a receipt. It owns the rule of what a unit's digest is: that
// of a fresh instance which ran pow_setup and then computed this one unit.
//
// It is a pure function of its inputs: the same bits on every machine, engine
// and device. It runs modules through runtime/sandbox on a device.Device that
// it is given (adjudication uses the reference device) and must not know who
// claims, who checks, or what follows from the result.
package recheck
