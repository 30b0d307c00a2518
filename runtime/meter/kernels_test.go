package meter_test

import (
	"sort"
	"testing"
	"time"
)

// work is a function of a kernel module and the size to measure it with.
type work struct {
	name  string
	small uint64 // for comparing results
	large uint64 // for measuring: about 20 ms
}

var cKernels = []work{
	{"crc", 100, 500_000}, {"sieve", 1, 2}, {"matmul", 1, 60}, {"simd_dot", 1, 4000}, {"chase", 1000, 2_000_000},
	{"fib", 12, 30}, {"ackermann", 1, 20}, {"interpreter", 100, 500_000}, {"copies", 100, 100_000}, {"sort", 1, 4},
	{"sha", 10, 30_000}, {"parse", 10, 50_000}, {"collatz", 100, 60_000},
	{"float_nbody", 10, 50_000}, {"float_mandelbrot", 10, 150}, {"float_dot", 1, 1500},
	{"float_simd", 1, 4000}, {"float_saxpy", 1, 3000},
}

var goKernels = []work{
	{"work", 20, 1000}, {"sorting", 100, 100_000}, {"sieve", 1000, 2_000_000}, {"trees", 5, 15},
	{"hashing", 3, 5000}, {"deep", 100, 3000}, {"maps", 100, 100_000},
}

// TestKernels compares original and rewritten on both engines.
func TestKernels(t *testing.T) {
	b := kernels(t)
	r := rewrite(t, b).Wasm
	original, compiled, interpreted := load(t, b, false), load(t, r, false), load(t, r, true)
	for _, k := range cKernels {
		want, _, _, err := original.call(k.name, 0, k.small)
		if err != nil {
			t.Fatal(err)
		}
		got, used, _, err := compiled.call(k.name, 1<<40, k.small)
		if err != nil || got[0] != want[0] {
			t.Errorf("%s: compiler: got %v, %v, want %v", k.name, got, err, want)
		}
		again, usedAgain, _, err := interpreted.call(k.name, 1<<40, k.small)
		if err != nil || again[0] != want[0] || usedAgain != used {
			t.Errorf("%s: interpreter: got %v, %v, gas %d; want %v, gas %d", k.name, again, err, usedAgain, want, used)
		}
	}
}

// TestGoGuest is the proof that stock Go is admitted and unchanged.
func TestGoGuest(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and compiles a large guest")
	}
	b := guest(t)
	res := rewrite(t, b)
	t.Logf("%d bytes, rewritten %d (%+.1f %%)", len(b), len(res.Wasm), 100*float64(len(res.Wasm))/float64(len(b))-100)
	original, metered := load(t, b, false), load(t, res.Wasm, false)
	for _, k := range goKernels {
		want, _, _, err := original.call(k.name, 0, k.small)
		if err != nil {
			t.Fatal(err)
		}
		got, used, trap, err := metered.call(k.name, 1<<40, k.small)
		if err != nil || got[0] != want[0] {
			t.Errorf("%s: got %v, %v (%v), want %v", k.name, got, err, trap, want)
		}
		if used <= 0 {
			t.Errorf("%s used %d gas", k.name, used)
		}
	}
}

// BenchmarkSlowdown measures rewritten against original code, alternating, by
// the least time of each: go test -bench Slowdown -benchtime 7x ./runtime/meter
func BenchmarkSlowdown(b *testing.B) {
	for _, set := range []struct {
		name  string
		wasm  []byte
		works []work
	}{{"c", kernels(b), cKernels}, {"go", guest(b), goKernels}} {
		original := load(b, set.wasm, false)
		metered := load(b, rewrite(b, set.wasm).Wasm, false)
		for _, k := range set.works {
			b.Run(set.name+"/"+k.name, func(b *testing.B) {
				var base, with []time.Duration
				var gas int64
				for b.Loop() {
					start := time.Now()
					if _, _, _, err := original.call(k.name, 0, k.large); err != nil {
						b.Fatal(err)
					}
					middle := time.Now()
					_, used, trap, err := metered.call(k.name, 1<<50, k.large)
					if err != nil {
						b.Fatal(err, trap)
					}
					base, with = append(base, middle.Sub(start)), append(with, time.Since(middle))
					gas = used
				}
				sort.Slice(base, func(i, j int) bool { return base[i] < base[j] })
				sort.Slice(with, func(i, j int) bool { return with[i] < with[j] })
				b.ReportMetric(float64(with[0])/float64(base[0]), "x")
				b.ReportMetric(float64(with[0])/float64(gas), "ns/gas")
				b.ReportMetric(float64(base[0])/1e6, "ms-original")
			})
		}
	}
}
