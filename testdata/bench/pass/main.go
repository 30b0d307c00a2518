// Command pass measures the whole forward pass of the shipped proof of work at
// production parameters, on each device: the share of the device's own matrix
// product that the complete path reaches (guest, host calls, transcript), what
// sandbox and host calls cost against the same operations called from Go, that
// digests are equal everywhere, and the statistics that a proof of work is
// admitted by.
//
//	go run ./testdata/bench/pass [-devices wasmdev,cpudev] [-output json]
//
// It ends with status 1 if a digest differs or a statistic is outside its limit.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/wasmdev"
	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/modules/transformerpow/admission"
	"github.com/assaynet/assay/modules/transformerpow/shape"
	"github.com/assaynet/assay/runtime/sandbox"
)

type options struct {
	devices    []string
	threads    int
	each       time.Duration
	statistics int // units
	perMatrix  int // flips
	perEntry   int
	small      bool
}

func main() {
	var o options
	devices := flag.String("devices", "wasmdev,cpudev", "devices to measure")
	output := flag.String("output", "table", "table or json")
	flag.IntVar(&o.threads, "threads", 1, "threads of cpudev")
	seconds := flag.Float64("seconds", 4, "time to spend on each batch; the fastest of its timings counts")
	flag.IntVar(&o.statistics, "units", 32, "units that statistics are taken of; 0: none")
	flag.IntVar(&o.perMatrix, "flips", 5, "bits flipped in each weight matrix, on 16 units each")
	flag.IntVar(&o.perEntry, "entry-flips", 20, "bits flipped in each kind of query and key, on 16 units each")
	flag.BoolVar(&o.small, "small", false, "the test network's parameters instead")
	flag.Parse()
	o.each = time.Duration(*seconds * float64(time.Second))
	o.devices = strings.Split(*devices, ",")
	rep, err := run(context.Background(), o)
	if rep != nil {
		if *output == "json" {
			enc := json.NewEncoder(os.Stdout)
			enc.SetIndent("", "  ")
			err = errors.Join(err, enc.Encode(rep))
		} else {
			rep.print(os.Stdout)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pass:", err)
		os.Exit(1)
	}
}

// report is everything that is printed.
type report struct {
	Machine     string                `json:"machine"`
	Shape       shape.Shape           `json:"shape"`
	MACs        uint64                `json:"macs_per_unit"` // declared, and counted on every device
	GasSetup    int64                 `json:"gas_setup"`
	GasUnit     []gasOf               `json:"gas_per_unit"`
	Digest      string                `json:"digest_of_unit_0"`
	Rates       []rate                `json:"rates"`
	Statistics  *admission.Statistics `json:"statistics,omitempty"`
	Sensitivity []admission.Flips     `json:"sensitivity,omitempty"`
	Failures    []string              `json:"failures"`
}

// gasOf is a unit's gas in a batch, the same for every input.
type gasOf struct {
	Batch int   `json:"batch"`
	Gas   int64 `json:"gas"`
}

// rate is what a device does with batches of a size.
type rate struct {
	Device   string  `json:"device"`
	Batch    int     `json:"batch"`
	GemmGOPS float64 `json:"gemm_gops"` // op gemm at 1024³, in the same run
	Units    float64 `json:"units_per_s"`
	GOPS     float64 `json:"gops"`     // of the units' multiply-accumulates, complete path
	OfGemm   float64 `json:"of_gemm"`  // GOPS / GemmGOPS
	Direct   float64 `json:"direct"`   // GOPS of the same operations from Go
	Overhead float64 `json:"overhead"` // time of the complete path over direct, less 1
}

func run(ctx context.Context, o options) (*report, error) {
	rt, err := sandbox.New(sandbox.Config{})
	if err != nil {
		return nil, err
	}
	defer rt.Close()
	e, err := catalog.Get(catalog.TransformerPow)
	if err != nil {
		return nil, err
	}
	mod, err := rt.Admit(e.Wasm)
	if err != nil {
		return nil, err
	}
	defer mod.Close()
	rep := &report{Machine: fmt.Sprintf("%s/%s, %d processors", runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0)), Shape: shape.Production, Failures: []string{}}
	if o.small {
		rep.Shape = shape.Test
	}
	rep.MACs = rep.Shape.MACs()
	digests := map[uint64][32]byte{}
	for _, name := range o.devices {
		dev, batches, err := open(rt, name, o)
		if err != nil {
			return nil, err
		}
		p := &pass{ctx: ctx, rep: rep, mod: mod, dev: dev, digests: digests, each: o.each}
		err = p.measure(batches)
		if err == nil && o.statistics > 0 && name == o.devices[len(o.devices)-1] {
			err = p.admit(o)
		}
		if cerr := dev.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if len(rep.Failures) > 0 {
		return rep, errors.New(strings.Join(rep.Failures, "; "))
	}
	return rep, nil
}

// open makes a device and says which batches to measure on it.
func open(rt *sandbox.Runtime, name string, o options) (device.Device, []int, error) {
	switch name {
	case wasmdev.Name:
		dev, err := wasmdev.New(wasmdev.Config{Sandbox: rt})
		return dev, []int{1, 8}, err
	case "cpudev":
		dev, err := cpudev.New(cpudev.Config{Threads: o.threads})
		return dev, []int{1, 16, 64}, err
	}
	return nil, nil, fmt.Errorf("no device %q", name)
}

func (r *report) fail(format string, args ...any) {
	r.Failures = append(r.Failures, fmt.Sprintf(format, args...))
}

func (r *report) print(w io.Writer) {
	s := r.Shape
	fmt.Fprintf(w, "%s\ntransformerpow: %d layers, width %d, %d heads (%d of keys), feed-forward %d, %d tokens\n", r.Machine, s.Layers, s.Width, s.Heads, s.KVHeads, s.FFN, s.Tokens)
	fmt.Fprintf(w, "%d multiply-accumulates a unit; gas: set-up %d", r.MACs, r.GasSetup)
	for _, g := range r.GasUnit {
		fmt.Fprintf(w, ", a unit in a batch of %d %d", g.Batch, g.Gas)
	}
	fmt.Fprintf(w, "\nunit 0: %s, the same on every device and in every batch\n\n", r.Digest)
	fmt.Fprintf(w, "%-8s %6s %10s %10s %10s %8s %12s %9s\n", "device", "batch", "units/s", "GOPS", "gemm GOPS", "of gemm", "direct GOPS", "overhead")
	for _, x := range r.Rates {
		fmt.Fprintf(w, "%-8s %6d %10.2f %10.1f %10.1f %7.1f%% %12.1f %8.2f%%\n", x.Device, x.Batch, x.Units, x.GOPS, x.GemmGOPS, 100*x.OfGemm, x.Direct, 100*x.Overhead)
	}
	if st := r.Statistics; st != nil {
		z, sat := st.Zeros(), st.Saturated()
		fmt.Fprintf(w, "\n%d units: zeros at most %.2f %% (layer %d, %s; limit %.0f %%), saturated at most %.3f %% (limit %.0f %%), attention entropy %.2f of the uniform (%.2f to %.2f)\n",
			st.Units, 100*z.Zeros, z.Layer, z.Name, 100*admission.MaxZeros, 100*sat.Saturated, 100*admission.MaxSaturated, st.Entropy, admission.MinEntropy, admission.MaxEntropy)
		for _, t := range st.Tensors {
			fmt.Fprintf(w, "  layer %d %-22s zeros %5.2f %%, saturated %.3f %%\n", t.Layer, t.Name, 100*t.Zeros, 100*t.Saturated)
		}
	}
	for _, f := range r.Sensitivity {
		fmt.Fprintf(w, "one bit of a %s: %d of %d digests change (%.2f %%, want %.1f %%), %d flips\n", f.What, f.Changed, f.Digests, 100*f.Share(), 100*f.Least, f.Flips)
	}
	for _, f := range slices.Sorted(slices.Values(r.Failures)) {
		fmt.Fprintln(w, "FAILED:", f)
	}
}

// fastest returns the shortest of some timings of f.
func fastest(best time.Duration, f func() error) (time.Duration, error) {
	start := time.Now()
	if err := f(); err != nil {
		return 0, err
	}
	if took := time.Since(start); best == 0 || took < best {
		return took, nil
	}
	return best, nil
}
