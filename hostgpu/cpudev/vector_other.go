//go:build !amd64

package cpudev

// vectorScratch is what vector kernels need beside the portable scratch.
type vectorScratch struct{}
