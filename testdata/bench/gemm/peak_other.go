//go:build !amd64

package main

import "github.com/assaynet/assay/hostgpu/cpudev"

func peak(cpudev.ISA, int) float64 { return 0 }

var aheads = []int{0}

func read(p []byte, _ int) { readPortable(p) }
