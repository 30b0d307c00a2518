// Package frames lifts the bound of wazero's interpreter on call frames, so
// that the logical stack of rewritten modules is the only bound that a guest
// can meet. Importing it is enough.
//
// The bound is a variable of an internal package, set to 2,000 and changed by
// nothing but wazero's own tests. It is reached by its linker symbol: if a
// later version drops or renames it, this package does not link, and if it
// stops to be the bound, TestRecursion fails.
package frames

import (
	_ "unsafe" // go:linkname

	_ "github.com/tetratelabs/wazero" // defines the symbol
)

// Ceiling is above the frames that meter.DefaultStack admits. One of the
// interpreter's frames takes about 1 KiB of a Go stack, of which there may be
// 1 GB.
const Ceiling = 1 << 17

//go:linkname callStackCeiling github.com/tetratelabs/wazero/internal/engine/interpreter.callStackCeiling
var callStackCeiling int

func init() { callStackCeiling = Ceiling }
