package main

import (
	"context"
	"errors"

	registrytypes "github.com/assaynet/assay/chain/registry/types"
	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/modules/manifest"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/meter"
	"github.com/assaynet/assay/runtime/sandbox"
	"github.com/assaynet/assay/verifier/recheck"
)

// ceiling leaves an eighth of room above a measured figure: seeds differ.
func ceiling(gas int64) int64 { return gas + (gas+7)/8 }

// unitsRun is what came of set-up and some units in a fresh instance.
type unitsRun struct {
	digests    []manifest.Hash
	setup, gas int64  // used by set-up, by the units
	pages      uint32 // of memory
}

// runUnits computes units in a fresh instance.
func runUnits(ctx context.Context, dev device.Device, mod *sandbox.Module, w recheck.Work, indexes []uint64) (run unitsRun, err error) {
	in, err := mod.Start(ctx, sandbox.Job{Device: dev, TensorBytes: w.TensorBytes, MemoryPages: w.MemoryPages, Seed: w.Seed, Identity: w.Identity,
		Params: w.Params, Gas: w.GasSetup, GasUnit: w.GasUnit})
	if err != nil {
		return run, asTrap(err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := in.PowSetup(ctx)
	if err != nil {
		return run, err
	}
	if !out.Trap.OK() {
		return run, &recheck.TrapError{Call: abi.ExportPowSetup, Trap: out.Trap, Code: out.Code, Detail: out.Detail}
	}
	units, done, err := in.PowUnits(ctx, indexes, nil)
	if err != nil {
		return run, err
	}
	if !done.Trap.OK() {
		return run, &recheck.TrapError{Call: abi.ExportPowUnits, Trap: done.Trap, Code: done.Code, Detail: done.Detail}
	}
	for _, u := range units {
		run.digests = append(run.digests, u.Digest)
	}
	run.setup, run.gas, run.pages = out.GasUsed, done.GasUsed, in.Pages()
	return run, nil
}

// tensorNeed finds a tensor memory in which set-up and a batch of units run,
// at most a 64th above the least: what a module may allocate is accounted in
// call order, alike on every device. pages is how much linear memory they used.
func tensorNeed(ctx context.Context, dev device.Device, mod *sandbox.Module, w recheck.Work, batch int) (bytes int64, pages uint32, err error) {
	indexes := make([]uint64, batch)
	for i := range indexes {
		indexes[i] = uint64(i)
	}
	enough := func(bytes int64) (bool, error) {
		w.TensorBytes = bytes
		run, err := runUnits(ctx, dev, mod, w, indexes)
		pages = max(pages, run.pages)
		var trap *recheck.TrapError
		if errors.As(err, &trap) && trap.Trap == abi.TrapTensorMemory {
			return false, nil
		}
		return err == nil, err
	}
	const first = 1 << 16 // bytes
	low, high := int64(-1), int64(0)
	for {
		ok, err := enough(high)
		if err != nil {
			return 0, 0, err
		}
		if ok {
			break
		}
		low, high = high, max(first, 2*high)
		if limit := registrytypes.DefaultParams().MaxTensorBytes; high > limit {
			return 0, 0, &meter.LimitError{Limit: "tensor bytes", Value: uint64(high), Max: uint64(limit)}
		}
	}
	for high-low > max(1, high/64) {
		mid := low + (high-low)/2
		ok, err := enough(mid)
		if err != nil {
			return 0, 0, err
		}
		if ok {
			high = mid
		} else {
			low = mid
		}
	}
	return high, pages, nil
}

// asTrap turns a trap during initialisation into the error of a run.
func asTrap(err error) error {
	var t *sandbox.TrapError
	if errors.As(err, &t) {
		return &recheck.TrapError{Call: t.Call, Trap: t.Outcome.Trap, Code: t.Outcome.Code, Detail: t.Outcome.Detail}
	}
	return err
}
