package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"github.com/assaynet/assay/hostgpu/device"
	"github.com/assaynet/assay/hostgpu/wasmdev"
	"github.com/assaynet/assay/runtime/abi"
	"github.com/assaynet/assay/runtime/sandbox"
)

// threadTime is the processor time of the calling thread: what else runs on
// the machine disturbs it less than the clock.
func threadTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}

// figure is what running a module's infer cost.
type figure struct {
	ns, gas float64
}

type bench struct {
	rt   *sandbox.Runtime
	job  sandbox.Job
	reps int
}

// run measures a row: the first call of infer warms up and sets up, the least
// time of the others counts.
func (b *bench) run(r row) (figure, error) {
	mod, err := b.rt.Admit(r.m.bytes())
	if err != nil {
		return figure{}, err
	}
	defer mod.Close()
	best := figure{ns: math.Inf(1)}
	instances, calls := 1, b.reps+1
	if r.once {
		instances, calls = b.reps, 1
	}
	for range instances {
		if err := b.calls(mod, r, calls, &best); err != nil {
			return figure{}, err
		}
	}
	return best, nil
}

func (b *bench) calls(mod *sandbox.Module, r row, n int, best *figure) error {
	ctx := context.Background()
	in, err := mod.Start(ctx, b.job)
	if err != nil {
		return err
	}
	defer in.Close()
	for i := range n {
		start := threadTime()
		out, err := r.call(ctx, in)
		took := threadTime() - start
		if err != nil {
			return err
		}
		if !out.Trap.OK() {
			return fmt.Errorf("%v: %s", out.Trap, out.Detail)
		}
		if (i > 0 || n == 1) && float64(took) < best.ns {
			*best = figure{float64(took), float64(out.GasUsed)}
		}
	}
	return nil
}

// call runs a row's export once.
func (r *row) call(ctx context.Context, in *sandbox.Instance) (sandbox.Outcome, error) {
	if !r.units {
		return in.Infer(ctx)
	}
	var key *[abi.DigestSize]byte
	if r.keyed {
		key = new([abi.DigestSize]byte)
	}
	_, out, err := in.PowUnits(ctx, []uint64{7}, key)
	return out, err
}

// open makes the job that rows run on: everything that a call can copy out is
// dataBytes long.
func open(rt *sandbox.Runtime) (sandbox.Job, error) {
	dev, err := wasmdev.New(wasmdev.Config{Sandbox: rt})
	if err != nil {
		return sandbox.Job{}, err
	}
	space, err := dev.NewSpace(1 << 20)
	if err != nil {
		return sandbox.Job{}, err
	}
	tensor, err := space.Alloc(device.U8, device.Shape{Rows: 1, Cols: 1})
	if err != nil {
		return sandbox.Job{}, err
	}
	data := make([]byte, dataBytes)
	return sandbox.Job{
		Device: dev, TensorBytes: 64 << 20, Gas: 1 << 55, GasUnit: 1 << 55,
		Identity: data[:32], Params: data, Request: data, Known: make([]uint32, dataBytes/4),
		Model:       &sandbox.Model{Config: data, Space: space, Tensors: map[string]device.Handle{"tensor": tensor}},
		OutputBytes: 1 << 40, LogBytes: 1 << 20,
	}, nil
}
