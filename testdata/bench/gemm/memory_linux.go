package main

import "golang.org/x/sys/unix"

// mapMemory is memory as cpudev maps it: anonymous, on huge pages if it can be.
func mapMemory(n int) (p []byte, release func() error, err error) {
	p, err = unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, nil, err
	}
	_ = unix.Madvise(p, unix.MADV_HUGEPAGE)
	return p, func() error { return unix.Munmap(p) }, nil
}
