//go:build !linux

package cpudev

func machineMemory() int64 { return defaultMemory }
