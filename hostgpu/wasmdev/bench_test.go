package wasmdev_test

import (
	"fmt"
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/wasmdev"
)

func BenchmarkGemm(b *testing.B) {
	dev := open(b, wasmdev.Config{})
	for _, s := range [][3]int{{8, 64, 64}, {8, 128, 64}, {16, 64, 128}, {1, 2048, 2048}, {16, 2048, 2048}, {128, 512, 512}, {1024, 1024, 1024}} {
		m, n, k := s[0], s[1], s[2]
		b.Run(fmt.Sprintf("%dx%dx%d", m, n, k), func(b *testing.B) {
			sp, err := dev.NewSpace(256 << 20)
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
			seed, x, w, y := alloc(device.U8, 1, 32), alloc(device.S8, m, k), alloc(device.S8, n, k), alloc(device.S32, m, n)
			for i, h := range []device.Handle{x, w} {
				if err := sp.Run(device.Call{Op: device.OpExpand, Tensors: []device.Handle{h, seed}, Imms: []int64{int64(i)}}); err != nil {
					b.Fatal(err)
				}
			}
			call := device.Call{Op: device.OpGemm, Tensors: []device.Handle{y, x, w}}
			b.ReportAllocs()
			for b.Loop() {
				if err := sp.Run(call); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(2*float64(m)*float64(n)*float64(k)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GOPS")
		})
	}
}
