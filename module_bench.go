package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/devices"
	"github.com/assaynet/assay/hostgpu/failover"
	"github.com/assaynet/assay/modules/manifest"
	"github.com/assaynet/assay/runtime/sandbox"
	"github.com/assaynet/assay/verifier/recheck"
)

// Sizes of a benchmark.
const (
	benchBatch   = 256     // units of one call, as a miner's
	benchChecked = 50      // units that a validator draws of one claim: 200 among four
	benchUnits   = 1 << 20 // most that --units allows
)

// benchReport is what mining and checking a module costs on this machine.
type benchReport struct {
	File           string  `json:"file"`
	Hash           string  `json:"hash"`
	Device         string  `json:"device"`
	Units          int     `json:"units"`
	Seconds        float64 `json:"seconds"`
	UnitsPerSecond float64 `json:"units_per_second"`
	GasSetup       int64   `json:"gas_setup"`
	GasPerUnit     int64   `json:"gas_per_unit"`
	TensorBytes    int64   `json:"tensor_bytes"`
	SetupMillis    float64 `json:"setup_ms"` // of the miner's device
	// CheckedMillis is a validator's cost of a unit on the reference device: a
	// share of an instance and its set-up, re-execution, keyed digest.
	CheckedMillis float64 `json:"checked_unit_ms"`
	// JudgedMillis is every node's cost of a unit that is reported as false.
	JudgedMillis float64 `json:"judged_unit_ms"`
}

func moduleBenchCommand() *cobra.Command {
	var (
		flags   workFlags
		name    string
		process bool
		units   int
	)
	cmd := &cobra.Command{
		Use:   "bench FILE",
		Short: "Measure what mining and checking a module costs on this machine",
		Long: "Run a proof of work as a miner does, in batches on a device, and check units of it as a\n" +
			"validator does, on the reference device. `assay device list` shows the devices.",
		Example: "  assay module bench my.wasm --params 08000000\n" +
			"  assay module bench my.wasm --like transformerpow --device wasmdev --units 1000\n" +
			"  assay module bench hashpow --output json",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if units < 0 || units > benchUnits {
				return fmt.Errorf("--units is 0 to %d, not %d", benchUnits, units)
			}
			ctx, stop := untilInterrupt(cmd.Context())
			defer stop()
			wasm, err := readModule(args[0])
			if err != nil {
				return err
			}
			w, err := flags.work(wasm)
			if err != nil {
				return err
			}
			dev, err := openDevice(name, process)
			if err != nil {
				return err
			}
			defer dev.Close()
			r := &benchReport{File: args[0], Hash: manifest.Hash(w.ModuleHash).String(), Device: dev.Name()}
			if err := r.measure(ctx, dev, w, units, flags.batch); err != nil {
				return err
			}
			if flags.output == "json" {
				return printJSON(cmd.OutOrStdout(), r)
			}
			r.print(cmd.OutOrStdout())
			return nil
		},
	}
	flags.register(cmd)
	deviceFlags(cmd, &name, &process)
	cmd.Flags().IntVar(&units, "units", 0, "how many units to mine; 0 is two seconds' worth")
	return cmd
}

// deviceFlags are those of `assay device`.
func deviceFlags(cmd *cobra.Command, name *string, process *bool) {
	cmd.Flags().StringVar(name, "device", devices.Auto, "device that computes: auto, or names that assay device list shows, in order of preference: cudadev,cpudev; cudadev+cudadev1 are two at once")
	cmd.Flags().BoolVar(process, "process", false, "run the device in a process of its own, so that its crash costs a pause and nothing else")
}

// openDevice opens the first that works of a list of devices.
func openDevice(name string, process bool, also ...func(failover.Event)) (device.Device, error) {
	cfg := devices.Config{Notify: func(e failover.Event) {
		fmt.Fprintln(os.Stderr, e)
		for _, tell := range also {
			tell(e)
		}
	}}
	if process || devices.NeedsProcess(name) {
		cfg.Process = &devices.Process{Args: []string{"device", "serve"}, Stderr: os.Stderr}
	}
	dev, err := devices.Open(name, cfg)
	if err != nil {
		return nil, err
	}
	return dev, nil
}

