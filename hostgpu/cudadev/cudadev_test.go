package cudadev

import (
	"os"
	"testing"

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

// TestConformance is the suite of all devices on the PTX that ships.
func TestConformance(t *testing.T) {
	for name, gpu := range gpus {
		t.Run(name, func(t *testing.T) {
			if !full {
				t.Skip("takes the emulator minutes: make test-cuda-emulated")
			}
			gpu.Checks = ptx.AllChecks()
			devicetest.Run(t, newDevice(t, gpu, Config{}))
		})
	}
}
