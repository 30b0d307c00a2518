package meter_test

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
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
	{"bsearch", 100, 300_000, 0}, {"hashtable", 1000, 1_000_000, 0}, {"base64", 1, 1000, 0}, {"strings", 1, 100, 0},
	{"bignum", 10, 3000, 0}, {"queens", 1, 200, 0}, {"life", 2, 400, 0}, {"simd_count", 10, 100_000, 0}, {"pointers", 100, 2_000_000, 0},
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

// layouts is how many placements of the code each kernel is measured in.
const layouts = 5

// BenchmarkSlowdown measures rewritten against original code: in each of
// several layouts both run in turn, the least time of each counts, and the
// median over the layouts is the kernel's. SLOWDOWN_RUNS is how often each
// runs, SLOWDOWN_LAYOUTS how many layouts, SLOWDOWN_ONLY the beginning of the
// names of those that run: make bench-slowdown.
func BenchmarkSlowdown(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	runs := 5
	if n, err := strconv.Atoi(os.Getenv("SLOWDOWN_RUNS")); err == nil {
		runs = n
	}
	only := os.Getenv("SLOWDOWN_ONLY")
	seeds := layouts
	if n, err := strconv.Atoi(os.Getenv("SLOWDOWN_LAYOUTS")); err == nil {
		seeds = n
	}
	ratios := map[string][]float64{}
	var names []string
	for _, set := range []struct {
		name  string
		wasm  []byte
		works []work
	}{{"c", kernels(b), cKernels}, {"go", guest(b), goKernels}} {
		rewritten := rewrite(b, set.wasm).Wasm
		if only != "" && !strings.HasPrefix(only, set.name) {
			continue
		}
		for seed := range uint64(seeds) {
			original, closeOriginal := loadOn(b, layout(b, set.wasm, seed))
			metered, closeMetered := loadOn(b, layout(b, rewritten, seed))
			for _, k := range set.works {
				name := set.name + " " + k.name
				if !strings.HasPrefix(name, only) {
					continue
				}
				base, with := time.Hour, time.Hour
				for range runs {
					start := threadTime(b)
					if _, _, _, err := original.call(k.name, 0, k.large); err != nil {
						b.Fatal(err)
					}
					middle := threadTime(b)
					if _, _, trap, err := metered.call(k.name, 1<<50, k.large); err != nil {
						b.Fatal(err, trap)
					}
					base, with = min(base, middle-start), min(with, threadTime(b)-middle)
				}
				if seed == 0 {
					names = append(names, name)
				}
				ratios[name] = append(ratios[name], float64(with)/float64(base))
			}
			closeOriginal()
			closeMetered()
		}
	}
	var sum [2]summary // integers, floats
	for _, name := range names {
		r := ratios[name]
		slices.Sort(r)
		kind := 0
		if strings.Contains(name, "float") {
			kind = 1
		}
		sum[kind].add(name, r[len(r)/2])
		fmt.Printf("| %s | %.2f | %.2f to %.2f |\n", name, r[len(r)/2], r[0], r[len(r)-1])
	}
	for i, kind := range []string{"kernels", "float kernels"} {
		fmt.Printf("%d %s, %d layouts each: geometric mean %.3f, worst %.2f (%s)\n",
			sum[i].n, kind, seeds, math.Exp(sum[i].logs/float64(sum[i].n)), sum[i].worst, sum[i].name)
	}
	for b.Loop() {
	}
}

type summary struct {
	n     int
	logs  float64
	worst float64
	name  string
}

func (s *summary) add(name string, ratio float64) {
	s.n++
	s.logs += math.Log(ratio)
	if ratio > s.worst {
		s.worst, s.name = ratio, name
	}
}
