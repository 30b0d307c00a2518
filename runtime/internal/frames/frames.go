// Package frames lifts the bound of wazero's interpreter on call frames, so
// that the logical stack of rewritten modules is the only bound that a guest
// can meet.
//
// The bound is a variable of an internal package, set to 2,000 and changed by
// nothing but wazero's own tests. It is reached by its linker symbol: if a
// later version drops or renames it, this package does not link, and if it
// stops to be the bound, TestWidestFrames of the engine tests fails.
package frames

import (
	"sync"
	_ "unsafe" // go:linkname

	_ "github.com/tetratelabs/wazero" // defines the symbol
)

// Ceiling is above the frames that meter.DefaultStack admits. Each takes 4 to
// 8 KiB of a Go stack, which may grow to 512 MiB.
const Ceiling = 50_000

//go:linkname callStackCeiling github.com/tetratelabs/wazero/internal/engine/interpreter.callStackCeiling
var callStackCeiling int

// Lift raises the bound for the whole process. It must come before the first
// guest runs, and it is not undone.
func Lift() { lift() }

var lift = sync.OnceFunc(func() { callStackCeiling = Ceiling })
