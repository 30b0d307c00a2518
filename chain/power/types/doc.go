// Package types holds the power module's messages, state, errors and arithmetic.
//
// It is what clients import: it knows nothing of keepers or of other x-modules. The
// arithmetic from shares to powers is pure and lives here so that it can be tested alone.
package types
