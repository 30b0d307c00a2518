// Package commit owns what a miner commits to and every byte string that is
// hashed or signed about work: the RFC 6962 tree over folded unit digests, its
// inclusion and consistency proofs, openings, the root over all claims of an
// epoch, keyed digests of a validator, and the canonical bytes of inference
// requests, receipts and vouchers. docs/spec/commitments.md is the normative
// text.
//
// It is a leaf: it imports nothing of this project. It must not know how a
// digest is computed (runtime/sandbox), how samples are drawn
// (verifier/sample), or where a claim is stored (chain/sprint). Everything is
// a pure function of its inputs; decoders are bounded and accept exactly one
// encoding of a value.
package commit
