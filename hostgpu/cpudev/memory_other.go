//go:build !linux

package cpudev

func machineMemory() int64 { return defaultMemory }

func allocate(n int64) (*memory, error) { return allocateHeap(n), nil }
