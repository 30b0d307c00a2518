package cpudev

import (
	"fmt"

	"golang.org/x/sys/cpu"
)

func selectKernels(isa ISA) (*kernels, error) {
	switch {
	case isa == Portable, isa == Auto && !cpu.ARM64.HasASIMDDP:
		return portableKernels(), nil
	case cpu.ARM64.HasASIMDDP && (isa == Auto || isa == NEON):
		return neonKernels(), nil
	}
	return nil, fmt.Errorf("%w: %s", ErrISA, isa)
}
