package wasmdev_test

import (
	"fmt"
	"os"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/devicetest"
	"github.com/assaynet/assay/hostgpu/wasmdev"
)

// BenchmarkGas prints the time of each unit of gas, by op and shape, and the
// worst over the median: "make bench-gas". GAS_OPS names the ops to
// measure; without it, all.
func BenchmarkGas(b *testing.B) {
	dev := open(b, wasmdev.Config{})
	rows, err := devicetest.Prices(dev, 10*time.Millisecond, 6, strings.Fields(os.Getenv("GAS_OPS"))...)
	if err != nil {
		b.Fatal(err)
	}
	fmt.Printf("%-11s %-46s %-8s %12s %12s %8s\n", "op", "shape", "values", "ns", "gas", "ns/gas")
	ratios := make([]float64, len(rows))
	for i, r := range rows {
		ratios[i] = r.Ratio()
		fmt.Printf("%-11s %-46s %-8s %12.0f %12d %8.3f\n", r.Op, r.Shape, r.Values, r.Nanos, r.Gas, r.Ratio())
	}
	sort.Float64s(ratios)
	median := ratios[len(ratios)/2]
	for b.Loop() { // which forgets what was reported before
	}
	b.ReportMetric(median, "ns/gas-median")
	b.ReportMetric(ratios[len(ratios)-1], "ns/gas-worst")
	b.ReportMetric(ratios[len(ratios)-1]/median, "worst/median")
	b.ReportMetric(ratios[0]/median, "best/median")
}

// BenchmarkScalar prints how much faster each op's kernel is than the native
// device's portable Go code, which is scalar: the slowest and the median shape.
func BenchmarkScalar(b *testing.B) {
	portable, err := cpudev.New(cpudev.Config{Threads: 1, ISA: cpudev.Portable})
	if err != nil {
		b.Fatal(err)
	}
	defer portable.Close()
	ops := strings.Fields(os.Getenv("GAS_OPS"))
	simd, err := devicetest.Prices(open(b, wasmdev.Config{}), 5*time.Millisecond, 3, ops...)
	if err != nil {
		b.Fatal(err)
	}
	scalar, err := devicetest.Prices(portable, 5*time.Millisecond, 1, ops...)
	if err != nil {
		b.Fatal(err)
	}
	by, order := map[string][]float64{}, []string(nil)
	for i, r := range simd {
		if by[r.Op] == nil {
			order = append(order, r.Op)
		}
		by[r.Op] = append(by[r.Op], scalar[i].Nanos/r.Nanos)
	}
	fmt.Printf("%-11s %14s %14s %14s\n", "scalar/SIMD", "least", "median", "most")
	for _, op := range order {
		x := by[op]
		sort.Float64s(x)
		fmt.Printf("%-11s %14.2f %14.2f %14.2f\n", op, x[0], x[len(x)/2], x[len(x)-1])
	}
	for b.Loop() {
	}
}
