package sandbox

import (
	"context"
	"errors"
	"runtime"
	"runtime/metrics"
	"testing"

	"github.com/assaynet/assay/runtime/abi"
)

// BenchmarkStopTheWorld runs collections beside a guest that makes no host
// call and prints how long they took to stop everything else: the guest's thread
// among others, which Go cannot interrupt.
func BenchmarkStopTheWorld(b *testing.B) {
	emit := cat(i32c(0), i32c(0), i32c(0), call(0), 0x1A)
	spins := map[string][]byte{
		"loop":     cat(emit, 0x03, 0x40, 0x0C, 0, 0x0B),
		"division": cat(emit, 0x03, 0x40, 0x20, 0, i32c(7), 0x6E, 0x21, 0, 0x0C, 0, 0x0B),
		"call":     cat(emit, 0x03, 0x40, call(3), 0x0C, 0, 0x0B),
		"fill":     cat(emit, 0x03, 0x40, i32c(0), i32c(1), i32c(1<<26), 0xFC, 11, 0, 0x0C, 0, 0x0B),
	}
	for name, body := range spins {
		b.Run(name, func(b *testing.B) {
			e := engines(b)[0]
			wasm := wasmMod{Imports: imp("emit"), Min: 1024, Max: 1024, Funcs: []wasmFunc{
				abiFunc, {Export: abi.ExportInfer, Locals: []byte{0x7F}, Body: body}, {}, {},
			}}.encode()
			ctx, cancel := context.WithCancel(context.Background())
			spinning := make(chan struct{})
			in, err := admit(b, e.rt, wasm).Start(context.Background(), Job{Gas: MaxGas, Emit: func(uint32, []byte) bool {
				close(spinning)
				return false
			}})
			if err != nil {
				b.Fatal(err)
			}
			defer in.Close()
			ended := make(chan error)
			go func() {
				_, err := in.Infer(ctx)
				ended <- err
			}()
			<-spinning
			before := pauses()
			for b.Loop() {
				runtime.GC()
			}
			after := pauses()
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				b.Fatal(err)
			}
			var took []float64
			for i, n := range after.Counts {
				for ; n > before.Counts[i]; n-- {
					took = append(took, after.Buckets[i+1]*1e3) // rounded up to a bucket
				}
			}
			b.ReportMetric(took[len(took)/2], "ms-median-stop")
			b.ReportMetric(took[len(took)-1], "ms-longest-stop")
		})
	}
}

// pauses is how often stopping the world for the collector took how long.
func pauses() metrics.Float64Histogram {
	s := []metrics.Sample{{Name: "/sched/pauses/stopping/gc:seconds"}}
	metrics.Read(s)
	h := s[0].Value.Float64Histogram()
	return metrics.Float64Histogram{Counts: append([]uint64(nil), h.Counts...), Buckets: h.Buckets}
}
