package cpudev_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/device"
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

// FuzzScript runs the same calls, most of them malformed, on the reference
// and here: the same handles, bytes and classes of errors come of them.
func FuzzScript(f *testing.F) {
	f.Add([]byte{0, 2, 4, 4, 0, 3, 4, 4, 6, 14, 2, 1, 5, 16, 1, 0})
	f.Add([]byte{7, 1, 2, 0, 7, 9, 9, 1, 0, 3, 8, 8, 2, 1, 2, 3, 4, 6, 11, 1, 2, 2, 3, 1, 3, 1, 5, 8, 2, 0})
	f.Add([]byte{0, 1, 254, 254, 1, 2, 255, 1, 2, 7, 253, 1, 1, 4, 7, 1, 2, 3, 4, 5, 6, 7, 1, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		ref := devicetest.Reference()
		defer ref.Close()
		want, err := devicetest.Script(ref, data)
		if err != nil {
			t.Fatal(err)
		}
		dev, err := cpudev.New(cpudev.Config{Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer dev.Close()
		got, err := devicetest.Script(dev, data)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	})
}

// TestConfig: what a machine lacks is refused at once, with its own error.
func TestConfig(t *testing.T) {
	if _, err := cpudev.New(cpudev.Config{ISA: "abacus"}); !errors.Is(err, cpudev.ErrISA) {
		t.Errorf("unknown instruction set: %v", err)
	}
	dev, err := cpudev.New(cpudev.Config{Memory: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	sp, err := dev.NewSpace(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dev.NewSpace(1); !errors.Is(err, device.ErrDeviceMemory) {
		t.Errorf("more than the memory: %v", err)
	}
	if err := sp.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := dev.NewSpace(1 << 20); err != nil {
		t.Errorf("memory of a closed space is not free: %v", err)
	}
}
