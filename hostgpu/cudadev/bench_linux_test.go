package cudadev

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/assaynet/assay/hostgpu/cudadev/driver"
	"github.com/assaynet/assay/hostgpu/device"
)

// BenchmarkRun is the host's side of an op on one queue: order, plan, launch
// through the real binding, into a driver that does nothing.
func BenchmarkRun(b *testing.B) {
	lib := filepath.Join(b.TempDir(), "libcuda.so.1")
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-O2", "-DANY_KERNEL", "-DMEMORY=(1l<<31)", "-o", lib, "driver/testdata/fakecuda.c").CombinedOutput(); err != nil {
		b.Fatalf("gcc: %v\n%s", err, out)
	}
	d, err := driver.Open(lib)
	if err != nil {
		b.Fatal(err)
	}
	dev, err := New(Config{Driver: d})
	if err != nil {
		b.Fatal(err)
	}
	defer dev.Close()
	sp, err := dev.NewSpace(64 << 20)
	if err != nil {
		b.Fatal(err)
	}
	defer sp.Close()
	alloc := func(dt device.DType, rows, cols int) device.Handle {
		h, err := sp.Alloc(dt, device.Shape{Rows: rows, Cols: cols})
		if err != nil {
			b.Fatal(err)
		}
		return h
	}
	x, y := alloc(device.S32, 16, 2048), alloc(device.S32, 16, 2048)
	a, as := alloc(device.S8, 16, 2048), alloc(device.ScaleT, 16, 1)
	w, ws := alloc(device.S8, 2048, 2048), alloc(device.ScaleT, 2048, 1)
	sum := alloc(device.U8, 1, 32)
	for _, c := range []device.Call{
		{Op: device.OpAdd, Tensors: []device.Handle{y, y, x}},
		{Op: device.OpLinear, Tensors: []device.Handle{y, a, as, w, ws, 0, y}, Imms: []int64{47}},
		{Op: device.OpQuant, Tensors: []device.Handle{a, as, x}, Imms: []int64{16}},
		{Op: device.OpDigest, Tensors: []device.Handle{sum, x, 0}},
	} {
		b.Run(c.Op.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := sp.Run(c); err != nil {
					b.Fatal(err)
				}
			}
			if err := sp.Sync(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
