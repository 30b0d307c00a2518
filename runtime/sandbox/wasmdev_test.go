package sandbox_test

import (
	"context"
	"testing"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/wasmdev"
	"github.com/assaynet/assay/runtime/sandbox"
)

// TestPowOnReferenceDevice: units on the reference device, whose kernels run
// in the very runtime of the guest that calls them, are those of the native one.
func TestPowOnReferenceDevice(t *testing.T) {
	ctx := context.Background()
	rt, err := sandbox.New(sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	ref, err := wasmdev.New(wasmdev.Config{Sandbox: rt})
	if err != nil {
		t.Fatal(err)
	}
	defer ref.Close()
	cpu, err := cpudev.New(cpudev.Config{Memory: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	defer cpu.Close()
	m, err := rt.Admit(sandbox.BuildGuest(t, "pow"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var want []sandbox.Unit
	var gas int64
	for _, dev := range []device.Device{ref, cpu} {
		in, err := m.Start(ctx, sandbox.Job{Device: dev, TensorBytes: 1 << 16, Seed: [32]byte{4}, Gas: 1 << 40})
		if err != nil {
			t.Fatal(err)
		}
		if out, err := in.PowSetup(ctx); err != nil || !out.Trap.OK() {
			t.Fatal(out, err)
		}
		units, out, err := in.PowUnits(ctx, []uint64{0, 5, 1 << 50}, &[32]byte{8})
		if err != nil || !out.Trap.OK() {
			t.Fatal(out, err)
		}
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want, gas = units, out.GasUsed
			continue
		}
		if out.GasUsed != gas {
			t.Fatalf("gas %d, on the reference device %d", out.GasUsed, gas)
		}
		for i := range units {
			if units[i] != want[i] {
				t.Fatalf("unit %d differs", i)
			}
		}
	}
}
