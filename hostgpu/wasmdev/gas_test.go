package wasmdev_test

import (
	"fmt"
	"os"
	"sort"
	"strings"
	"testing"
	"time"

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
	b.ReportMetric(median, "ns/gas-median")
	b.ReportMetric(ratios[len(ratios)-1], "ns/gas-worst")
	b.ReportMetric(ratios[len(ratios)-1]/median, "worst/median")
	b.ReportMetric(ratios[0]/median, "best/median")
	for b.Loop() {
	}
}
