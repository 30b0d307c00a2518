package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	registrytypes "github.com/assaynet/assay/chain/registry/types"
	"github.com/assaynet/assay/modules/manifest"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/sandbox"
	"github.com/assaynet/assay/runtime/wasmbin"
	"github.com/assaynet/assay/verifier/recheck"
)

// moduleReport is what a check found. Figures that were not reached are zero.
type moduleReport struct {
	File        string   `json:"file"`
	Hash        string   `json:"hash"`
	Size        int      `json:"size"`
	Packed      int      `json:"packed,omitempty"` // compressed, as it is uploaded
	Chunks      int      `json:"chunks,omitempty"`
	Deposit     string   `json:"deposit,omitempty"` // GNK bound while it is stored
	Imports     []string `json:"imports,omitempty"`
	Exports     []string `json:"exports,omitempty"`
	Kind        string   `json:"kind,omitempty"`
	ABI         int      `json:"abi,omitempty"`
	MemoryPages uint32   `json:"memory_pages,omitempty"` // most, of 64 KiB
	PagesUsed   uint32   `json:"pages_used,omitempty"`   // by set-up and a batch of units
	GasInstance int64    `json:"gas_instance,omitempty"`
	CheckMillis float64  `json:"check_ms,omitempty"`

	Params      string   `json:"params"`              // hexadecimal
	GasSetup    int64    `json:"gas_setup,omitempty"` // measured
	GasUnit     int64    `json:"gas_unit,omitempty"`  // measured, the most of the units tried
	GasUnitMin  int64    `json:"gas_unit_min,omitempty"`
	TensorBytes int64    `json:"tensor_bytes"`      // least that is enough
	Devices     []string `json:"devices,omitempty"` // that gave the same digests

	// Activation is what to propose.
	Activation *activationFigures `json:"activation,omitempty"`
	Warnings   []string           `json:"warnings,omitempty"`
	Refused    *refusal           `json:"refused,omitempty"`
}

// activationFigures are ceilings for a MsgActivate.
type activationFigures struct {
	Params      []byte `json:"params"`
	TensorBytes int64  `json:"tensor_bytes"`
	GasSetup    int64  `json:"gas_setup"`
	GasUnit     int64  `json:"gas_unit"`
}

// refusal is why the chain would not take a module.
type refusal struct {
	Message string `json:"message"`
	Rule    string `json:"rule"`
	Offset  *int   `json:"offset,omitempty"` // byte in the module
	Value   uint64 `json:"value,omitempty"`  // what the module has
	Max     uint64 `json:"max,omitempty"`    // what is allowed
}

// errModuleRefused: the chain would refuse the module that was checked.
var errModuleRefused = errors.New("the chain would refuse this module")

func moduleCheckCommand() *cobra.Command {
	var flags workFlags
	var proposal string
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Say whether the chain would take a module, and what it costs",
		Long: "Check a module as every node does when it is uploaded and when it is activated: the profile,\n" +
			"its exports and ABI, the gas of set-up and of units, memory, and that units repeat bit for bit\n" +
			"in fresh instances, in a batch and on every device. Exits 0 only if the chain would take it.\n\n" +
			"The figures hold for the parameters given: --params, or those of a shipped module.",
		Example: "  assay module check my.wasm --params 08000000\n" +
			"  assay module check my.wasm --like transformerpow --proposal proposal.json\n" +
			"  assay module check hashpow --output json",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
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
			r := &moduleReport{File: args[0], Hash: hex.EncodeToString(w.ModuleHash[:]), Size: len(wasm), Params: hex.EncodeToString(w.Params)}
			verdict := r.check(ctx, w, flags.batch)
			if verdict != nil {
				if hostFailed(verdict) && !errors.Is(verdict, errModuleRefused) {
					return verdict
				}
				r.Refused = refusalOf(verdict)
			}
			if flags.output == "json" {
				err = printJSON(cmd.OutOrStdout(), r)
			} else {
				r.print(cmd.OutOrStdout())
			}
			if err == nil && verdict == nil && proposal != "" {
				err = r.propose(proposal, w)
			}
			if verdict != nil {
				err = errors.Join(err, fmt.Errorf("%w: %s", errModuleRefused, r.Refused.Message))
			}
			return err
		},
	}
	flags.register(cmd)
	cmd.Flags().StringVar(&proposal, "proposal", "", "write the governance proposal that activates it to this file")
	return cmd
}

