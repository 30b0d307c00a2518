package plugin

import (
	"slices"
	"testing"
	"time"

	"github.com/assaynet/assay/hostgpu/device"
)

// BenchmarkCall measures an op that nobody waits for, one that is waited for,
// and an upload. "enqueue" issues bursts that fit the ring: what a call costs
// the caller. "stream" never stops: what the device process can take.
func BenchmarkCall(b *testing.B) {
	for _, mode := range []string{"shared memory", "gRPC"} {
		cfg := config(b, "serve")
		cfg.NoSharedMemory = mode == "gRPC"
		d := startDevice(b, cfg)
		s := space(b, d)
		x, y := alloc(b, s, device.S32, 1, 16), alloc(b, s, device.S32, 1, 16)
		call := device.Call{Op: device.OpAdd, Tensors: []device.Handle{x, x, y}}
		run := func(n int) {
			for range n {
				if err := s.Run(call); err != nil {
					b.Fatal(err)
				}
			}
		}
		wait := func() {
			if err := s.Sync(); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(mode+"/enqueue", func(b *testing.B) {
			const burst = 1000
			var took []time.Duration
			b.ReportAllocs()
			for b.Loop() {
				begin := time.Now()
				run(burst)
				took = append(took, time.Since(begin))
				wait()
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/burst, "ns/call")
		})
		b.Run(mode+"/stream", func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				run(1)
				n++
			}
			wait()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/call")
		})
		buf := make([]byte, 64)
		b.Run(mode+"/wait", func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				begin := time.Now()
				run(1)
				if err := s.Read(x, 0, buf); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(begin))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "ns-p50")
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "ns-p99")
		})
		big := alloc(b, s, device.U8, 1, 16<<20)
		p := make([]byte, 16<<20)
		b.Run(mode+"/write16MiB", func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				if err := s.Write(big, 0, p); err != nil {
					b.Fatal(err)
				}
				wait()
			}
		})
	}
}
