//go:build amd64 || arm64

package plugin

// pause tells the processor that this is a loop that waits: it saves power and
// leaves the core's resources to a sibling thread.
func pause()
