package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/cpu"

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
	median, worst float64
}

// summarize keeps of each instruction's value sets the slowest.
func summarize(all []result) table {
	var t table
	at := map[string]int{}
	for _, r := range all {
		key := r.group + " " + r.name
		if r.group != "compute" {
			key += " " + r.shape
		}
		i, ok := at[key]
		if !ok {
			at[key] = len(t.rows)
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
	fmt.Fprintf(w, "%d rows: median %.3f ns a unit, worst %.3f: %.2f times the median.\n\n", len(t.rows), t.median, t.worst, t.worst/t.median)
	fmt.Fprintf(w, "| what | how | ns | gas | ns a unit |\n| --- | --- | --- | --- | --- |\n")
	if os.Getenv("NEED") != "" {
		c := meter.DefaultSchedule()
		for _, r := range t.rows {
			if r.op != 0 {
				own := float64(c.Op(r.op))
				fmt.Fprintf(w, "NEED %s op=%d ns=%.2f other=%.2f cur=%.0f shape=%s\n", r.name, r.op, r.ns/float64(r.steps), r.gas/float64(r.steps)-own, own, r.shape)
			}
		}
	}
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
	if cpu.X86.HasAVX512 {
		return "amd64 with AVX-512"
	}
	return "unknown processor"
}
