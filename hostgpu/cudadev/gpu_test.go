package cudadev

import (
	"bytes"
	"errors"
	"testing"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/cudadev/driver"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/devicetest"
)

// TestGPU is what make test-cuda runs: the suite of all devices, the digest, the
// proof of work and the faults on the GPUs of this machine. Without one it is
// skipped.
func TestGPU(t *testing.T) {
	d, err := driver.Open()
	if errors.Is(err, driver.ErrNoDriver) || errors.Is(err, driver.ErrNoDevice) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
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
	for i := range d.Count() {
		info, err := d.Info(i)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(Name(i), func(t *testing.T) {
			t.Logf("%s, %s, driver of CUDA %s", info.Name, info.UUID, driver.VersionString(d.Version()))
			if info.Major < 8 {
				if _, err := New(Config{Driver: d, GPU: i}); !errors.Is(err, ErrCapability) {
					t.Error(err)
				}
				t.Skip("compute capability below 8.0")
			}
			dev, err := New(Config{Driver: d, GPU: i})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := dev.Close(); err != nil {
					t.Error(err)
				}
			}()
			t.Run("conformance", func(t *testing.T) { devicetest.Run(t, dev) })
			t.Run("digest", func(t *testing.T) { sameDigest(t, dev, want) })
			t.Run("units", func(t *testing.T) {
				if !bytes.Equal(mine(t, dev, 8, quietly), reference(t, 8)) {
					t.Error("digests differ from the processor's")
				}
			})
		})
	}
	// A compute-sanitizer that watches this process does not like what comes.
	t.Run("faults", func(t *testing.T) { faults(t, []string{realEnv + "=1"}) })
}

func sameDigest(t *testing.T, dev device.Device, want devicetest.Report) {
	t.Helper()
	got, err := devicetest.Check(dev)
	if err != nil {
		t.Fatal(err)
	}
	if got.Failed > 0 || got.Digest != want.Digest {
		t.Errorf("digest %x, want %x; %v", got.Digest, want.Digest, got.Mismatches)
	}
	t.Logf("%d cases, digest %x", got.Cases, got.Digest)
}
