package cpudev

import (
	"fmt"

	"golang.org/x/sys/cpu"
)

//go:generate go run ./internal/genasm

func selectKernels(isa ISA) (*kernels, error) {
	has512 := cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ &&
		cpu.X86.HasAVX512VL && cpu.X86.HasAVX512VNNI && cpu.X86.HasAVX2
	switch {
	case isa == Portable, isa == Auto && !cpu.X86.HasAVX2:
		return portableKernels(), nil
	case has512 && (isa == Auto || isa == AVX512):
		return avx512Kernels(), nil
	case cpu.X86.HasAVX2 && (isa == Auto || isa == AVX2):
		return avx2Kernels(), nil
	}
	return nil, fmt.Errorf("%w: %s", ErrISA, isa)
}
