// Package keeper is the state machine of the sprint: it opens epochs, takes claims, fixes their
// root, and pays once the audit has handed over its result.
//
// A phase written in a block holds from the next block on: EndBlock of height h looks at height
// h+1, so that every message of a block sees one phase. The package must not know how a unit is
// checked, which verdicts there are, or how powers come about.
package keeper