// check fills the report as far as the module goes.
func (r *moduleReport) check(ctx context.Context, w recheck.Work, batch int) error {
	limits := registrytypes.DefaultParams()
	if uint64(len(w.Wasm)) > limits.MaxModuleBytes {
		return &meter.LimitError{Limit: "module bytes", Value: uint64(len(w.Wasm)), Max: limits.MaxModuleBytes}
	}
	packed, err := manifest.Compress(w.Wasm)
	if err != nil {
		return err
	}
	r.Packed, r.Chunks = len(packed), (len(packed)+int(limits.ChunkBytes)-1)/int(limits.ChunkBytes)
	r.Deposit = gnk(limits.DepositPerKib.Amount.MulRaw(int64(len(packed)+1023) / 1024))
	start := time.Now()
	info, err := sandbox.Check(w.Wasm, nil, nil)
	if err != nil {
		return err
	}
	r.CheckMillis = float64(time.Since(start).Microseconds()) / 1000
	r.MemoryPages, r.GasInstance = info.MemoryPages, info.GasInstance
	m, err := wasmbin.Decode(w.Wasm, meter.DefaultLimits().Limits)
	if err != nil {
		return err
	}
	for _, i := range m.Imports {
		r.Imports = append(r.Imports, i.Module+"."+i.Name)
	}
	for _, e := range m.Exports {
		r.Exports = append(r.Exports, e.Name)
	}
	switch {
	case info.Pow:
		r.Kind = manifest.KindPow
	case info.Inference:
		r.Kind = manifest.KindInference
	default:
		return fmt.Errorf("%w: it exports neither %s and %s nor %s and %s", errModuleRefused,
			abi.ExportPowSetup, abi.ExportPowUnits, abi.ExportInfer, abi.ExportCheck)
	}
	e, err := newEngine(cacheDir())
	if err != nil {
		return err
	}
	defer e.Close()
	// Compiled under an upload's bounds, which are a fraction of a node's.
	if _, _, err := e.rt.CheckUpload(w.Wasm); err != nil {
		return err
	}
	mod, err := e.rt.Admit(w.Wasm) // held, so that it is compiled once
	if err != nil {
		return err
	}
	defer mod.Close()
	if !info.Pow {
		in, err := mod.Start(ctx, sandbox.Job{Device: e.wasm})
		if err != nil {
			return asTrap(err)
		}
		r.ABI = abi.Version
		r.Warnings = append(r.Warnings, "what an answer costs depends on the model and the request: it was not run")
		return in.Close()
	}
	if err := r.run(ctx, e, mod, w, batch); err != nil {
		return err
	}
	if n := limitAdvice(m, r.PagesUsed); n > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("a load is priced at %d gas for %d pages, %d were used: it would be %d after `assay module limit --memory-pages %d`",
			loadPrice(m, 0), r.MemoryPages, r.PagesUsed, loadPrice(m, n), n))
	}
	return nil
}

// triedUnits are the units that a check computes: near, far and in between.
var triedUnits = []uint64{0, 1, 2, 1<<40 + 3, 1<<63 - 25}

// run measures the proof of work and compares its digests.
func (r *moduleReport) run(ctx context.Context, e *engine, mod *sandbox.Module, w recheck.Work, size int) (err error) {
	if w.TensorBytes, r.PagesUsed, err = tensorNeed(ctx, e.native, mod, w, size); err != nil {
		return err
	}
	r.ABI, r.TensorBytes = abi.Version, w.TensorBytes
	batch, err := runUnits(ctx, e.wasm, mod, w, triedUnits)
	if err != nil {
		return err
	}
	r.GasSetup = batch.setup
	for i, x := range triedUnits {
		one, err := runUnits(ctx, e.wasm, mod, w, []uint64{x})
		if err != nil {
			return err
		}
		if one.digests[0] != batch.digests[i] {
			return fmt.Errorf("%w: unit %d has another digest alone than in a batch", errModuleRefused, x)
		}
		r.GasUnit = max(r.GasUnit, one.gas)
		if r.GasUnitMin == 0 || one.gas < r.GasUnitMin {
			r.GasUnitMin = one.gas
		}
	}
	native, err := runUnits(ctx, e.native, mod, w, triedUnits)
	if err != nil {
		return err
	}
	if !slices.Equal(native.digests, batch.digests) {
		return fmt.Errorf("%w: %s and %s give other digests", errModuleRefused, e.native.Name(), e.wasm.Name())
	}
	r.Devices = []string{e.wasm.Name(), e.native.Name()}
	if r.GasUnitMin != r.GasUnit {
		r.Warnings = append(r.Warnings, fmt.Sprintf("the gas of a unit depends on its input (%d to %d): miners would pick cheap ones", r.GasUnitMin, r.GasUnit))
	}
	r.Activation = &activationFigures{Params: w.Params, TensorBytes: r.TensorBytes, GasSetup: ceiling(r.GasSetup), GasUnit: ceiling(r.GasUnit)}
	limit := registrytypes.DefaultParams().MaxGas
	if sum := r.Activation.GasSetup + r.Activation.GasUnit; sum > limit {
		return &meter.LimitError{Limit: "gas of set-up and one unit", Value: uint64(sum), Max: uint64(limit)}
	}
	return nil
}

