package meter_test

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// work is a function of a kernel module and the size to measure it with.
type work struct {
	name  string
	small uint64 // for comparing results
	large uint64 // for measuring: about 20 ms

	native int64 // result for small when compiled for the host (Go)
}

var cKernels = []work{
	{"crc", 100, 500_000, 0}, {"sieve", 1, 2, 0}, {"matmul", 1, 60, 0}, {"simd_dot", 1, 4000, 0}, {"chase", 1000, 2_000_000, 0},
	{"fib", 12, 32, 0}, {"ackermann", 1, 400, 0}, {"interpreter", 100, 500_000, 0}, {"copies", 100, 100_000, 0}, {"sort", 1, 4, 0},
	{"sha", 10, 30_000, 0}, {"parse", 10, 50_000, 0}, {"collatz", 100, 60_000, 0},
	{"float_nbody", 10, 300_000, 0}, {"float_mandelbrot", 10, 400, 0}, {"float_dot", 1, 1500, 0},
	{"float_simd", 1, 4000, 0}, {"float_saxpy", 1, 3000, 0},
}

var goKernels = []work{
	{"work", 20, 1000, -2947555965409073316}, {"sorting", 100, 100_000, -6220982495469841112},
	{"sieve", 1000, 2_000_000, 168}, {"trees", 5, 15, 63}, {"hashing", 3, 5000, 6148919320524674933},
	{"deep", 1500, 3000, 2250}, {"maps", 100, 100_000, 177},
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
	start := time.Now()
	res := rewrite(t, b)
	took := time.Since(start)
	t.Logf("%d bytes, rewritten %d (%+.1f %%) in %v", len(b), len(res.Wasm), 100*float64(len(res.Wasm))/float64(len(b))-100, took)
	metered := load(t, res.Wasm, false)
	for _, k := range goKernels {
		got, used, trap, err := metered.call(k.name, 1<<40, k.small)
		if err != nil || int64(got[0]) != k.native {
			t.Errorf("%s: got %v, %v (%v), want %d", k.name, got, err, trap, k.native)
		}
		if used <= 0 {
			t.Errorf("%s used %d gas", k.name, used)
		}
	}
}

// threadTime is the processor time of the calling thread: a busy machine
// disturbs it less than the clock.
func threadTime(t testing.TB) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// BenchmarkSlowdown measures rewritten against original code, alternating, by
// the least time of each: go test -run xxx -bench Slowdown -benchtime 9x ./runtime/meter
func BenchmarkSlowdown(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, set := range []struct {
		name  string
		wasm  []byte
		works []work
	}{{"c", kernels(b), cKernels}, {"go", guest(b), goKernels}} {
		original := load(b, set.wasm, false)
		metered := load(b, rewrite(b, set.wasm).Wasm, false)
		for _, k := range set.works {
			b.Run(set.name+"/"+k.name, func(b *testing.B) {
				runtime.LockOSThread()
				base, with := time.Hour, time.Hour
				var gas int64
				for b.Loop() {
					start := threadTime(b)
					if _, _, _, err := original.call(k.name, 0, k.large); err != nil {
						b.Fatal(err)
					}
					middle := threadTime(b)
					_, used, trap, err := metered.call(k.name, 1<<50, k.large)
					if err != nil {
						b.Fatal(err, trap)
					}
					base, with = min(base, middle-start), min(with, threadTime(b)-middle)
					gas = used
				}
				b.ReportMetric(float64(with)/float64(base), "x")
				b.ReportMetric(float64(with)/float64(gas), "ns/gas")
				b.ReportMetric(float64(base)/1e6, "ms-original")
			})
		}
	}
}
