//go:build !amd64 && !arm64

package cpudev

import "fmt"

func selectKernels(isa ISA) (*kernels, error) {
	if isa != Auto && isa != Portable {
		return nil, fmt.Errorf("%w: %s", ErrISA, isa)
	}
	return portableKernels(), nil
}
