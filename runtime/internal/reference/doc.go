// Package reference is an interpreter of Core 2.0 that runs a module as it was
// written and bills it one instruction after the other. It is the oracle of
// the engine tests: what a rewritten module does on any engine must equal what
// the original does here.
//
// It shares nothing with the codec, the analysis or the rewriter but the price
// table, which it takes as data: it has its own decoder, its own walk over
// types and heights, and its own reading of the rules in docs/spec/sandbox.md
// about when gas is charged (regions.go), so that a misunderstanding has to
// happen twice to stay hidden. It is slow and plain on purpose.
//
// Modules must be valid; a malformed one gives an error, never a panic. It
// must not know about engines. Only tests import it.
package reference
