// Package types holds the registry's messages, state, errors and limits.
//
// It is what clients import: it knows nothing of keepers, of other x-modules or of the
// sandbox.
package types
