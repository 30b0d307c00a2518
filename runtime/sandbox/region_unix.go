//go:build unix

package sandbox

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// region is a range of reserved address space. It costs no memory until
// committed and touched.
type region struct{ addr []byte }

func reserve(n uint64) (region, error) {
	if n == 0 {
		return region{}, nil
	}
	addr, err := unix.Mmap(-1, 0, int(n), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return region{}, fmt.Errorf("%w: reserve %d bytes: %v", ErrMemory, n, err)
	}
	return region{addr}, nil
}

// commit makes [from, to) readable and writable. Fresh pages read as zero.
func (r region) commit(from, to uint64) error {
	if from == to {
		return nil
	}
	if err := unix.Mprotect(r.addr[from:to], unix.PROT_READ|unix.PROT_WRITE); err != nil {
		return fmt.Errorf("%w: commit %d bytes: %v", ErrMemory, to-from, err)
	}
	return nil
}

func (r *region) release() {
	if r.addr != nil {
		// An error here could only mean that the range was not ours.
		_ = unix.Munmap(r.addr[:cap(r.addr)])
		r.addr = nil
	}
}
