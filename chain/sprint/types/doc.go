// Package types holds the messages, state and pure arithmetic of the sprint module: the phases of
// an epoch by height, the emission, its split, and vesting.
//
// The arithmetic is a pure function of its arguments in integers, so that every node and every
// client computes the same. The package must not know how claims are audited, what a module is, or
// where powers come from; it states what it needs of others in expected.go.
package types
