//go:build wasip1

// Module transformerpow is the proof of work that Assay ships: a Llama-shaped
// integer transformer whose int8 weights are expanded from the epoch seed and
// whose input is expanded from (seed, claimant, unit index), so that no two
// miners and no two units share an input, and no table of earlier results helps.
//
// A unit is Tokens rows of dense int8 input, no embedding. The transcript of
// a unit is the residual stream, Q16, of all its rows after each layer. Every
// intermediate that is about to be rounded to int8 (queries, keys, values,
// attention, gated activations) is also added to the residual stream as it
// is, so a change of one unit in the last place anywhere shows in the
// transcript instead of being rounded away. Rows of different units never
// meet, so a digest does not depend on the batch.
//
// The guest keeps its buffers and computes with integers only; nearly all of
// its gas is that of tensor ops. Its parameters are package shape.
package main
