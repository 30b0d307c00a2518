package main

import (
	"github.com/assaynet/assay/hostgpu/cpudev"
	"golang.org/x/sys/cpu"
)

//go:noescape
func peakAVX512(n int)

//go:noescape
func peakAVX2(n int)

//go:noescape
func readAVX2(p *byte, n, ahead int)

// peak runs about n rounds on registers alone and returns the operations
// (2 × multiply-accumulates) done: 0 where there is no ceiling to measure.
func peak(isa cpudev.ISA, n int) float64 {
	switch isa {
	case cpudev.AVX512:
		peakAVX512(n)
		return float64(n) * 48 * 128 // 48 instructions of 64 products
	case cpudev.AVX2:
		peakAVX2(n)
		return float64(n) * 8 * 64 // 8 triples of 32 products
	}
	return 0
}

// aheads are the prefetch distances that read tries.
var aheads = []int{0, 1024, 2048, 4096}

// read reads p once and uses it for nothing.
func read(p []byte, ahead int) {
	if cpu.X86.HasAVX2 {
		readAVX2(&p[0], len(p)/256, ahead)
		return
	}
	readPortable(p)
}