// refusalOf explains an error of the module.
func refusalOf(err error) *refusal {
	var invalid *meter.InvalidModuleError
	var limit *meter.LimitError
	var trap *recheck.TrapError
	r := &refusal{Message: err.Error(), Rule: "activation"}
	switch {
	case errors.As(err, &invalid):
		r.Rule, r.Offset = invalid.Rule, &invalid.Offset
		if invalid.Err != nil && !strings.HasSuffix(invalid.Err.Error(), invalid.Rule) {
			r.Message += ": " + invalid.Err.Error()
		}
	case errors.As(err, &limit):
		r.Rule, r.Offset, r.Value, r.Max = limit.Limit, &limit.Offset, limit.Value, limit.Max
	case errors.As(err, &trap):
		r.Rule = trap.Trap.String()
		r.Message = fmt.Sprintf("%s stopped: %s", trap.Call, trap.Trap)
		if trap.Trap == abi.TrapAbort || trap.Trap == abi.TrapExit {
			r.Message += fmt.Sprintf(" with code %d", trap.Code)
		}
		if trap.Call == abi.ExportPowSetup && trap.Trap == abi.TrapAbort {
			r.Message += " (does it want other --params?)"
		}
	case errors.Is(err, errModuleRefused):
		r.Message = strings.TrimPrefix(err.Error(), errModuleRefused.Error()+": ")
	}
	return r
}

// print shows the report to a person.
func (r *moduleReport) print(w io.Writer) {
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	row("file", "%s", r.File)
	row("hash", "%s", r.Hash)
	row("size", "%d bytes", r.Size)
	if r.Packed > 0 {
		row("upload", "%d bytes in %d chunks, a deposit of %s GNK", r.Packed, r.Chunks, r.Deposit)
	}
	if r.MemoryPages > 0 || r.CheckMillis > 0 {
		row("profile", "ok: %d imports, %d exports, checked in %.1f ms", len(r.Imports), len(r.Exports), r.CheckMillis)
		row("memory", "at most %d pages of 64 KiB; an instance costs %d gas", r.MemoryPages, r.GasInstance)
	}
	if r.Kind != "" {
		row("kind", "%s", r.Kind)
	}
	if r.ABI > 0 {
		row("abi", "%d", r.ABI)
	}
	if r.GasSetup > 0 {
		row("params", "%s", cmpOr(r.Params, "none"))
		row("set-up", "%d gas", r.GasSetup)
	}
	if r.GasUnit > 0 {
		row("unit", "%d gas", r.GasUnit)
		row("pages", "%d of memory used by a batch", r.PagesUsed)
		row("tensors", "%d bytes", r.TensorBytes)
	}
	if len(r.Devices) > 0 {
		row("repeats", "same digests alone, in a batch and on %s", strings.Join(r.Devices, ", "))
	}
	for _, s := range r.Warnings {
		row("warning", "%s", s)
	}
	switch {
	case r.Refused != nil:
		row("verdict", "refused: %s", r.Refused.Message)
	case r.Activation != nil:
		row("verdict", "the chain would take it, with gas_setup %d, gas_unit %d, tensor_bytes %d",
			r.Activation.GasSetup, r.Activation.GasUnit, r.Activation.TensorBytes)
	default:
		row("verdict", "the chain would store it")
	}
}

func cmpOr(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
