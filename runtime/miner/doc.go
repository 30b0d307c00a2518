// Package miner is the miner: the loop that computes an epoch's units in the
// sandbox, keeps what it committed to on disk, commits and extends its claim,
// serves openings to the validators that drew them and answers demands.
//
// It declares the narrow Chain and Worker interfaces it needs; it must not
// know the Cosmos SDK, which device computes, or what happens to a claim.
package miner