func (r *benchReport) measure(ctx context.Context, dev device.Device, w recheck.Work, units, batch int) error {
	e, err := newEngine(cacheDir())
	if err != nil {
		return err
	}
	defer e.Close()
	mod, err := e.rt.Admit(w.Wasm) // held, so that it is compiled once
	if err != nil {
		return err
	}
	defer mod.Close()
	if w.TensorBytes, _, err = tensorNeed(ctx, e.native, mod, w, batch); err != nil {
		return benchError(err)
	}
	r.TensorBytes = w.TensorBytes
	if err := r.mine(ctx, e.rt, dev, mod, w, units, batch); err != nil {
		return benchError(err)
	}
	w.GasSetup, w.GasUnit = ceiling(r.GasSetup), ceiling(r.GasPerUnit)
	return benchError(r.verify(ctx, e, w))
}

// benchError explains a module that cannot be run.
func benchError(err error) error {
	var trap *recheck.TrapError
	if errors.As(err, &trap) {
		return errors.New(refusalOf(err).Message)
	}
	if errors.Is(err, sandbox.ErrNoExport) {
		return fmt.Errorf("only a proof of work can be measured: %w", err)
	}
	return err
}

// benchTime is how long a figure is measured where no number of units is given.
const benchTime = 2 * time.Second

// mine computes units in batches.
func (r *benchReport) mine(ctx context.Context, rt *sandbox.Runtime, dev device.Device, mod *sandbox.Module, w recheck.Work, units, batch int) error {
	one, err := runUnits(ctx, dev, mod, w, []uint64{0}) // also warms the device
	if err != nil {
		return err
	}
	r.GasSetup, r.GasPerUnit = one.setup, one.gas
	start := time.Now()
	s, err := recheck.Open(ctx, rt, dev, w)
	if err != nil {
		return err
	}
	defer s.Close()
	r.SetupMillis = millis(time.Since(start))
	start = time.Now()
	for r.Units < units || units == 0 && time.Since(start) < benchTime {
		n := batch
		if units > 0 {
			n = min(n, units-r.Units)
		}
		indexes := make([]uint64, n)
		for i := range indexes {
			indexes[i] = uint64(r.Units + i)
		}
		if _, err := s.Units(ctx, indexes, nil); err != nil {
			return err
		}
		r.Units += n
	}
	r.Seconds = time.Since(start).Seconds()
	r.UnitsPerSecond = float64(r.Units) / r.Seconds
	return nil
}

// verify checks units of claim after claim, as a validator does that goes from
// miner to miner.
func (r *benchReport) verify(ctx context.Context, e *engine, w recheck.Work) error {
	key := [32]byte{1}
	indexes := make([]uint64, benchChecked)
	for i := range indexes {
		indexes[i] = uint64(i) * 1_000_003
	}
	if _, err := e.checker.Units(ctx, w, indexes[:1], &key); err != nil { // warms up
		return err
	}
	start, claims := time.Now(), 0
	for ; claims == 0 || time.Since(start) < benchTime/2; claims++ {
		w.Identity = []byte{byte(claims), byte(claims >> 8), 1}
		if _, err := e.checker.Units(ctx, w, indexes, &key); err != nil {
			return err
		}
	}
	r.CheckedMillis = millis(time.Since(start)) / float64(claims*benchChecked)
	start, judged := time.Now(), uint64(0)
	for ; judged == 0 || time.Since(start) < benchTime/4; judged++ {
		if _, err := e.checker.Unit(ctx, w, judged); err != nil {
			return err
		}
	}
	r.JudgedMillis = millis(time.Since(start)) / float64(judged)
	return nil
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (r *benchReport) print(w io.Writer) {
	fmt.Fprintf(w, "%s  %.16s…\n\n", r.File, r.Hash)
	fmt.Fprintf(w, "%-16s %12.0f units/s on %s (%d units in %.2f s)\n", "mining", r.UnitsPerSecond, r.Device, r.Units, r.Seconds)
	fmt.Fprintf(w, "%-16s %12d gas, %.2f ms\n", "set-up", r.GasSetup, r.SetupMillis)
	fmt.Fprintf(w, "%-16s %12d gas\n", "unit", r.GasPerUnit)
	fmt.Fprintf(w, "%-16s %12d bytes\n", "tensor memory", r.TensorBytes)
	fmt.Fprintf(w, "%-16s %12.3f ms for each unit that a validator draws, set-up included\n", "checking", r.CheckedMillis)
	fmt.Fprintf(w, "%-16s %12.3f ms for a unit that is reported, on every node\n", "judging", r.JudgedMillis)
}
