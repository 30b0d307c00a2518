package plugin

import (
	"testing"

	"github.com/assaynet/assay/hostgpu/device"
)

// BenchmarkCall measures an op that nobody waits for and one that is waited for.
func BenchmarkCall(b *testing.B) {
	for _, mode := range []string{"shared memory", "gRPC"} {
		cfg := config(b, "serve")
		cfg.NoSharedMemory = mode == "gRPC"
		d := startDevice(b, cfg)
		s := space(b, d)
		x, y := alloc(b, s, device.S32, 1, 16), alloc(b, s, device.S32, 1, 16)
		call := device.Call{Op: device.OpAdd, Tensors: []device.Handle{x, x, y}}
		b.Run(mode+"/enqueue", func(b *testing.B) {
			for b.Loop() {
				if err := s.Run(call); err != nil {
					b.Fatal(err)
				}
			}
		})
		buf := make([]byte, 64)
		b.Run(mode+"/wait", func(b *testing.B) {
			for b.Loop() {
				if err := s.Run(call); err != nil {
					b.Fatal(err)
				}
				if err := s.Read(x, 0, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
		big := alloc(b, s, device.U8, 1, 16<<20)
		p := make([]byte, 16<<20)
		b.Run(mode+"/write16MiB", func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				if err := s.Write(big, 0, p); err != nil {
					b.Fatal(err)
				}
				if err := s.Sync(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
