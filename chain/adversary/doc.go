// Package adversary simulates who tries to earn more than honest work earns. It drives the real
// code in one process: the keepers of sprint, audit and power with all that a block's end does,
// VRF keys, proofs and draws, Merkle trees and openings, and the re-execution of every mined,
// checked and accused unit in the sandbox. A strategy is a small type that differs from Honest in
// what it decides; the table says what it gains.
//
// It replaces only what carries messages: there are no signatures, no network and no consensus. A
// mempool hands each block's proposer the messages in their order, and the proposer chooses.
//
// Only tests and testdata/adversary import it. It must not know how a node is wired, beyond the
// adapters between modules.
package adversary
