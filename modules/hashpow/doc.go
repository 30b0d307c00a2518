//go:build wasip1

// Module hashpow is a proof of work as a researcher might propose it: plain
// Wasm, no tensors. A unit is a chain of SHA-256 over (seed, claimant, index):
//
//	base = SHA-256("assay/hashpow/1" ‖ seed ‖ identity)
//	h    = SHA-256(base ‖ index u64le)
//	rounds times: h = SHA-256(h ‖ h)
//
// and its transcript is the 32 bytes of the last h. The parameter is one
// little-endian u32, rounds, from 1 to 1,000,000. The chain cannot be cut
// short or shared between units, and its gas does not depend on its input.
package main
