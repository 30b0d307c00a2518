// Package sample owns how work is drawn for checking: a validator's verifiable
// random function, the number of units a claim is checked on and each
// validator's share of it, and the indexes that a draw gives.
//
// The VRF is a BLS12-381 signature (public keys in G1, signatures in G2): for
// one key and message exactly one signature verifies, only the holder of the
// key can make it, and its hash is the output. docs/spec/commitments.md is the
// normative text.
//
// It imports nothing of this project but verifier/commit. It must not know
// what the indexes are used for. Everything is a pure function of its inputs,
// in integers; the result does not depend on time, order of maps or goroutines.
package sample
