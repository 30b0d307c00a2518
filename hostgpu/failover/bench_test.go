package failover

import (
	"slices"
	"testing"
	"time"

	"github.com/assaynet/assay/hostgpu/device"
)

// BenchmarkCall is what a caller pays for an op through the journal and a
// process: one that nobody waits for, in bursts that fit the ring, and one
// that is waited for.
func BenchmarkCall(b *testing.B) {
	p := newProcesses(b)
	d, _ := open(b, Config{Candidates: []Candidate{p.candidate()}})
	s, err := d.NewSpace(1 << 20)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var h [2]device.Handle
	for i := range h {
		if h[i], err = s.Alloc(device.S32, device.Shape{Rows: 1, Cols: 16}); err != nil {
			b.Fatal(err)
		}
	}
	call := device.Call{Op: device.OpAdd, Tensors: []device.Handle{h[0], h[0], h[1]}}
	run := func() {
		if err := s.Run(call); err != nil {
			b.Fatal(err)
		}
	}
	buf := make([]byte, 64)
	read := func() {
		if err := s.Read(h[0], 0, buf); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("enqueue", func(b *testing.B) {
		const burst = 1000
		var took []time.Duration
		var total time.Duration
		b.ReportAllocs()
		for b.Loop() {
			begin := time.Now()
			for range burst {
				run()
			}
			took = append(took, time.Since(begin))
			total += took[len(took)-1]
			read()
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/burst, "ns/call-p50")
		b.ReportMetric(float64(total.Nanoseconds())/float64(burst*len(took)), "ns/call-mean") // with compactions
	})
	b.Run("wait", func(b *testing.B) {
		var took []time.Duration
		for b.Loop() {
			begin := time.Now()
			run()
			read()
			took = append(took, time.Since(begin))
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "ns-p50")
		b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "ns-p99")
	})
}
