package sandbox

import (
	"bytes"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// image is memory contents that instances map privately, copy on write.
type image struct{ fd int }

var zeroPage [4096]byte

// newImage copies mem, whose length is a multiple of 64 KiB; pages of zeros
// take no memory.
func newImage(mem []byte) (image, error) {
	fd, err := unix.MemfdCreate("assay-snapshot", unix.MFD_CLOEXEC)
	if err != nil {
		return image{}, err
	}
	img := image{fd}
	if err := unix.Ftruncate(fd, int64(len(mem))); err != nil {
		img.release()
		return image{}, err
	}
	for at := 0; at < len(mem); at += len(zeroPage) {
		page := mem[at : at+len(zeroPage)]
		if bytes.Equal(page, zeroPage[:]) {
			continue
		}
		if n, err := unix.Pwrite(fd, page, int64(at)); err != nil || n != len(page) {
			img.release()
			return image{}, fmt.Errorf("write %d bytes of snapshot: %v", n, err)
		}
	}
	return img, nil
}

// mapTo makes the first size bytes of a reservation the image's.
func (img image) mapTo(r region, size uint64) error {
	_, err := unix.MmapPtr(img.fd, 0, unsafe.Pointer(&r.addr[0]), uintptr(size),
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED)
	if err != nil {
		return fmt.Errorf("%w: map snapshot of %d bytes: %v", ErrMemory, size, err)
	}
	return nil
}

// SystemMemory is what the machine has, in bytes; 0 if that is unknown.
func SystemMemory() uint64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return uint64(info.Totalram) * uint64(info.Unit)
}

// release frees the image; instances that mapped it keep what they have.
func (img image) release() { _ = unix.Close(img.fd) }
