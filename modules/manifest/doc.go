// Package manifest owns the formats in which code and weights travel: the
// model blob ("ASYM1"), the module manifest, content addresses, chunks and
// bounded decompression.
//
// It is a leaf: it imports nothing of this project. It must not know how a
// model is computed, where a blob is stored or who pays for it. Everything it
// decodes may come from a stranger: each decoder has bounds, accepts exactly
// one encoding of a value, and returns a *FormatError that names the offending
// field.
package manifest
