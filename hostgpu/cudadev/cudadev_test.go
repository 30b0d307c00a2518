package cudadev

import (
	"os"
	"testing"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/cudadev/driver/emulated"
	"github.com/assaynet/assay/hostgpu/cudadev/ptx"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/devicetest"
)

// full runs in the emulator what takes it minutes: make test-cuda-emulated.
var full = os.Getenv("ASSAY_CUDA_EMULATED") == "full"

// gpus are the GPUs whose images ship.
var gpus = map[string]emulated.Config{
	"sm_80":  {Major: 8, Minor: 0, SMs: 4},
	"sm_90a": {Major: 9, Minor: 0, SMs: 4},
}

func newBackend(t testing.TB, gpu emulated.Config, cfg Config) *Backend {
	t.Helper()
	cfg.Driver = emulated.New(gpu)
	b, err := NewBackend(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return b
}

func newDevice(t testing.TB, gpu emulated.Config, cfg Config) device.Device {
	t.Helper()
	return device.New(newBackend(t, gpu, cfg))
}

// small says whether the emulator runs a case in a few milliseconds.
func small(c devicetest.Case) bool {
	work := int64(0)
	for _, t := range c.Tensors {
		work += t.Shape.Elems()
	}
	switch c.Op {
	case device.OpGemm, device.OpLinear:
		work = int64(c.Tensors[0].Shape.Rows) * int64(c.Tensors[0].Shape.Cols) * int64(c.Tensors[1].Shape.Cols) / 64
	}
	return work < 600
}

// TestConformance is the suite of all devices on the PTX that ships, without
// the larger cases unless all are asked for.
func TestConformance(t *testing.T) {
	for name, gpu := range gpus {
		t.Run(name, func(t *testing.T) {
			gpu.Checks = ptx.AllChecks()
			dev := newDevice(t, gpu, Config{})
			if full {
				devicetest.Run(t, dev)
				return
			}
			n := 0
			devicetest.RunPart(t, dev, func(c devicetest.Case) bool {
				// Of the cases that are alike in all but values, every fourth.
				n++
				return small(c) && n%4 == 0
			})
		})
	}
}

// TestDigest: the digest that device check prints is that of the processor.
func TestDigest(t *testing.T) {
	if !full {
		t.Skip("takes the emulator a minute: make test-cuda-emulated")
	}
	cpu, err := cpudev.New(cpudev.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer cpu.Close()
	want, err := devicetest.Check(cpu)
	if err != nil {
		t.Fatal(err)
	}
	for name, gpu := range gpus {
		t.Run(name, func(t *testing.T) { sameDigest(t, newDevice(t, gpu, Config{}), want) })
	}
}
