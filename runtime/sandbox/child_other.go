//go:build !linux

package sandbox

import "context"

// canSpawn: limits on a process and its death with its parent need Linux.
// Elsewhere modules are compiled in this process.
const canSpawn = false

func spawnCompiler(context.Context, string, *prepared, CompileLimits) (string, []byte, CompileCost, error) {
	panic("sandbox: no compiler process on this system")
}
