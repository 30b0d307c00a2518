package kernels_test

import (
	"github.com/assaynet/assay/hostgpu/cudadev/kernels"
	"os"
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/devicetest"
)

// TestRandom compares the kernels with the reference on random calls.
func TestRandom(t *testing.T) {
	n, gpus := uint64(400), []kernels.Props{a100}
	switch {
	case os.Getenv("ASSAY_PTX") != "":
		n, gpus = 4000, []kernels.Props{a100, h100, {Major: 9, SMs: 1, SharedPerBlock: 227 << 10}}
	case testing.Short():
		n = 40
	}
	for i, p := range gpus {
		dev := device.New(newEmulated(t, p))
		bad := map[device.Op]int{}
		for seed := uint64(i) * n; seed < uint64(i+1)*n; seed++ {
			c := devicetest.RandomCase(seed)
			if bad[c.Op] > 1 {
				continue
			}
			if err := devicetest.Differ(dev, c); err != nil {
				t.Errorf("seed %d: %v", seed, err)
				bad[c.Op]++
			}
		}
	}
}

// TestCases is devicetest's own suite of single calls, on both images; the
// digest is the one that `assay device check` prints on every device.
func TestCases(t *testing.T) {
	if os.Getenv("ASSAY_PTX") == "" {
		t.Skip("a minute of emulation: make test-ptx")
	}
	for name, p := range map[string]kernels.Props{"sm_80": a100, "sm_90a": h100} {
		t.Run(name, func(t *testing.T) {
			e := newEmulated(t, p)
			r, err := devicetest.Check(device.New(e))
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range r.Mismatches {
				t.Error(m)
			}
			t.Logf("%d cases, digest %x", r.Cases, r.Digest)
		})
	}
}
