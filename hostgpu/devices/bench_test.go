package devices

import (
	"slices"
	"testing"
	"time"

	"github.com/assaynet/assay/runtime/sandbox"
)

// BenchmarkProcess compares a batch of the production shape of transformerpow
// in this process with one on the same device in a process of its own, journal
// and all. overhead-% is of the medians of batches that take turns.
func BenchmarkProcess(b *testing.B) {
	rt, err := sandbox.New(sandbox.Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer rt.Close()
	const batch = 8
	params := u32s(2, 2048, 16, 16, 5504, 16)
	var ins [2]*sandbox.Instance
	for i, cfg := range []Config{{Threads: 1}, inProcess(nil)} {
		d, err := Open("cpudev", cfg)
		if err != nil {
			b.Fatal(err)
		}
		defer d.Close()
		ins[i] = begin(b, rt, d, params)
		defer ins[i].Close()
		units(b, ins[i], 0, batch)
	}
	var took [2][]time.Duration
	n := 0
	for b.Loop() {
		for i, in := range ins {
			begin := time.Now()
			units(b, in, n*batch, batch)
			took[i] = append(took[i], time.Since(begin))
		}
		n++
	}
	var medians [2]float64
	for i := range took {
		slices.Sort(took[i])
		medians[i] = took[i][len(took[i])/2].Seconds()
	}
	b.ReportMetric(1000*medians[0], "ms-in-process")
	b.ReportMetric(1000*medians[1], "ms-own-process")
	b.ReportMetric(100*(medians[1]/medians[0]-1), "overhead-%")
}
