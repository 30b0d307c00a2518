package plugin

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sharedSupported says that records can travel through shared memory here.
const sharedSupported = true

var futexTimeout = unix.NsecToTimespec(nap.Nanoseconds())

const (
	futexOpWait = 0
	futexOpWake = 1
)

// futexWait sleeps while *word == seen, if timed for a nap at most. Spurious
// returns are allowed, so its errors do not matter.
func futexWait(word *atomic.Uint32, seen uint32, timed bool) {
	var limit *unix.Timespec
	if timed {
		limit = &futexTimeout
	}
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexOpWait, uintptr(seen),
		uintptr(unsafe.Pointer(limit)), 0, 0)
}

func futexWake(word *atomic.Uint32) {
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexOpWake, 1, 0, 0, 0)
}

// newShared makes the memory of a new process. Pages cost memory once touched.
func newShared() (*os.File, []byte, error) {
	fd, err := unix.MemfdCreate("assay-device", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, nil, fmt.Errorf("memfd: %w", err)
	}
	f := os.NewFile(uintptr(fd), "assay-device")
	if err := f.Truncate(sharedBytes); err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("memfd: %w", err)
	}
	// Were the other process to cut the memory off, the host's next access would
	// end the host.
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL); err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("seal memfd: %w", err)
	}
	b, err := mapShared(fd)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, b, nil
}

func mapShared(fd int) ([]byte, error) {
	b, err := unix.Mmap(fd, 0, sharedBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map shared memory: %w", err)
	}
	return b, nil
}

func unmapShared(b []byte) { _ = unix.Munmap(b) }

// inherited maps, once, the memory that the host handed to this process.
var inherited = sync.OnceValues(func() ([]byte, error) {
	var st syscall.Stat_t
	if err := syscall.Fstat(sharedFD, &st); err != nil {
		return nil, fmt.Errorf("shared memory: %w", err)
	}
	if st.Size != sharedBytes {
		return nil, malformed("shared memory of %d bytes, want %d", st.Size, sharedBytes)
	}
	return mapShared(sharedFD)
})

func (s *server) sharedMemory() ([]byte, error) {
	if os.Getenv(sharedEnv) == "" {
		return nil, malformed("no shared memory")
	}
	return inherited()
}
