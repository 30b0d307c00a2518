package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/assaynet/assay/runtime/meter"
)

// result is a measured row.
type result struct {
	row
	figure
}

func (r *result) perGas() float64 { return r.ns / r.gas }

type table struct {
	rows          []result
	ways          int
	median, worst float64
}

// summarize keeps of each thing that is priced the slowest way to use it.
func summarize(all []result) table {
	t := table{ways: len(all)}
	at := map[string]int{}
	for _, r := range all {
		i, ok := at[r.name]
		if !ok {
			at[r.name] = len(t.rows)
			t.rows = append(t.rows, r)
		} else if r.perGas() > t.rows[i].perGas() {
			t.rows[i] = r
		}
	}
	slices.SortStableFunc(t.rows, func(a, b result) int {
		switch x, y := a.perGas(), b.perGas(); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	if n := len(t.rows); n > 0 {
		t.median, t.worst = t.rows[n/2].perGas(), t.rows[0].perGas()
	}
	return t
}

func (t *table) print(w io.Writer) {
	version := meter.DefaultSchedule().Version()
	fmt.Fprintf(w, "# What a unit of gas costs\n\n")
	fmt.Fprintf(w, "%s, %s, schedule %x. Command: `make bench-prices`.\n\n", time.Now().UTC().Format(time.DateOnly), cpuName(), version[:4])
	fmt.Fprintf(w, "Of %d ways measured, the slowest of each of %d things: median %.3f ns a unit, worst %.3f: %.2f times the median.\n\n", t.ways, len(t.rows), t.median, t.worst, t.worst/t.median)
	fmt.Fprintf(w, "| what | how | ns | gas | ns a unit |\n| --- | --- | --- | --- | --- |\n")
	for _, r := range t.rows {
		fmt.Fprintf(w, "| %s | %s | %.2f | %.2f | %.3f |\n", r.name, r.shape, r.ns/float64(r.steps), r.gas/float64(r.steps), r.perGas())
	}
}

// cpuName is the model name that the kernel reports.
func cpuName() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(b)) {
			if name, ok := strings.CutPrefix(line, "model name\t: "); ok {
				return strings.TrimSpace(name)
			}
		}
	}
	return runtime.GOARCH
}
