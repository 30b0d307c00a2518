package cpudev_test

import (
	"fmt"
	"testing"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/devicetest"
)

// TestConformance runs the suite on every instruction set of this processor,
// with one thread and with several.
func TestConformance(t *testing.T) {
	for _, isa := range cpudev.Available() {
		for _, threads := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s/threads=%d", isa, threads), func(t *testing.T) {
				dev, err := cpudev.New(cpudev.Config{ISA: isa, Threads: threads})
				if err != nil {
					t.Fatal(err)
				}
				defer dev.Close()
				devicetest.Run(t, dev)
			})
		}
	}
}

// FuzzOps compares every instruction set with the reference on random calls.
func FuzzOps(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		c := devicetest.RandomCase(seed)
		for _, isa := range cpudev.Available() {
			dev, err := cpudev.New(cpudev.Config{ISA: isa, Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			if err := devicetest.Differ(dev, c); err != nil {
				t.Errorf("%s: %v", isa, err)
			}
			if err := dev.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}
