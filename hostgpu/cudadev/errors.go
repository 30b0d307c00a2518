package cudadev

import (
	"errors"
	"fmt"

	"github.com/assaynet/assay/hostgpu/cudadev/driver"
	"github.com/assaynet/assay/hostgpu/device"
)

// ErrWedged says that a kernel or the GPU failed and left this process without
// a usable context: another process must take over. It comes with the cause, a
// *driver.Error.
var ErrWedged = errors.New("cudadev: the GPU's context is lost with this process")

// ErrCapability says that the GPU is older than the kernels: compute
// capability 8.0, Ampere, is needed.
var ErrCapability = errors.New("cudadev: the GPU is too old")

// fail makes the backend's error of a driver's, and remembers what cannot be
// repaired.
func (b *Backend) fail(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, driver.ErrOutOfMemory):
		return fmt.Errorf("%s: %w: %w", b.name, device.ErrDeviceMemory, err)
	case driver.Sticky(err):
		b.wedged.CompareAndSwap(nil, &wedge{fmt.Errorf("%w: %s: %w", ErrWedged, b.name, err)})
		return b.wedged.Load().err
	}
	return fmt.Errorf("%s: %w", b.name, err)
}

type wedge struct{ err error }

// usable fails once the context is lost.
func (b *Backend) usable() error {
	if w := b.wedged.Load(); w != nil {
		return w.err
	}
	return nil
}
