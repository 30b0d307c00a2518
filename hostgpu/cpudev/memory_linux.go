package cpudev

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// machineMemory is the size of main memory in bytes.
func machineMemory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return defaultMemory
	}
	return int64(uint64(info.Totalram) * uint64(info.Unit))
}

// mapped is the least size that is worth a mapping of its own: large tensors
// then go back to the system when freed, do not count against the collector's
// pace, lie on huge pages, and a machine without memory gives an error.
const mapped = 1 << 20

func allocate(n int64) (*memory, error) {
	if n < mapped {
		return allocateHeap(n), nil
	}
	data, err := unix.Mmap(-1, 0, int(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes: %w", n, err)
	}
	_ = unix.Madvise(data, unix.MADV_HUGEPAGE) // a hint; without it pages are small
	return &memory{data: data, release: unix.Munmap}, nil
}
