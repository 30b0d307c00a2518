// Package openings is the protocol by which a validator fetches the openings
// of its sample from a miner: the messages, the miner's HTTP handler and the
// validator's client. docs/spec/commitments.md is the normative text.
//
// The handler serves only what the asking validator's own VRF drew, so that
// nobody learns which units others check and nobody can make a miner open
// units at will. The client believes nothing: it returns only openings that
// lead to the claim's root. It imports verifier/commit and verifier/sample
// and must not know where rounds and claims come from.
package openings
