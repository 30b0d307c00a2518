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
