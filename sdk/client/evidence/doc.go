// Package evidence carries a claim of the chain to where no node is: one file
// holds a signed header, ICS 23 proofs of the epoch and the claim under its
// app hash, the module, and openings of units under the claim's root. Whoever
// has the file checks all of it offline, and may run each unit again.
//
// What it cannot know is whether the header is the chain's: Trust names what
// the reader already believes. It must not know how a unit is re-executed.
package evidence
