// Command fleet measures how long one validator takes to audit a network of
// the size of the one in the field: 142 miners, each with a claim so large
// that the default sample, 300 units, is drawn of it, at production parameters
// of transformerpow. The validator is the real one, with real VRF draws, real
// claims and openings fetched over real sockets; the chain that it follows
// stands still. The claims hold 320 true units each, computed here, because
// what a validator checks does not grow with a claim beyond 90,000 units.
//
//	go run ./testdata/bench/fleet [-claims 12] [-device cpu|wasm|both] [-units 320] [-drawn 300]
//
// By default a few of the 142 claims are audited and the rest is extrapolated;
// -claims 142 measures all, which takes the claims' computation most of all.
// With -units 64 -drawn 20 the claims are small: for what all 142 of them ask
// of memory.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"time"

	"github.com/assaynet/assay/hostgpu/cpudev"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/wasmdev"
	"github.com/assaynet/assay/modules/catalog"
	"github.com/assaynet/assay/modules/transformerpow/shape"
	"github.com/assaynet/assay/runtime/sandbox"
	"github.com/assaynet/assay/verifier/recheck"
)

const (
	miners = 142 // Gonka's participants, with 2,270 GPUs
	seats  = 100 // validators that draw: the default
	fold   = 64
)

// production is the shape that the forward-pass figures are for.
var production = shape.Shape{Layers: 2, Width: 2048, Heads: 16, KVHeads: 16, FFN: 5632, Tokens: 16}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	claims := flag.Int("claims", 12, "claims to audit, at most 142; the rest is extrapolated")
	units := flag.Int("units", 5*fold, "true units of each claim, a multiple of 64")
	drawn := flag.Int("drawn", 300, "units of a claim that all validators check; 300 is the default's maximum")
	dev := flag.String("device", "both", "cpu, wasm or both")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Parse()
	if *claims < 1 || *claims > miners {
		fmt.Fprintf(os.Stderr, "fleet: -claims %d: 1 to %d\n", *claims, miners)
		os.Exit(2)
	}
	if *units < fold || *units%fold != 0 || *drawn < 1 || *drawn > *units {
		fmt.Fprintf(os.Stderr, "fleet: -units %d -drawn %d: a multiple of %d, and 1 to that\n", *units, *drawn, fold)
		os.Exit(2)
	}
	s := size{claims: *claims, units: uint64(*units), drawn: uint64(*drawn)}
	results, err := run(ctx, s, *dev)
	if err == nil {
		err = show(results, s, *asJSON)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

// size is what is audited.
type size struct {
	claims int
	units  uint64 // of each
	drawn  uint64 // of each, by all validators
}

// result is one audit.
type result struct {
	Device   string  `json:"device"`
	Powers   string  `json:"powers"`
	Share    float64 `json:"share"` // of the power, of the validator measured
	Claims   int     `json:"claims"`
	Units    int     `json:"units"`      // re-executed
	Setup    float64 `json:"setup_s"`    // compiling aside: weights of the sprint
	Seconds  float64 `json:"seconds"`    // from the first look at the round to the verdict, set-up included
	AllUnits int     `json:"all_units"`  // that it draws of all 142 claims
	All      float64 `json:"all_s"`      // extrapolated to them
	PeakRSS  int64   `json:"peak_bytes"` // of this process so far, miners included
}

func run(ctx context.Context, s size, which string) ([]result, error) {
	rt, err := sandbox.New(sandbox.Config{})
	if err != nil {
		return nil, err
	}
	defer rt.Close()
	cpu, err := cpudev.New(cpudev.Config{})
	if err != nil {
		return nil, err
	}
	defer cpu.Close()
	w, err := work()
	if err != nil {
		return nil, err
	}
	started := time.Now()
	progress("computing %d claims of %d units ...", s.claims, s.units)
	n, err := mine(ctx, recheck.New(recheck.Config{Runtime: rt, Device: cpu, Idle: 1}), w, s)
	if err != nil {
		return nil, err
	}
	defer n.close()
	progress("computed in %.0f s", time.Since(started).Seconds())

	var out []result
	for _, name := range []string{"cpu", "wasm"} {
		if which != "both" && which != name {
			continue
		}
		// The native device uses all cores; the reference device one, so
		// there is one a core, as in a node.
		devices := []device.Device{cpu}
		if name == "wasm" {
			devices = nil
			for range runtime.GOMAXPROCS(0) {
				dev, err := wasmdev.New(wasmdev.Config{Sandbox: rt})
				if err != nil {
					return nil, err
				}
				defer dev.Close()
				devices = append(devices, dev)
			}
		}
		for _, powers := range []string{"equal", "skewed"} {
			r, err := audit(ctx, rt, devices, n, powers)
			if err != nil {
				return nil, fmt.Errorf("%s, %s powers: %w", name, powers, err)
			}
			r.Device = name
			out = append(out, r)
		}
	}
	return out, nil
}

// work is a sprint's at production parameters, with gas for any of its calls:
// what a manifest would declare is not what is measured here.
func work() (recheck.Work, error) {
	e, err := catalog.Get(catalog.TransformerPow)
	if err != nil {
		return recheck.Work{}, err
	}
	return recheck.Work{ModuleHash: e.Manifest.Hash, Wasm: e.Wasm, Params: production.Encode(), Seed: [32]byte{1},
		TensorBytes: production.TensorBytes(production.Pass()), GasSetup: sandbox.MaxGas, GasUnit: sandbox.MaxGas >> 16}, nil
}

func show(results []result, s size, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(results)
	}
	fmt.Printf("%s/%s, %d processors; transformerpow %d layers, width %d, %d heads, %d tokens: %.2f GMAC a unit\n",
		runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), production.Layers, production.Width, production.Heads,
		production.Tokens, float64(production.MACs())/1e9)
	fmt.Printf("one validator of %d, %d units drawn of each of %d claims (%d audited here)\n\n", seats, s.drawn, miners, s.claims)
	fmt.Printf("%-6s %-7s %6s %8s %9s %9s %9s %12s %9s %9s\n", "device", "powers", "share", "units", "setup s", "total s", "ms/unit", "units of "+fmt.Sprint(miners), "all s", "peak MB")
	for _, r := range results {
		fmt.Printf("%-6s %-7s %5.1f%% %8d %9.2f %9.2f %9.2f %12d %9.1f %9d\n", r.Device, r.Powers, 100*r.Share, r.Units, r.Setup,
			r.Seconds, 1000*(r.Seconds-r.Setup)/float64(r.Units), r.AllUnits, r.All, r.PeakRSS>>20)
	}
	return nil
}

func progress(format string, args ...any) {
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		fmt.Fprintf(os.Stderr, format+"\n", args...)
	}
}
